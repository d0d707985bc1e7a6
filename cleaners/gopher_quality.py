"""Gopher's rules for quality (section A.1.1 of arXiv 2112.11446): limits on words, symbols and lines.

Words are those of `shards.words`: white-space words with their punctuation, and single ideographs. So the rules see
Chinese and Japanese text as a sequence of characters, or of words with `segmented`.

METRICS gives the formula of each metric. A new count is a field of `cleaners.kernels.word_counts.COUNTS` and a line in
that kernel; its rule is a setting, a metric with its formula, and a line of RULES here.
"""

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import field_validator

from cleaners.thresholds import Threshold, ThresholdConfig, with_metrics
from shards.stage import Batch, Stage


class GopherQualityConfig(ThresholdConfig):
    """Kind `gopher_quality`: keeps documents that look like prose.

    Fractions and ratios of a text without words or lines are 0.
    """

    min_words: Threshold[int] = 50
    max_words: Threshold[int] = 100_000
    min_mean_word_length: Threshold[float] = 3.0  # characters
    max_mean_word_length: Threshold[float] = 10.0
    max_hash_ratio: Threshold[float] = 0.1  # "#" per word
    max_ellipsis_ratio: Threshold[float] = 0.1  # "..." and "…" per word
    max_bullet_line_fraction: Threshold[float] = 0.9
    max_ellipsis_line_fraction: Threshold[float] = 0.3
    min_alpha_word_fraction: Threshold[float] = 0.8
    min_stop_words: Threshold[int] = 2  # different ones
    # Compared with words in lower case, without the punctuation around them. A stop word of several words, or of
    # several ideographs, occurs where these follow each other.
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")
    segmented: bool = False  # Chinese and Japanese words by a segmenter instead of single characters
    compat: Literal["datatrove"] | None = None  # "datatrove": measured as in `cleaners.datatrove`, segmented, too

    METRICS: ClassVar[dict[str, pa.DataType]] = {
        "word_count": pa.int64(),  # words
        "mean_word_length": pa.float64(),  # characters of words / words
        "hash_ratio": pa.float64(),  # text.count("#") / words
        "ellipsis_ratio": pa.float64(),  # (text.count("...") + text.count("…")) / words
        "bullet_line_fraction": pa.float64(),  # lines that begin with a bullet, "-" or "*" / lines with a word
        "ellipsis_line_fraction": pa.float64(),  # lines that end with "..." or "…" / lines with a word
        "alpha_word_fraction": pa.float64(),  # words with a letter or an ideograph / words
        "stop_word_count": pa.int64(),  # different stop words that occur
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
        from cleaners.kernels.word_counts import document_counts, hash_stop_words
        from shards.unicode import classes, lowercase, text_buffers
        from shards.words import words_of

        stop_words = hash_stop_words(self.stop_words, segmented=self.segmented)

        def measure(batch: Batch) -> Batch:
            text = batch["text"]
            data, _ = text_buffers(text)
            if self.compat:
                return with_metrics(batch, self.name, quality(text, tokens_of(text), self.stop_words))
            words = words_of(text, segmented=self.segmented)
            spans = (words.rows, words.starts, words.ends)
            counts = document_counts(data, *spans, classes(), lowercase(), *stop_words)
            num_words, num_lines = np.maximum(counts["words"], 1), np.maximum(counts["lines"], 1)
            metrics = {
                "word_count": counts["words"],
                "mean_word_length": counts["chars"] / num_words,
                "hash_ratio": counts["hashes"] / num_words,
                "ellipsis_ratio": counts["ellipses"] / num_words,
                "bullet_line_fraction": counts["bullet_lines"] / num_lines,
                "ellipsis_line_fraction": counts["ellipsis_lines"] / num_lines,
                "alpha_word_fraction": counts["alpha_words"] / num_words,
                "stop_word_count": counts["stop_words"],
            }
            return with_metrics(batch, self.name, metrics)

        return measure
