"""Gopher's rules for repetition (table A1) and for quality (section A.1.1 of arXiv 2112.11446).

Words are those of `shards.words`: white-space words with their punctuation, and single ideographs, so the rules see
Chinese and Japanese text as a sequence of characters, or with `segmented` as one of words. What counts as a duplicate
is told in `cleaners.kernels.repetition`.
"""

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import field_validator

from cleaners.bounds import Bound, BoundedConfig, with_metrics
from shards.stage import Batch, Stage


class GopherRepetitionConfig(BoundedConfig):
    """Largest part of a text that may lie in duplicate lines, paragraphs and n-grams; table A1's values."""

    max_duplicate_line_fraction: Bound[float] = 0.30
    max_duplicate_paragraph_fraction: Bound[float] = 0.30
    max_duplicate_line_char_fraction: Bound[float] = 0.20
    max_duplicate_paragraph_char_fraction: Bound[float] = 0.20
    max_top_2gram_fraction: Bound[float] = 0.20
    max_top_3gram_fraction: Bound[float] = 0.18
    max_top_4gram_fraction: Bound[float] = 0.16
    max_duplicate_5gram_fraction: Bound[float] = 0.15
    max_duplicate_6gram_fraction: Bound[float] = 0.14
    max_duplicate_7gram_fraction: Bound[float] = 0.13
    max_duplicate_8gram_fraction: Bound[float] = 0.12
    max_duplicate_9gram_fraction: Bound[float] = 0.11
    max_duplicate_10gram_fraction: Bound[float] = 0.10
    # Whether the first of equal lines, paragraphs and n-grams of 5 to 10 words is a duplicate too. By Gopher's wording
    # and DCLM's code it is; by datatrove, with which FineWeb and FineWeb2 were made, it is not.
    count_first_copies: bool = True
    segmented: bool = False  # Chinese and Japanese words by a segmenter instead of single characters
    # "datatrove": measured as in `cleaners.datatrove`, where later copies count and words are tokens; Chinese and
    # Japanese are then cut by a segmenter whatever `segmented` says.
    compat: Literal["datatrove"] | None = None

    RULES = (
        ("too_many_duplicate_lines", "duplicate_line_fraction", "max_duplicate_line_fraction"),
        ("too_many_duplicate_paragraphs", "duplicate_paragraph_fraction", "max_duplicate_paragraph_fraction"),
        ("too_many_chars_in_duplicate_lines", "duplicate_line_char_fraction", "max_duplicate_line_char_fraction"),
        (
            "too_many_chars_in_duplicate_paragraphs",
            "duplicate_paragraph_char_fraction",
            "max_duplicate_paragraph_char_fraction",
        ),
        *((f"top_{n}gram_too_frequent", f"top_{n}gram_fraction", f"max_top_{n}gram_fraction") for n in (2, 3, 4)),
        *(
            (f"too_many_duplicate_{n}grams", f"duplicate_{n}gram_fraction", f"max_duplicate_{n}gram_fraction")
            for n in (5, 6, 7, 8, 9, 10)
        ),
    )
    METRICS: ClassVar[dict[str, pa.DataType]] = {metric: pa.float64() for _, metric, _ in RULES}

    def build(self) -> Stage:
        from cleaners.datatrove.repetition import repetition as datatrove_repetition
        from cleaners.datatrove.text import traits
        from cleaners.datatrove.words import tokens_of
        from cleaners.kernels.repetition import METRICS, repetition
        from shards.unicode import text_buffers
        from shards.words import words_of

        def measure(batch: Batch) -> Batch:
            text = batch["text"]
            data, offsets = text_buffers(text)
            words = tokens_of(text) if self.compat else words_of(text, segmented=self.segmented)
            if self.compat:
                fractions = datatrove_repetition(data, offsets, words.rows, words.starts, words.ends, traits())
            else:
                fractions = repetition(data, words.rows, words.starts, words.ends, self.count_first_copies)
            return with_metrics(batch, self.name, {m: fractions[:, METRICS.index(m)] for m in self.METRICS})

        return measure


class GopherQualityConfig(BoundedConfig):
    """Documents that look like prose. Fractions and ratios of a text without words or lines are 0."""

    min_words: Bound[int] = 50
    max_words: Bound[int] = 100_000
    min_mean_word_length: Bound[float] = 3.0  # characters
    max_mean_word_length: Bound[float] = 10.0
    max_hash_ratio: Bound[float] = 0.1  # "#" per word
    max_ellipsis_ratio: Bound[float] = 0.1  # "..." and "…" per word
    max_bullet_line_fraction: Bound[float] = 0.9
    max_ellipsis_line_fraction: Bound[float] = 0.3
    min_alpha_word_fraction: Bound[float] = 0.8
    min_stop_words: Bound[int] = 2  # different ones, whatever their case
    # Compared with words in lower case, without the punctuation around them. One of several words, or of several
    # ideographs, is met where these follow each other.
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")
    segmented: bool = False  # Chinese and Japanese words by a segmenter instead of single characters
    compat: Literal["datatrove"] | None = None  # "datatrove": measured as in `cleaners.datatrove`, segmented, too

    METRICS: ClassVar[dict[str, pa.DataType]] = {
        "word_count": pa.int64(),
        "mean_word_length": pa.float64(),
        "hash_ratio": pa.float64(),
        "ellipsis_ratio": pa.float64(),
        "bullet_line_fraction": pa.float64(),
        "ellipsis_line_fraction": pa.float64(),
        "alpha_word_fraction": pa.float64(),
        "stop_word_count": pa.int64(),
    }
    RULES = (
        ("too_few_words", "word_count", "min_words"),
        ("too_many_words", "word_count", "max_words"),
        ("words_too_short", "mean_word_length", "min_mean_word_length"),
        ("words_too_long", "mean_word_length", "max_mean_word_length"),
        ("too_many_hashes", "hash_ratio", "max_hash_ratio"),
        ("too_many_ellipses", "ellipsis_ratio", "max_ellipsis_ratio"),
        ("too_many_bullet_lines", "bullet_line_fraction", "max_bullet_line_fraction"),
        ("too_many_ellipsis_lines", "ellipsis_line_fraction", "max_ellipsis_line_fraction"),
        ("too_few_alpha_words", "alpha_word_fraction", "min_alpha_word_fraction"),
        ("too_few_stop_words", "stop_word_count", "min_stop_words"),
    )

    @field_validator("stop_words")
    @classmethod
    def _stop_words_are_words(cls, stop_words: tuple[str, ...]) -> tuple[str, ...]:
        if not all(word.strip() for word in stop_words):
            raise ValueError("a stop word must not be blank")
        return stop_words

    def build(self) -> Stage:
        from cleaners.datatrove.quality import quality
        from cleaners.datatrove.words import tokens_of
        from cleaners.kernels import word_counts as counts
        from shards.unicode import classes, lowercase, text_buffers
        from shards.words import words_of

        stop_words = counts.hash_stop_words(self.stop_words, segmented=self.segmented)

        def measure(batch: Batch) -> Batch:
            text = batch["text"]
            data, _ = text_buffers(text)
            if self.compat:
                return with_metrics(batch, self.name, quality(text, tokens_of(text), self.stop_words))
            w = words_of(text, segmented=self.segmented)
            c = counts.document_counts(data, w.rows, w.starts, w.ends, classes(), lowercase(), *stop_words)
            words, lines = np.maximum(c[:, counts.WORDS], 1), np.maximum(c[:, counts.LINES], 1)
            metrics = {
                "word_count": c[:, counts.WORDS],
                "mean_word_length": c[:, counts.CHARS] / words,
                "hash_ratio": c[:, counts.HASHES] / words,
                "ellipsis_ratio": c[:, counts.ELLIPSES] / words,
                "bullet_line_fraction": c[:, counts.BULLET_LINES] / lines,
                "ellipsis_line_fraction": c[:, counts.ELLIPSIS_LINES] / lines,
                "alpha_word_fraction": c[:, counts.ALPHA_WORDS] / words,
                "stop_word_count": c[:, counts.STOP_WORDS],
            }
            return with_metrics(batch, self.name, metrics)

        return measure
