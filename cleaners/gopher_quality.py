"""Gopher's rules for quality (section A.1.1 of arXiv 2112.11446): limits on words, symbols and lines.

Words are those of `shards.words`: white-space words with their punctuation, and the words of a segmenter in Chinese and
Japanese, or single characters without `segmented`.

Stop words, lengths of words and the share of words with a letter differ between languages. By default each row has
those of its language: FineWeb2's, and Gopher's in English. `assets/lists/languages.toml` has them all, and names the
languages that have fewer rules. A row without a language, as in a recipe without the stage `language`, is taken for
English. A value that a recipe sets is that of all rows, and with `compat` all rows have Gopher's English values.

METRICS gives the formula of each metric. A new count is a field of `cleaners.kernels.word_counts.COUNTS` and a line in
that kernel; its rule is a setting, a metric with its formula, and a line of RULES here.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import field_validator

from cleaners.assets.languages import language, limits, limits_where
from cleaners.thresholds import (
    BY_LANGUAGE,
    LimitByLanguage,
    Segmented,
    Threshold,
    ThresholdConfig,
    WordsByLanguage,
    segmented_rows,
    with_metrics,
)
from shards.stage import Batch, Limits, Rule, Stage


class GopherQualityConfig(ThresholdConfig):
    """Kind `gopher_quality`: keeps documents that look like prose.

    Fractions and ratios of a text without words or lines are 0.
    """

    version: ClassVar[int] = 2

    min_words: Threshold[int] = 50  # where this value stands, not in Thai, Lao, Khmer, Burmese and Tibetan
    max_words: Threshold[int] = 100_000
    min_mean_word_length: LimitByLanguage = BY_LANGUAGE  # characters; 3 in English
    max_mean_word_length: LimitByLanguage = BY_LANGUAGE  # 10 in English
    max_hash_ratio: Threshold[float] = 0.1  # "#" per word
    max_ellipsis_ratio: Threshold[float] = 0.1  # "..." and "…" per word
    max_bullet_line_fraction: Threshold[float] = 0.9
    max_ellipsis_line_fraction: Threshold[float] = 0.3
    min_alpha_word_fraction: LimitByLanguage = BY_LANGUAGE  # .8 in English
    min_stop_words: Threshold[int] = 2  # different ones
    # Compared with words in lower case, without the punctuation around them. A stop word of several words, or of
    # several ideographs, occurs where these follow each other.
    stop_words: WordsByLanguage = BY_LANGUAGE  # the, be, to, of, and, that, have, with in English
    segmented: Segmented = BY_LANGUAGE
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
    def _stop_words_are_words(cls, stop_words: tuple[str, ...] | str) -> tuple[str, ...] | str:
        if stop_words != BY_LANGUAGE and not all(word.strip() for word in stop_words):
            raise ValueError("a stop word must not be blank")
        return stop_words

    def rules(self) -> tuple[Rule, ...]:
        rules = ThresholdConfig.rules(self.model_copy(update=self._of(None)))
        return rules if self.compat else tuple(replace(rule, by_language=self._by_language(rule)) for rule in rules)

    def _of(self, code: str | None) -> dict[str, Any]:
        """The settings that are by language, for rows in the language `code`."""
        wanted = language(code)
        settings = ("min_mean_word_length", "max_mean_word_length", "min_alpha_word_fraction", "stop_words")
        return {key: getattr(wanted, key) for key in settings if getattr(self, key) == BY_LANGUAGE}

    def _by_language(self, rule: Rule) -> Mapping[str, Limits]:
        own = (rule.min_kept, rule.max_kept)
        if getattr(self, rule.setting) == BY_LANGUAGE:
            return limits(rule.setting)
        if rule.setting == "min_stop_words" and self.stop_words == BY_LANGUAGE:
            return limits_where("stop_words", own)
        if rule.setting == "min_words" and self.min_words == type(self).model_fields["min_words"].default:
            return limits_where("spaced", own)
        return {}

    def build(self) -> Stage:
        from cleaners.datatrove.quality import quality
        from cleaners.datatrove.words import tokens_of
        from cleaners.kernels.word_counts import document_counts, stop_word_sets
        from shards.unicode import classes, lowercase, text_buffers
        from shards.words import words_of

        def stop_words(code: str | None) -> tuple[str, ...]:
            return language(code).stop_words if self.stop_words == BY_LANGUAGE else tuple(self.stop_words)

        def stop_words_of(batch: Batch, segmented: bool | np.ndarray) -> tuple[np.ndarray, ...]:
            """What `document_counts` needs of the stop words of each row."""
            names = batch["language"] if "language" in batch.schema.names else pa.nulls(batch.num_rows, pa.string())
            coded = names.dictionary_encode(null_encoding="encode")
            codes = coded.dictionary.to_pylist()
            kinds, rows = np.unique(2 * coded.indices.to_numpy() + segmented, return_inverse=True)
            return stop_word_sets([(stop_words(codes[kind // 2]), bool(kind % 2)) for kind in kinds], rows)

        def measure(batch: Batch) -> Batch:
            text = batch["text"]
            data, _ = text_buffers(text)
            if self.compat:
                return with_metrics(batch, self.name, quality(text, tokens_of(text), stop_words(None)))
            segmented = segmented_rows(batch, self.segmented)
            words = words_of(text, segmented=segmented)
            spans = (words.rows, words.starts, words.ends)
            counts = document_counts(data, *spans, classes(), lowercase(), *stop_words_of(batch, segmented))
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
