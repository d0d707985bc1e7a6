"""Quality rules of two Chinese corpora: MAP-NEO's Matrix (arXiv 2405.19327) and ChineseWebText (arXiv 2311.01149).

MAP-NEO counts characters where the rules for English count words. Only its mean length is one of words: a segmenter's,
without punctuation. Its n-gram limits are settings of `gopher_repetition`. Its line rule is a setting of `c4`:
`line_ends = "。！？….!?"`, `min_words_per_line = 3`, `segmented = true`. Texts are measured as they are, without NFKC;
full-width digits count as digits.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from cleaners.assets.wordlist import WordFinder, entries
from cleaners.thresholds import Threshold, ThresholdConfig, with_metrics
from shards.stage import Batch, Stage


class ChineseQualityConfig(ThresholdConfig):
    """Kind `chinese_quality`. Characters are code points without white space; fractions of an empty text are 0."""

    version: ClassVar[int] = 2

    # MAP-NEO
    min_sentences: Threshold[int] = 2
    min_chars: Threshold[int] = 200  # ChineseWebText's; MAP-NEO's is 50
    max_chars: Threshold[int] = 10_000
    min_mean_word_length: Threshold[float] = 1.3  # letters, marks, numbers and ideographs of a segmenter's word
    max_mean_word_length: Threshold[float] = 10.0
    max_hash_ratio: Threshold[float] = 0.1  # runs of "#" / characters
    max_ellipsis_ratio: Threshold[float] = 0.1  # runs of "…" and of two or more full stops / characters
    max_digit_fraction: Threshold[float] = 0.3  # of letters, ideographs and digits
    max_bracketed_fraction: Threshold[float] = 0.1  # characters between 【 and 】 in one line
    max_read_more_line_fraction: Threshold[float] = 0.3
    max_bullet_line_fraction: Threshold[float] = 0.9
    min_unique_fraction: Threshold[float] = 0.1  # different characters
    min_entropy: Threshold[float] = 3.0  # of the distribution of characters, in nats
    read_more: tuple[str, ...] = ("readmore", "展开", "更多", "。。。")  # ends of lines
    # ChineseWebText
    min_mean_line_chars: Threshold[float] = 10.0
    min_han_fraction: Threshold[float] = 0.3  # Han characters
    max_sensitive_words_per_line: Threshold[float] = 0.5
    sensitive_words: str | None = None  # path of a list: one entry a line, `#` begins a comment, `.gz` is read

    METRICS: ClassVar[dict[str, pa.DataType]] = {
        "sentence_count": pa.int64(),
        "char_count": pa.int64(),
        "mean_word_length": pa.float64(),
        "hash_ratio": pa.float64(),
        "ellipsis_ratio": pa.float64(),
        "digit_fraction": pa.float64(),
        "bracketed_fraction": pa.float64(),
        "read_more_line_fraction": pa.float64(),
        "bullet_line_fraction": pa.float64(),
        "unique_fraction": pa.float64(),
        "entropy": pa.float64(),
        "mean_line_chars": pa.float64(),
        "han_fraction": pa.float64(),
        "sensitive_words_per_line": pa.float64(),
    }
    RULES = (
        ("too_few_sentences", "sentence_count", "min_sentences"),
        ("too_few_chars", "char_count", "min_chars"),
        ("too_many_chars", "char_count", "max_chars"),
        ("words_too_short", "mean_word_length", "min_mean_word_length"),
        ("words_too_long", "mean_word_length", "max_mean_word_length"),
        ("too_many_hashes", "hash_ratio", "max_hash_ratio"),
        ("too_many_ellipses", "ellipsis_ratio", "max_ellipsis_ratio"),
        ("too_many_digits", "digit_fraction", "max_digit_fraction"),
        ("too_many_bracketed_chars", "bracketed_fraction", "max_bracketed_fraction"),
        ("too_many_read_more_lines", "read_more_line_fraction", "max_read_more_line_fraction"),
        ("too_many_bullet_lines", "bullet_line_fraction", "max_bullet_line_fraction"),
        ("too_few_unique_chars", "unique_fraction", "min_unique_fraction"),
        ("entropy_too_low", "entropy", "min_entropy"),
        ("lines_too_short", "mean_line_chars", "min_mean_line_chars"),
        ("too_few_han_chars", "han_fraction", "min_han_fraction"),
        ("too_many_sensitive_words", "sensitive_words_per_line", "max_sensitive_words_per_line"),
    )

    def lists(self) -> dict[str, str | Path]:
        return {} if self.sensitive_words is None else {f"{self.name}.sensitive_words": self.sensitive_words}

    def build(self) -> Stage:
        from cleaners.kernels import characters, lines
        from cleaners.kernels.word_counts import BULLETS
        from shards.unicode import classes, text_buffers
        from shards.words import words_of

        finder = None if self.sensitive_words is None else WordFinder(entries(self.sensitive_words))

        def measure(batch: Batch) -> Batch:
            text = batch["text"]
            data, offsets = text_buffers(text)
            c, entropy = characters.character_counts(data, offsets, classes())
            words = words_of(text, segmented=True)
            lengths = characters.word_lengths(data, words.rows, words.starts, words.ends, classes())
            table = lines.lines_of(text, words_of(text))
            rows = table[lines.ROW]

            def total(values: np.ndarray) -> np.ndarray:
                return np.bincount(rows, values, len(text))

            num_lines = np.maximum(np.bincount(rows, minlength=len(text)), 1)
            chars = np.maximum(c[:, characters.CHARS], 1)
            sensitive = np.zeros(len(text), np.int64)
            if finder is not None:
                sensitive[:] = [finder.count(t) if t else 0 for t in text.to_pylist()]
            metrics = {
                "sentence_count": total(table[lines.SENTENCES]).astype(np.int64),
                "char_count": c[:, characters.CHARS],
                "mean_word_length": lengths[:, 1] / np.maximum(lengths[:, 0], 1),
                "hash_ratio": c[:, characters.HASH_RUNS] / chars,
                "ellipsis_ratio": c[:, characters.ELLIPSIS_RUNS] / chars,
                "digit_fraction": c[:, characters.DIGITS] / np.maximum(c[:, characters.WORD_CHARS], 1),
                "bracketed_fraction": c[:, characters.BRACKETED] / chars,
                "read_more_line_fraction": total(lines.ends_in(table, text, self.read_more)) / num_lines,
                "bullet_line_fraction": total(np.isin(table[lines.FIRST], BULLETS)) / num_lines,
                "unique_fraction": c[:, characters.UNIQUE] / chars,
                "entropy": entropy,
                "mean_line_chars": total(table[lines.CHARS]) / num_lines,
                "han_fraction": c[:, characters.HAN] / chars,
                "sensitive_words_per_line": sensitive / num_lines,
            }
            return with_metrics(batch, self.name, metrics)

        return measure
