"""Gopher's rules for repetition: limits on how much of a text is duplicate (table A1 of arXiv 2112.11446).

Words are those of `shards.words`: white-space words with their punctuation. In Chinese and Japanese they are those of a
segmenter, or single characters without `segmented`: five characters are two or three words and repeat much more often
(of 249 Chinese pages 45 % fail by characters, 16 % by words). `cleaners.kernels.repetition` defines duplicates and each
fraction.
"""

from typing import ClassVar, Literal

import pyarrow as pa

from cleaners.thresholds import BY_LANGUAGE, Segmented, Threshold, ThresholdConfig, segmented_rows, with_metrics
from shards.stage import Batch, Stage


class GopherRepetitionConfig(ThresholdConfig):
    """Kind `gopher_repetition`. Each setting is the largest fraction that is kept; the defaults are table A1's."""

    version: ClassVar[int] = 2

    max_duplicate_line_fraction: Threshold[float] = 0.30  # duplicate lines / lines
    max_duplicate_paragraph_fraction: Threshold[float] = 0.30  # duplicate paragraphs / paragraphs
    # From here on fractions are of the characters of words: those in duplicate lines, in duplicate paragraphs, in the
    # occurrences of the most frequent n-gram, and in duplicate n-grams.
    max_duplicate_line_char_fraction: Threshold[float] = 0.20
    max_duplicate_paragraph_char_fraction: Threshold[float] = 0.20
    max_top_2gram_fraction: Threshold[float] = 0.20
    max_top_3gram_fraction: Threshold[float] = 0.18
    max_top_4gram_fraction: Threshold[float] = 0.16
    max_duplicate_5gram_fraction: Threshold[float] = 0.15
    max_duplicate_6gram_fraction: Threshold[float] = 0.14
    max_duplicate_7gram_fraction: Threshold[float] = 0.13
    max_duplicate_8gram_fraction: Threshold[float] = 0.12
    max_duplicate_9gram_fraction: Threshold[float] = 0.11
    max_duplicate_10gram_fraction: Threshold[float] = 0.10
    # Whether the first of equal lines, paragraphs and n-grams of 5 to 10 words is a duplicate too. It is by Gopher's
    # wording and DCLM's code; it is not by datatrove, with which FineWeb and FineWeb2 were made.
    count_first_copies: bool = True
    segmented: Segmented = BY_LANGUAGE
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
        from cleaners.datatrove.repetition import datatrove_repetition
        from cleaners.datatrove.text import traits
        from cleaners.datatrove.words import tokens_of
        from cleaners.kernels.repetition import METRICS, repetition
        from shards.unicode import text_buffers
        from shards.words import words_of

        def measure(batch: Batch) -> Batch:
            text = batch["text"]
            data, offsets = text_buffers(text)
            words = tokens_of(text) if self.compat else words_of(text, segmented=segmented_rows(batch, self.segmented))
            if self.compat:
                fractions = datatrove_repetition(data, offsets, words.rows, words.starts, words.ends, traits())
            else:
                fractions = repetition(data, words.rows, words.starts, words.ends, self.count_first_copies)
            return with_metrics(batch, self.name, {m: fractions[:, METRICS.index(m)] for m in self.METRICS})

        return measure
