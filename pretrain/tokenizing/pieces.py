"""Distinct pieces of a sample as the symbols that merges are learned from: its characters.

A character is a token only if a vocabulary has it. It takes its turn by its own count: before all pairs that hold it,
which cannot be more frequent, and after pairs that are.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

import numpy as np
import regex
import tokenizers

from pretrain.tokenizing.merges import END, MIN_COUNT, Pieces
from pretrain.tokenizing.sample import Sample

CODE_POINTS = 0x110000

_BYTES_A_PIECE = 200  # resident memory of a distinct piece in a dict, measured with pieces of up to 12 ideographs
_FIRST_CHECK = 1 << 16  # distinct pieces before memory is first counted
_PIECES_AT_ONCE = 1 << 16
_SEPARATOR = "\ud800"  # a half of a surrogate pair, which no text has


class TooLarge(Exception):
    """The pieces of a sample do not fit into memory."""

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes = num_bytes  # of a sample that would fit


def count_pieces(
    sample: Sample,
    pattern: str,
    max_memory: int,
    bytes_a_character: int,
    normal: Callable[[str], str] | None = None,
) -> Counter[str]:
    """How often each piece that `pattern` finds occurs in the sample, in the form of its texts that `normal` gives.

    TooLarge where the distinct pieces need more than `max_memory` bytes, with `bytes_a_character` for what is made of
    them. `pattern` is in the syntax of the module regex, version 1, which reads those of tokenizers.
    """
    find = regex.compile(pattern, regex.V1).findall
    counts: Counter[str] = Counter()
    check, num_bytes = _FIRST_CHECK, 0
    for texts in sample.texts():
        for text in texts:
            counts.update(find(normal(text) if normal else text))
            num_bytes += len(text.encode())
            if len(counts) > check:
                memory = len(counts) * _BYTES_A_PIECE + sum(map(len, counts)) * bytes_a_character
                if memory > max_memory:
                    raise TooLarge(int(num_bytes * max_memory / memory * 0.9))
                check = len(counts) * 5 // 4
    return counts


def character_pieces(counts: Counter[str], max_merges: int, *, mark_starts: bool = False) -> tuple[Pieces, int]:
    """The pieces with characters as symbols, each its code point, and the first id for a merge.

    `mark_starts` adds `CODE_POINTS` to the symbols inside a piece, so that those at its start are others.
    """
    lengths = np.fromiter(map(len, counts), np.int64, len(counts)) + 1
    symbols = np.full(int(lengths.sum()) + 1, END, np.int32)
    end = 1
    rest = iter(counts)
    while some := [*islice(rest, _PIECES_AT_ONCE)]:
        joined = _SEPARATOR.join(some).encode("utf-32-le", "surrogatepass")
        codes = np.frombuffer(joined, np.int32)
        symbols[end : end + len(codes)] = np.where(codes == ord(_SEPARATOR), END, codes)
        end += len(codes) + 1
    weights = np.repeat(np.fromiter(counts.values(), np.int32, len(counts)), lengths)
    first_id = CODE_POINTS
    if mark_starts:
        first_id *= 2
        symbols[1:][(symbols[1:] != END) & (symbols[:-1] != END)] += CODE_POINTS
    room = first_id + max_merges
    return Pieces(symbols, np.append(np.int32(0), weights), _utf8_lengths(room), np.zeros(room, np.int8)), first_id


def token_pieces(
    counts: Counter[str],
    as_entries: Callable[[str], str],
    model: tokenizers.Tokenizer,
    num_bytes: np.ndarray,
    need: np.ndarray,
) -> Pieces:
    """The pieces with the tokens of `model` as symbols; `as_entries` writes a piece in the model's characters."""
    symbols, lengths = [np.array([END], np.int32)], []
    rest = iter(counts)
    while some := [*islice(rest, _PIECES_AT_ONCE)]:
        encoded = [one.ids for one in model.encode_batch_fast([*map(as_entries, some)], add_special_tokens=False)]
        lengths += [len(ids) + 1 for ids in encoded]
        symbols.append(np.fromiter(chain.from_iterable((*ids, END) for ids in encoded), np.int32))
    weights = np.repeat(np.fromiter(counts.values(), np.int32, len(counts)), lengths)
    return Pieces(np.concatenate(symbols), np.append(np.int32(0), weights), num_bytes, need)


def in_turn(
    merges: Sequence[tuple[int, int, int]], characters: Sequence[tuple[int, int]]
) -> Iterator[int | tuple[int, int]]:
    """Characters, as their symbols, and merges, as the pair of theirs, by their counts.

    Both come with the most frequent first; a character is (symbol, count).
    """
    waiting = iter([(symbol, count) for symbol, count in characters if count >= MIN_COUNT])
    following = next(waiting, None)
    for first, second, least in [*merges, (END, END, 0)]:
        while following is not None and following[1] >= least:
            yield following[0]
            following = next(waiting, None)
        if least:
            yield first, second


def symbol_counts(pieces: Pieces) -> list[tuple[int, int]]:
    """(symbol, count) of each symbol, the most frequent first; ties go to the lower ones."""
    places = pieces.symbols != END
    counts = np.bincount(pieces.symbols[places], pieces.weights[places]).astype(np.int64)
    symbols = np.flatnonzero(counts)
    order = np.argsort(-counts[symbols], kind="stable")
    return list(zip(symbols[order].tolist(), counts[symbols][order].tolist(), strict=True))


def _utf8_lengths(room: int) -> np.ndarray:
    """uint8[room]: UTF-8 bytes of each symbol that is a character; 0 for ids from merges."""
    lengths = np.zeros(room, np.uint8)
    for start in range(0, room - CODE_POINTS + 1, CODE_POINTS):
        for length, first, last in ((1, 0, 0x80), (2, 0x80, 0x800), (3, 0x800, 0x10000), (4, 0x10000, CODE_POINTS)):
            lengths[start + first : min(start + last, room)] = length
    return lengths
