"""New entries for a BPE tokenizer that others trained, learned from text that it cuts too finely.

As Chinese-LLaMA did (Cui et al., "Efficient and Effective Text Encoding for Chinese LLaMA and Alpaca", 2023), new
pieces are merged into an old vocabulary. Here they are learned on the base's own tokens, so that each can be reached:

    base tokens    m│il│ls│to│ne    new merges come after all of the base's, and so are applied to what it makes;
    merges         m│ills│tone      text keeps its ids wherever no new entry applies, and new ids follow the old ones

A byte-level base is extended by merges alone. In SentencePiece's BPE a character that the base lacks becomes an entry
first, where its count has its turn; it was bytes before.
"""

import codecs
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from pretrain.tokenizing.byte_level import CHARACTER_OF, split_pattern, steps, token_bytes
from pretrain.tokenizing.merges import BYTES_A_SYMBOL, MIN_COUNT, NEVER, learn_merges
from pretrain.tokenizing.pieces import count_pieces, in_turn, token_pieces
from pretrain.tokenizing.sample import Sample, draw_sample
from pretrain.tokenizing.text_shards import find_shards
from pretrain.tokenizing.tokenizer import Tokenizer
from pretrain.tokenizing.tokenizer_training import MAX_TOKEN_BYTES, within_memory
from shards.atomic import write_bytes
from shards.errors import UserError

_SPACE = "▁"  # of SentencePiece
_WORDS = r" ?(?:[\p{Han}\p{Hiragana}\p{Katakana}]+|[\p{L}\p{M}&&[^\p{Han}\p{Hiragana}\p{Katakana}]]+)"
_BYTE_CHARACTERS = dict(enumerate(CHARACTER_OF))
_TOKENS_A_CHARACTER = 3  # of a byte-level base at most, where it knows nothing of a script


def extend_tokenizer(
    base: Path,
    shards: Sequence[Path],
    out: Path,
    *,
    num_new: int,
    sample_bytes: int,
    weights: Mapping[str, float] | None = None,
    max_memory: int | None = None,
    report: Callable[[str], None] = lambda line: None,
    bos: str | None = None,
    eos: str | None = None,
) -> Tokenizer:
    """Write `base` with `num_new` more entries, learned from a sample of text shards, to `out`.

    The sample is drawn as `train_tokenizer` does. `bos` and `eos` name special tokens of the base whose roles its file
    does not tell; that of the extension does. UserError for a base that is no byte-level or SentencePiece BPE, and
    where the sample gives fewer entries.
    """
    if num_new < 1:
        raise UserError(f"--add: expected at least 1 entry, found {num_new}")
    shards = find_shards(shards)  # which refuses what is none before the base is read
    old = Base.of(base, Tokenizer(base, bos, eos))
    sample = draw_sample(shards, sample_bytes, weights, report)
    sample, extended = within_memory(
        lambda part, memory: extension(old, part, num_new, memory), sample, max_memory, report
    )
    if (found := len(extended["model"]["vocab"]) - len(old.vocab)) < num_new:
        raise UserError(
            f"--add: {sample.num_bytes:,} bytes of text give {found:,} new entries, not {num_new:,}; give --add "
            f"{found} or less, or more text"
        )
    write_bytes(out, json.dumps(extended, ensure_ascii=False).encode())
    return Tokenizer(out)


@dataclass(frozen=True)
class Base:
    """A tokenizer.json that can be extended."""

    values: dict[str, Any]
    vocab: dict[str, int]  # with the added tokens, which stand in the model too, so that their ids stay
    is_byte_level: bool
    pattern: str  # that cuts text into pieces, which merges do not cross

    @staticmethod
    def of(path: Path, loaded: Tokenizer) -> "Base":
        """UserError, with the key, for a tokenizer that new merges do not extend."""
        values = json.loads(loaded.json)
        if (kind := values["model"].get("type", "BPE")) != "BPE":
            raise UserError(f"{path}: model.type: is {kind}, and only BPE is extended by merges")
        pattern = split_pattern(values)
        if pattern is None and not values["model"].get("byte_fallback"):
            raise UserError(f"{path}: pre_tokenizer: is not that of byte-level BPE, nor is it SentencePiece's BPE")
        return Base(values, loaded.ids, pattern is not None, pattern or _WORDS)

    def as_entries(self, text: str) -> str:
        """A piece of text in the characters of the vocabulary."""
        if self.is_byte_level:
            return text.encode().decode("latin-1").translate(_BYTE_CHARACTERS)
        return text.replace(" ", _SPACE)

    def need(self, entry: str) -> int:
        """What the entry's bytes need to be whole characters (`merges.Pieces`)."""
        if not self.is_byte_level:
            return NEVER if entry.startswith("<0x") or len(entry) > MAX_TOKEN_BYTES else 0
        try:
            return missing_bytes(token_bytes(entry))
        except KeyError:  # an added token
            return NEVER


def extension(base: Base, sample: Sample, num_new: int, memory: int) -> dict[str, Any]:
    """The base's tokenizer.json with at most `num_new` entries more."""
    normalizer = tokenizers.Tokenizer.from_str(json.dumps(base.values)).normalizer if base.is_byte_level else None
    normal = normalizer.normalize_str if normalizer and steps(base.values, "normalizer") else None
    symbols = BYTES_A_SYMBOL * (_TOKENS_A_CHARACTER if base.is_byte_level else 1)
    counts = count_pieces(sample, base.pattern, memory, symbols, normal)
    characters = [] if base.is_byte_level else _unknown_characters(counts, base.vocab)
    first_new = max(base.vocab.values()) + 1
    entries = base.vocab | {character: id_ for id_, (character, _) in enumerate(characters, first_new)}
    first_merge = first_new + len(characters)

    room = first_merge + num_new
    num_bytes, need = np.full(room, MAX_TOKEN_BYTES, np.uint8), np.full(room, NEVER, np.int8)
    for entry, id_ in entries.items():
        need[id_] = base.need(entry)
        num_bytes[id_] = min(MAX_TOKEN_BYTES, len(entry) if base.is_byte_level else len(entry.encode()))
    model = {**base.values["model"], "vocab": entries}
    alone = tokenizers.Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    pieces = token_pieces(counts, base.as_entries, alone, num_bytes, need)
    counts.clear()
    merges = learn_merges(pieces, first_merge, num_new, MAX_TOKEN_BYTES)
    names = {id_: entry for entry, id_ in entries.items()}
    turns = in_turn(merges, [(entries[character], number) for character, number in characters])
    return _with_entries(base, [*islice(_new_entries(turns, names, first_merge), num_new)], first_new)


def _new_entries(
    turns: Iterator[int | tuple[int, int]], names: dict[int, str], first_merge: int
) -> Iterator[tuple[str, tuple[str, str] | None]]:
    """(entry, its merge) of each new entry; None for a character, which no merge makes."""
    ids = count(first_merge)
    for turn in turns:
        if isinstance(turn, int):
            yield names[turn], None
        else:
            first, second = names[turn[0]], names[turn[1]]
            names[next(ids)] = first + second
            yield first + second, (first, second)


def _with_entries(base: Base, new: list[tuple[str, tuple[str, str] | None]], first_new: int) -> dict[str, Any]:
    """The tokenizer.json with new entries; one that the base has and no merge made is reached by its merge."""
    ids, vocab = count(first_new), dict(base.vocab)
    for entry, _ in new:
        if entry not in vocab:
            vocab[entry] = next(ids)
    old = base.values["model"]["merges"]
    pairs = [merge for _, merge in new if merge is not None]
    merges = [" ".join(pair) for pair in pairs] if old and isinstance(old[0], str) else [[*pair] for pair in pairs]
    return base.values | {"model": base.values["model"] | {"vocab": vocab, "merges": [*old, *merges]}}


def _unknown_characters(counts: Counter[str], vocab: Mapping[str, int]) -> list[tuple[str, int]]:
    """(character, count) of those that the vocabulary lacks, the most frequent first."""
    found: Counter[str] = Counter()
    for piece, number in counts.items():
        for character in piece:
            if character not in vocab and character != " ":
                found[character] += number
    return sorted(((c, n) for c, n in found.items() if n >= MIN_COUNT), key=lambda one: (-one[1], one[0]))


def missing_bytes(token: bytes) -> int:
    """0 where `token` is whole characters, n where its last one lacks n bytes, -n where it is n bytes from inside one.

    `NEVER` for all else, such as the last bytes of a character and another one.
    """
    if token and all(byte & 0xC0 == 0x80 for byte in token):
        return -len(token) if len(token) < 4 else NEVER
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(token)
    except UnicodeDecodeError:
        return NEVER
    last, _ = decoder.getstate()
    if not last:
        return 0
    return (2 if last[0] < 0xE0 else 3 if last[0] < 0xF0 else 4) - len(last)
