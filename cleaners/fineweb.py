"""FineWeb's own filters (arXiv 2406.17557, section 3.6, appendix E.4) against lists and boilerplate.

Lists and boilerplate have lines that end without punctuation, short lines, repeated lines, and few words per line.
FineWeb2 (arXiv 2506.20920) keeps three of the filters, with thresholds per language, and leaves out the one on short
lines. Of equal lines the later ones count as duplicates, as in the code that made both corpora.
"""

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from cleaners.thresholds import Threshold, ThresholdConfig, with_metrics
from shards.stage import Batch, Stage


class FineWebConfig(ThresholdConfig):
    """Kind `fineweb`. A text without lines has no punctuated ones; its other fractions are 0."""

    min_punctuated_line_fraction: Threshold[float] = 0.12
    max_short_line_fraction: Threshold[float] = 0.67
    max_duplicate_line_char_fraction: Threshold[float] = 0.01  # the paper's text says 0.1
    max_newlines_per_word: Threshold[float] = 0.3
    short_line_chars: int = 30  # a line of at most this many characters is short
    line_ends: str | None = (
        None  # characters that end a punctuated line; by default SENTENCE_ENDS of `kernels.sentences`
    )
    segmented: bool = False  # Chinese and Japanese words by a segmenter instead of single characters
    compat: Literal["datatrove"] | None = None  # "datatrove": measured as in `cleaners.datatrove`, segmented, too

    METRICS: ClassVar[dict[str, pa.DataType]] = {
        "punctuated_line_fraction": pa.float64(),  # lines that end in one of line_ends / lines
        "short_line_fraction": pa.float64(),  # lines of at most short_line_chars / lines
        "duplicate_line_char_fraction": pa.float64(),  # characters of later copies of lines / characters of lines
        "newlines_per_word": pa.float64(),  # text.count("\n") / words
    }
    RULES = (
        ("too_few_punctuated_lines", "punctuated_line_fraction", "min_punctuated_line_fraction"),
        ("too_many_short_lines", "short_line_fraction", "max_short_line_fraction"),
        ("too_many_chars_in_duplicate_lines", "duplicate_line_char_fraction", "max_duplicate_line_char_fraction"),
        ("too_many_newlines", "newlines_per_word", "max_newlines_per_word"),
    )

    def build(self) -> Stage:
        import pyarrow.compute as pc

        from cleaners.datatrove.fineweb import fineweb
        from cleaners.datatrove.words import tokens_of
        from cleaners.kernels import lines
        from cleaners.kernels.sentences import SENTENCE_ENDS
        from shards.words import words_of

        line_ends = lines.code_points(SENTENCE_ENDS if self.line_ends is None else self.line_ends)

        def measure(batch: Batch) -> Batch:
            text = batch["text"]
            if self.compat:
                metrics = fineweb(text, tokens_of(text), self.short_line_chars, self.line_ends)
                return with_metrics(batch, self.name, metrics)
            words = words_of(text, segmented=self.segmented)
            table = lines.lines_of(text, words)
            rows, chars = table[lines.ROW], table[lines.CHARS]
            newlines = pc.fill_null(pc.count_substring(text, "\n"), 0).to_numpy(zero_copy_only=False)

            def total(values: np.ndarray) -> np.ndarray:
                return np.bincount(rows, values, len(text))

            num_lines = np.maximum(total(np.ones(len(rows))), 1)
            metrics = {
                "punctuated_line_fraction": total(np.isin(table[lines.LAST], line_ends)) / num_lines,
                "short_line_fraction": total(chars <= self.short_line_chars) / num_lines,
                "duplicate_line_char_fraction": total(lines.later_copies(table) * chars) / np.maximum(total(chars), 1),
                "newlines_per_word": newlines / np.maximum(total(table[lines.WORDS]), 1),
            }
            return with_metrics(batch, self.name, metrics)

        return measure
