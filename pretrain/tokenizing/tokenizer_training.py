"""Learning a tokenizer from a sample of text shards: byte-level BPE, byte-level Unigram or WordPiece.

Text is first split by a pattern, and no token crosses a split. It differs in two points from the usual GPT pattern,
because one pattern must serve English, Russian and Chinese:

- Combining marks stay with their letter (a stressed Russian vowel or a decomposed й is one word, not three pieces).
- Ideographs and kana are a class of their own: "Python程序" is two pieces, no token mixes Chinese and Latin letters.

A token has at most `MAX_TOKEN_BYTES` bytes. Chinese has no spaces, so a piece is a whole clause there, and without the
limit a frequent phrase of site boilerplate becomes one token.

BPE is learned on characters, which is three times less than bytes in Chinese. A character becomes a token, byte after
byte, where its own count has its turn among the pairs'. So no token but the first bytes of a character holds a part of
one. Unigram (Kudo, 2018) is learned by `tokenizers` on bytes; every text comes back from both. WordPiece (Schuster and
Nakajima, 2012) loses spaces, and characters that it has no token for.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Literal, TypeVar

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from pretrain.tokenizing.byte_level import CHARACTER_OF, token_name
from pretrain.tokenizing.merges import BYTES_A_SYMBOL, learn_merges
from pretrain.tokenizing.pieces import CODE_POINTS, TooLarge, character_pieces, count_pieces, in_turn, symbol_counts
from pretrain.tokenizing.sample import Sample, draw_sample
from pretrain.tokenizing.special_tokens import SPECIAL_TOKENS
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.atomic import write_bytes
from shards.errors import UserError

T = TypeVar("T")
Kind = Literal["bpe", "unigram", "wordpiece"]

MIN_VOCAB_SIZE = 256 + len(SPECIAL_TOKENS)
MAX_TOKEN_BYTES = 24  # 8 ideographs, 12 Cyrillic letters, any English word but a few chemical names
MIN_BYTES_AN_ENTRY = 1000  # by Zipf's law the rarest of 32,768 entries then occurs some 20 times
BYTES_A_UNIGRAM_BYTE = 400  # resident memory of `tokenizers` for a byte of Chinese, which has few equal pieces
BASE_MEMORY = 300_000_000  # of the process before it reads text

_UNIGRAM_RUN = "{1,8}"  # ideographs of a run that a sample's lattices are made of, whose time and memory grow with it
_UNKNOWN = "[UNK]"
_IDEOGRAPH = r"\p{Han}\p{Hiragana}\p{Katakana}"
_WORD = rf"[\p{{L}}\p{{M}}&&[^{_IDEOGRAPH}]]+"


def split_pattern(max_digits: int = 3, ideographs: str = "+") -> str:
    """The pattern of byte-level tokenizers; a run of digits is cut into groups of `max_digits`, and one of ideographs
    by the quantifier `ideographs`."""
    return "|".join(
        (
            r"'(?i:s|d|m|t|ll|ve|re)(?!\p{L})",  # English contractions
            rf"[{_IDEOGRAPH}]{ideographs}",
            # A word, with the space, quote or bracket before it.
            rf"[^\r\n\p{{L}}\p{{M}}\p{{N}}]?{_WORD}",
            rf"\p{{N}}{{1,{max_digits}}}",
            r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
            # Spaces up to a line end; otherwise all but the last one, which goes with the word. The limit of 256 is
            # for pages that hold a million spaces: both patterns backtrack, and tiktoken's stack overflows there.
            r"\s{0,256}[\r\n]",
            r"\s{1,256}(?!\S)",
            r"\s",
        )
    )


def train_tokenizer(
    shards: Sequence[Path],
    out: Path,
    *,
    vocab_size: int,
    sample_bytes: int,
    kind: Kind = "bpe",
    weights: Mapping[str, float] | None = None,
    max_digits: int = 3,
    max_memory: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Tokenizer:
    """Learn a tokenizer of `vocab_size` entries from about `sample_bytes` of UTF-8 text and write it to `out`.

    The sample is drawn by `weights` of sources, or of all documents alike. It is made smaller where the process would
    need more than `max_memory` bytes. `report` is called with a line where it is smaller than asked, and where it is
    small for that many entries.

    UserError for a `vocab_size` below `MIN_VOCAB_SIZE` or above what the sample gives, and for shards without text.
    """
    if vocab_size < MIN_VOCAB_SIZE:
        needed = f"at least {MIN_VOCAB_SIZE} (256 bytes and {len(SPECIAL_TOKENS)} special tokens)"
        raise UserError(f"vocab_size: expected {needed}, found {vocab_size}")
    learn = partial(_KINDS[kind], vocab_size=vocab_size, max_digits=max_digits)
    sample, made = within_memory(learn, draw_sample(shards, sample_bytes, weights, report), max_memory, report)
    if (found := made.get_vocab_size()) != vocab_size:
        raise UserError(
            f"vocab_size: {sample.num_bytes:,} bytes of text give {found:,} entries, not {vocab_size:,}; give "
            f"--vocab-size {found} or less, or more text"
        )
    if sample.num_bytes < MIN_BYTES_AN_ENTRY * vocab_size:
        enough = max(MIN_VOCAB_SIZE, sample.num_bytes // MIN_BYTES_AN_ENTRY)
        report(
            f"vocab_size: {vocab_size:,} entries from {sample.num_bytes:,} bytes, so that rare ones are learned from "
            f"few occurrences; at {MIN_BYTES_AN_ENTRY:,} bytes an entry that is text for {enough:,}"
        )
    write_bytes(out, made.to_str().encode())
    return Tokenizer(out)


def within_memory(
    learn: Callable[[Sample, int], T], sample: Sample, max_memory: int | None, report: Callable[[str], None]
) -> tuple[Sample, T]:
    """What `learn` makes of a sample, and the part of the sample with which the process stays below `max_memory` bytes.

    `learn` takes a sample and the bytes that are left to it. UserError where one document alone is too much.
    """
    while True:
        try:
            return sample, learn(sample, sys.maxsize if max_memory is None else max_memory - BASE_MEMORY)
        except TooLarge as error:
            smaller = sample.smaller(error.num_bytes) if error.num_bytes > 0 else sample
            if smaller.num_bytes >= sample.num_bytes:
                raise UserError(f"--memory: too little to learn from {sample.num_bytes:,} bytes; give more") from None
            report(f"--memory: it is enough for {smaller.num_bytes:,} of {sample.num_bytes:,} bytes of text")
            sample = smaller


def _byte_level(model: models.Model, pattern: str) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = _split_into_bytes(pattern)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _split_into_bytes(pattern: str) -> pre_tokenizers.PreTokenizer:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level])


def _bpe(sample: Sample, memory: int, *, vocab_size: int, max_digits: int) -> tokenizers.Tokenizer:
    num_merges = vocab_size - MIN_VOCAB_SIZE
    learned = _learned(sample, memory, split_pattern(max_digits), num_merges)
    merges = [*islice(_byte_merges(*learned), num_merges)]
    entries = [*SPECIAL_TOKENS, *sorted(CHARACTER_OF), *(first + second for first, second in merges)]
    made = _byte_level(models.BPE({entry: id_ for id_, entry in enumerate(entries)}, merges), split_pattern(max_digits))
    made.add_special_tokens([*SPECIAL_TOKENS])
    return made


def _learned(
    sample: Sample, memory: int, pattern: str, max_merges: int, *, mark_starts: bool = False
) -> tuple[Iterator[int | tuple[int, int]], int]:
    """Characters and merges in their turn (`pieces.in_turn`), and the id of the first merge."""
    counts = count_pieces(sample, pattern, memory, BYTES_A_SYMBOL)
    pieces, first_id = character_pieces(counts, max_merges, mark_starts=mark_starts)
    counts.clear()
    characters = symbol_counts(pieces)
    return in_turn(learn_merges(pieces, first_id, max_merges, MAX_TOKEN_BYTES), characters), first_id


def _byte_merges(turns: Iterator[int | tuple[int, int]], first_id: int) -> Iterator[tuple[str, str]]:
    """The merges of a byte-level vocabulary: of bytes into characters, and of characters into what was learned."""
    names, known, ids = dict[int, str](), set(CHARACTER_OF), count(first_id)
    for turn in turns:
        if isinstance(turn, int):
            name = names[turn] = token_name(chr(turn).encode())
            starts = [name[:size] for size in range(2, len(name) + 1) if name[:size] not in known]
            known.update(starts)
            yield from ((start[:-1], start[-1]) for start in starts)
        else:
            first, second = (names[part] for part in turn)
            names[next(ids)] = first + second
            yield first, second


def _unigram(sample: Sample, memory: int, *, vocab_size: int, max_digits: int) -> tokenizers.Tokenizer:
    if sample.num_bytes * BYTES_A_UNIGRAM_BYTE > memory:
        raise TooLarge(memory // BYTES_A_UNIGRAM_BYTE)
    made = _byte_level(models.Unigram(), split_pattern(max_digits, _UNIGRAM_RUN))
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_piece_length=MAX_TOKEN_BYTES,
        show_progress=False,
    )
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    made.train_from_iterator(sample.texts(), trainer)
    made.pre_tokenizer = _split_into_bytes(split_pattern(max_digits))
    values = json.loads(made.to_str())
    scores = {piece: round(score, 4) for piece, score in values["model"]["vocab"] if piece not in SPECIAL_TOKENS}
    # What differs between processes: the last digits, as sums have another order, and the scores of bytes that the
    # trainer dropped and added again, each .0001 below the one before.
    least = min(scores.values())
    added_again = {piece for piece, score in scores.items() if len(piece) == 1 and score <= least + 256 * 0.0001}
    scored = [(piece, least if piece in added_again else score) for piece, score in scores.items()]
    special = [(token, 0.0) for token in SPECIAL_TOKENS]
    values["model"]["vocab"] = [*special, *sorted(scored, key=lambda entry: (-entry[1], entry[0]))]
    return tokenizers.Tokenizer.from_str(json.dumps(values))


def _wordpiece(sample: Sample, memory: int, *, vocab_size: int, max_digits: int) -> tokenizers.Tokenizer:
    """Pieces are words, single ideographs, groups of digits, and single other characters; spaces are dropped."""
    pattern = "|".join((_WORD, rf"[{_IDEOGRAPH}]", rf"\p{{N}}{{1,{max_digits}}}", r"[^\s\p{L}\p{M}\p{N}]"))
    special = [*SPECIAL_TOKENS, _UNKNOWN]
    learned = _learned(sample, memory, pattern, vocab_size, mark_starts=True)
    entries = [*special, *islice(_word_pieces(*learned), vocab_size - len(special))]
    made = tokenizers.Tokenizer(models.WordPiece({entry: id_ for id_, entry in enumerate(entries)}, unk_token=_UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    made.decoder = decoders.WordPiece(cleanup=False)
    made.add_special_tokens(special)
    return made


def _word_pieces(turns: Iterator[int | tuple[int, int]], first_id: int) -> Iterator[str]:
    """The entries of a WordPiece vocabulary, ## before those that continue a word."""
    names, ids = dict[int, str](), count(first_id)
    for turn in turns:
        if isinstance(turn, int):
            id_ = turn
            names[id_] = chr(turn) if turn < CODE_POINTS else f"##{chr(turn - CODE_POINTS)}"
        else:
            id_ = next(ids)
            names[id_] = names[turn[0]] + names[turn[1]].removeprefix("##")
        yield names[id_]


_KINDS: dict[Kind, Callable[..., tokenizers.Tokenizer]] = {
    "bpe": _bpe,
    "unigram": _unigram,
    "wordpiece": _wordpiece,
}
