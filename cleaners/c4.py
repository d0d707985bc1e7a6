"""C4's rules (arXiv 1910.10683, section 2.2, and its published code): keep the lines that are sentences.

A line is kept when it ends in terminal punctuation other than an ellipsis, has enough words, none of them too long,
and no phrase of scripts and cookie notices. Citations like [1] and [edit] are cut from the lines. A page is dropped
for "lorem ipsum" or a curly bracket in a line that is kept, for a bad word, and when too few sentences are left.

The defaults are the numbers of the authors' code (TFDS), which DCLM has too. datatrove has min_words_per_line = 3,
min_sentences = 5 and ' among the line ends. Sentences are those of `kernels.sentences`; theirs are punkt's.

C4's line ends are English. By default lines of rows in other languages may also end in the sentence ends of any script,
and in a closing quotation mark: with C4's alone 97 % of 249 Chinese pages have too few sentences, which end in "。".
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import field_validator

from cleaners.assets.languages import ENGLISH_CODES
from cleaners.assets.wordlist import WordFinder, entries
from cleaners.thresholds import BY_LANGUAGE, Threshold, ThresholdConfig, or_by_language, with_metrics
from shards.compiled import kernel
from shards.spans import SPAN_LISTS, Spans, add_span, as_lists, compose, cut
from shards.stage import Batch, Stage, with_columns

ENGLISH_LINE_ENDS = '.!?"'
_CLOSING_QUOTES = '"”»」』›’'
LineEnds: TypeAlias = Annotated[str | None, or_by_language(Threshold[str])]


class C4Config(ThresholdConfig):
    """Kind `c4`. The text becomes its kept lines, without white space around them and without empty lines.

    `<name>.cut_spans` holds what was cut: start, end, start, end, ... in bytes of the text as it was. It is null under
    `compat`, where a line end may become another character.
    """

    version: ClassVar[int] = 3

    line_ends: LineEnds = BY_LANGUAGE  # characters; ENGLISH_LINE_ENDS in English; when off, a line may end in any
    min_words_per_line: int = 5
    max_word_chars: int = 1000  # a line with a longer word is removed
    # A line that holds one of these, in any case, is removed.
    line_phrases: tuple[str, ...] = (
        "javascript",
        "terms of use",
        "privacy policy",
        "cookie policy",
        "uses cookies",
        "use of cookies",
        "use cookies",
    )
    remove_citations: bool = True
    segmented: bool = False  # Chinese and Japanese words by a segmenter instead of single characters
    bad_words: str | None = None  # path of a list: one entry a line, `#` begins a comment, `.gz` is read
    max_lorem_ipsum_lines: Threshold[int] = 0
    max_curly_bracket_lines: Threshold[int] = 0
    max_bad_words: Threshold[int] = 0
    min_sentences: Threshold[int] = 3
    compat: Literal["datatrove"] | None = None  # "datatrove": lines are kept as in `cleaners.datatrove.c4`

    METRICS: ClassVar[dict[str, pa.DataType]] = {
        "lines_removed": pa.int64(),
        "removed_line_fraction": pa.float64(),  # of the lines that hold a word
        "citations_removed": pa.int64(),
        "lorem_ipsum_lines": pa.int64(),
        "curly_bracket_lines": pa.int64(),
        "bad_words": pa.int64(),  # occurrences in the kept lines
        "sentence_count": pa.int64(),
    }
    RULES = (
        ("lorem_ipsum", "lorem_ipsum_lines", "max_lorem_ipsum_lines"),
        ("curly_bracket", "curly_bracket_lines", "max_curly_bracket_lines"),
        ("bad_word", "bad_words", "max_bad_words"),
        ("too_few_sentences", "sentence_count", "min_sentences"),
    )

    @property
    def edits(self) -> bool:
        return True

    def columns(self) -> pa.Schema:
        return super().columns().append(pa.field(f"{self.name}.cut_spans", SPAN_LISTS))

    def lists(self) -> dict[str, str | Path]:
        return {} if self.bad_words is None else {f"{self.name}.bad_words": self.bad_words}

    @field_validator("line_phrases")
    @classmethod
    def _phrases_are_not_empty(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        if not all(phrases):
            raise ValueError("a phrase must not be empty")
        return phrases

    def build(self) -> Stage:
        from cleaners.datatrove.c4 import keep_sentences
        from cleaners.kernels import lines
        from cleaners.kernels.phrases import PhraseFinder
        from cleaners.kernels.sentences import SENTENCE_ENDS
        from shards.unicode import text_buffers
        from shards.words import words_of

        english = ENGLISH_LINE_ENDS if self.line_ends == BY_LANGUAGE else self.line_ends
        line_ends = None if english is None else lines.code_points(english)
        other_line_ends = lines.code_points(SENTENCE_ENDS + _CLOSING_QUOTES)
        phrases = PhraseFinder(("lorem ipsum",), self.line_phrases, ("{",))
        bad_words = None if self.bad_words is None else WordFinder(entries(self.bad_words))

        def keep_lines(batch: Batch) -> Batch:
            text = batch["text"]
            citations = Spans(*_citations(*text_buffers(text), self.remove_citations))
            bare = cut(text, *citations)
            data, offsets = text_buffers(bare)
            table = lines.lines_of(bare, words_of(bare, segmented=self.segmented))
            rows, starts, ends = table[lines.ROW], table[lines.START], table[lines.END]

            is_kept = table[lines.WORDS] >= self.min_words_per_line
            is_kept &= table[lines.LONGEST_WORD] <= self.max_word_chars
            if line_ends is not None:
                is_sentence = np.isin(table[lines.LAST], line_ends)
                if self.line_ends == BY_LANGUAGE and (foreign := _foreign(batch)).any():
                    is_sentence |= foreign[rows] & np.isin(table[lines.LAST], other_line_ends)
                is_kept &= is_sentence & (table[lines.ENDS_IN_DOTS] == 0)
            groups = phrases.find(data, starts, ends, is_kept)
            # The order is that of the published code: a line that a phrase removes has no curly bracket to count.
            lorem_ipsum = groups & 1 > 0
            is_kept &= lorem_ipsum | (groups & 2 == 0)
            curly_bracket = (groups & 4 > 0) & is_kept & ~lorem_ipsum

            between = Spans(*_between(data, offsets, rows[is_kept], starts[is_kept], ends[is_kept]))
            edited = cut(bare, *between)

            def per_text(is_counted: np.ndarray) -> np.ndarray:
                return np.bincount(rows[is_counted], minlength=len(text))

            num_lines = np.bincount(rows, minlength=len(text))
            removed = per_text(~is_kept)
            sentences = np.bincount(rows, table[lines.SENTENCES] * is_kept, len(text))
            metrics = {
                "lines_removed": removed,
                "removed_line_fraction": removed / np.maximum(num_lines, 1),
                "citations_removed": np.bincount(citations.rows, minlength=len(text)),
                "lorem_ipsum_lines": per_text(lorem_ipsum),
                "curly_bracket_lines": per_text(curly_bracket),
                "bad_words": _count(bad_words, edited),
                "sentence_count": sentences.astype(np.int64),
            }
            spans = as_lists(compose(citations, between), text)
            measured = with_metrics(batch, self.name, metrics)
            return with_columns(measured, {f"{self.name}.cut_spans": spans, "text": edited})

        def keep_lines_as_datatrove(batch: Batch) -> Batch:
            kept, metrics = keep_sentences(
                batch["text"].to_pylist(),
                line_ends=english,
                min_words_per_line=self.min_words_per_line,
                max_word_chars=self.max_word_chars,
                line_phrases=self.line_phrases,
                remove_citations=self.remove_citations,
            )
            edited = pa.array(kept, pa.large_string())
            metrics["bad_words"] = _count(bad_words, edited)
            measured = with_metrics(batch, self.name, {metric: metrics[metric] for metric in self.METRICS})
            spans = pa.nulls(len(edited), SPAN_LISTS)
            return with_columns(measured, {f"{self.name}.cut_spans": spans, "text": edited})

        return keep_lines_as_datatrove if self.compat else keep_lines


def _foreign(batch: Batch) -> np.ndarray:
    """bool[rows]: rows that are known to be in another language than English."""
    if "language" not in batch.schema.names:
        return np.zeros(batch.num_rows, np.bool_)
    is_english = pc.is_in(batch["language"], value_set=pa.array([*ENGLISH_CODES, None], pa.string()))
    foreign: np.ndarray = pc.invert(is_english).to_numpy(zero_copy_only=False)
    return foreign


def _count(bad_words: WordFinder | None, text: pa.Array) -> np.ndarray:
    if bad_words is None:
        return np.zeros(len(text), np.int64)
    return np.array([bad_words.count(value) if value else 0 for value in text.to_pylist()], np.int64)


@kernel
def _citations(data, offsets, remove):
    """(rows, starts, ends) of "[12]", "[]", "[edit]" and "[citation needed]", in bytes of their row."""
    brackets = 0
    if remove:
        for i in range(offsets[0], offsets[-1]):
            brackets += data[i] == 0x5B
    out = np.empty((3, brackets), np.int64)
    n = 0
    for row in range(len(offsets) - 1 if brackets else 0):
        i = offsets[row]
        while i < offsets[row + 1]:
            if data[i] != 0x5B:
                i += 1
                continue
            end = _end_of_citation(data, i + 1, offsets[row + 1])
            if end > 0:
                out[0, n], out[1, n], out[2, n] = row, i - offsets[row], end - offsets[row]
                n += 1
            i = max(end, i + 1)
    return out[0, :n], out[1, :n], out[2, :n]


@kernel
def _end_of_citation(data, start, end):
    """The end of the citation whose first byte after the bracket is at `start`; 0 if there is none."""
    i = start
    while i < end and 0x30 <= data[i] <= 0x39:
        i += 1
    if i < end and data[i] == 0x5D:
        return i + 1
    for words in (b"edit]", b"citation needed]"):
        if start + len(words) <= end:
            same = True
            for k in range(len(words)):
                same &= data[start + k] == words[k]
            if same:
                return start + len(words)
    return 0


@kernel
def _between(data, offsets, rows, starts, ends):
    """(rows, starts, ends), in bytes of the row, of all text outside the lines but one newline between two lines."""
    out = np.empty((3, 2 * len(rows) + len(offsets)), np.int64)
    n = line = 0
    for row in range(len(offsets) - 1):
        position, begin = offsets[row], offsets[row]
        first = True
        while line < len(rows) and rows[line] == row:
            if not first:
                newline = position
                while data[newline] != 10:
                    newline += 1
                n = add_span(out, n, row, position - begin, newline - begin)
                position = newline + 1
            n = add_span(out, n, row, position - begin, starts[line] - begin)
            position = ends[line]
            first = False
            line += 1
        n = add_span(out, n, row, position - begin, offsets[row + 1] - begin)
    return out[0, :n], out[1, :n], out[2, :n]
