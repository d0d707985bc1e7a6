"""RefinedWeb's line-wise corrections (arXiv 2306.01116, appendix G.2): remove boilerplate between lines of text.

A line is removed when it is mainly in upper case, only a number, a counter ("3 likes") or a single word. Lines of at
most 10 words lose "sign-in" at the beginning, "Read more..." at the end and "items in cart" anywhere. A document that
loses more than 5 % of its words this way is mostly boilerplate, and the rule drops it.

Each ideograph is a word of its own, so a line of several is not a single word, and Chinese and Japanese lines stay. A
Thai, Lao, Tibetan, Burmese or Khmer line never counts as a single word.
"""

import re
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import field_validator

from cleaners.thresholds import Threshold, ThresholdConfig, with_metrics
from shards.compiled import kernel
from shards.spans import SPAN_LISTS, Spans, add_span, as_lists, compose, cut
from shards.stage import Batch, Stage, with_columns
from shards.unicode import SPACE, decode

_COUNTER = re.compile(
    r"\W*\d[\d,.]*[KMB]?\s+(?:likes?|shares?|comments?|retweets?|reposts?|quotes?|bookmarks?|upvotes?"
    r"|downvotes?|downloads?|views?|followers?)\W*",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[^\W\d_]")
_SPACE = re.compile(r"\s")
_SAME = (("ſ", "s"), ("ı", "i"), ("İ", "i"))  # equal under re.IGNORECASE, besides upper and lower case


class RefinedWebLinesConfig(ThresholdConfig):
    """Kind `refinedweb_lines`. `<name>.cut_spans` holds what was cut: start, end, ... in bytes of the text as it was.

    A text that loses a line or a phrase also loses newlines: those at both ends, and all after the second in a row.
    """

    # Version 2 keeps the white space before a phrase as it was, where version 1 left a blank. After a removed last line
    # it leaves no lines of white space.
    version: ClassVar[int] = 2

    max_uppercase_fraction: float = 0.5  # of a line's characters; a line with more is removed
    max_words_for_phrases: int = 10  # longer lines keep the phrases below
    # Phrases match in any case, with a hyphen or a space, and with any punctuation after them.
    line_starts: tuple[str, ...] = ("sign-in",)
    line_ends: tuple[str, ...] = ("Read more...",)
    anywhere: tuple[str, ...] = ("items in cart",)
    max_removed_word_fraction: Threshold[float] = 0.05

    METRICS: ClassVar[dict[str, pa.DataType]] = {
        "removed_word_fraction": pa.float64(),  # words removed / words before; 0 without words
        "lines_removed": pa.int64(),
        "lines_edited": pa.int64(),  # that lost a phrase and stayed
    }
    RULES = (("too_many_words_removed", "removed_word_fraction", "max_removed_word_fraction"),)

    @property
    def edits(self) -> bool:
        return True

    @field_validator("line_starts", "line_ends", "anywhere")
    @classmethod
    def _phrases_have_words(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.search(r"\w", phrase) for phrase in phrases):
            raise ValueError("a phrase must hold a letter or a digit")
        return phrases

    def columns(self) -> pa.Schema:
        return super().columns().append(pa.field(f"{self.name}.cut_spans", SPAN_LISTS))

    def build(self) -> Stage:
        from cleaners.kernels import lines
        from cleaners.kernels.phrases import PhraseFinder
        from shards.unicode import classes, text_buffers
        from shards.words import words_of

        all_phrases = (*self.line_starts, *self.line_ends, *self.anywhere)
        phrases = _phrases(self.line_starts, self.line_ends, self.anywhere)
        suspects = PhraseFinder([max(re.findall(r"\w+", phrase), key=len) for phrase in all_phrases], same=_SAME)

        def correct(batch: Batch) -> Batch:
            text = batch["text"]
            data, offsets = text_buffers(text)
            words = words_of(text)
            table = lines.lines_of(text, words)
            rows, starts, ends = table[lines.ROW], table[lines.START], table[lines.END]
            chars = table[lines.WORD_CHARS]
            bad = table[lines.UPPERCASE_CHARS] > self.max_uppercase_fraction * chars
            bad |= (table[lines.NUMERIC_CHARS] == chars) & (table[lines.NUMBER_CHARS] > 0)
            bad |= (table[lines.WORDS] == 1) & (table[lines.UNSPACED_CHARS] == 0)

            short = ~bad & (table[lines.WORDS] <= self.max_words_for_phrases)
            suspicious = short & ((table[lines.NUMBER_CHARS] > 0) | (suspects.find(data, starts, ends, short) > 0))
            stays: dict[int, list[tuple[int, int]]] = {}  # line → spans of its bytes that stay, where not all do
            for k in np.flatnonzero(suspicious).tolist():
                line = data[starts[k] : ends[k]].tobytes().decode()
                if _COUNTER.fullmatch(line):
                    bad[k] = True
                elif phrases.search(line):
                    stays[k] = _spans_without(phrases, line)
                    bad[k] = not stays[k]
            edited = np.array([k for k in stays if not bad[k]], np.int64)

            touched = bad.copy()
            touched[edited] = True
            kept = [(k, starts[k] + a, starts[k] + b) for k in edited.tolist() for a, b in stays[k]]
            keep = np.array(kept, np.int64).reshape(-1, 3).T
            spans = Spans(*_cut_lines(data, offsets, rows, starts, ends, touched, *keep))
            shortened = cut(text, *spans)
            rows_touched = np.bincount(rows[touched], minlength=len(text)) > 0
            holes = Spans(*_surplus_newlines(*text_buffers(shortened), classes(), rows_touched))
            corrected = cut(shortened, *holes)

            before, after = np.diff(words.rows), np.diff(words_of(corrected).rows)
            metrics = {
                "removed_word_fraction": (before - after) / np.maximum(before, 1),
                "lines_removed": np.bincount(rows[bad], minlength=len(text)),
                "lines_edited": np.bincount(rows[edited], minlength=len(text)),
            }
            cut_spans = as_lists(compose(spans, holes), text)
            measured = with_metrics(batch, self.name, metrics)
            return with_columns(measured, {f"{self.name}.cut_spans": cut_spans, "text": corrected})

        return correct


def _phrases(starts: tuple[str, ...], ends: tuple[str, ...], anywhere: tuple[str, ...]) -> re.Pattern[str]:
    patterns = [rf"^\W*{_pattern(phrase)}\W*" for phrase in starts]
    patterns += [rf"\s*{_pattern(phrase)}\W*$" for phrase in ends]
    patterns += [rf"\s*{_pattern(phrase)}\W*" for phrase in anywhere]
    return re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE)


def _pattern(phrase: str) -> str:
    return r"\b" + r"[\W_]+".join(re.findall(r"\w+", phrase)) + r"\b"


def _spans_without(phrases: re.Pattern[str], line: str) -> list[tuple[int, int]]:
    """Spans, in bytes, of `line` without the phrases; none when no letter is left.

    The first white space of a phrase stays, so that the words around it are not joined.
    """
    stays = bytearray(b"\1") * len(line)
    for phrase in phrases.finditer(line):
        stays[phrase.start() : phrase.end()] = bytes(len(phrase[0]))
        if space := _SPACE.search(phrase[0]):
            stays[phrase.start() + space.start()] = 1
    if not any(stay and _LETTER.match(c) for stay, c in zip(stays, line, strict=True)):
        return []
    inside = [i for i, c in enumerate(line) if stays[i] and not c.isspace()]
    stays[: inside[0]] = bytes(inside[0])
    stays[inside[-1] + 1 :] = bytes(len(line) - inside[-1] - 1)
    return [
        (len(line[: run.start()].encode()), len(line[: run.end()].encode()))
        for run in re.finditer(b"\1+", bytes(stays))
    ]


@kernel
def _cut_lines(data, offsets, rows, starts, ends, touched, kept_lines, kept_starts, kept_ends):
    """(rows, starts, ends), in bytes of the row, of the touched lines, except the spans of them that are kept.

    A line is cut with the white space around it, and with its newline when nothing of it is kept.
    """
    out = np.empty((3, len(rows) + len(kept_lines)), np.int64)
    n = k = 0
    for line in np.flatnonzero(touched):
        row = rows[line]
        start, end = starts[line], ends[line]
        while start > offsets[row] and data[start - 1] != 10:
            start -= 1
        while end < offsets[row + 1] and data[end] != 10:
            end += 1
        if (k == len(kept_lines) or kept_lines[k] != line) and end < offsets[row + 1]:
            end += 1
        while k < len(kept_lines) and kept_lines[k] == line:
            n = add_span(out, n, row, start - offsets[row], kept_starts[k] - offsets[row])
            start = kept_ends[k]
            k += 1
        n = add_span(out, n, row, start - offsets[row], end - offsets[row])
    return out[0, :n], out[1, :n], out[2, :n]


@kernel
def _surplus_newlines(data, offsets, classes, chosen):
    """(rows, starts, ends), in bytes of the row, of newlines after the second in a row, and of those at either end.

    A line of white space alone is an empty line. Only the `chosen` rows are looked at.
    """
    num_newlines = 0
    for i in range(offsets[0], offsets[-1]):
        num_newlines += data[i] == 10
    out = np.empty((3, num_newlines), np.int64)
    n = 0
    for row in np.flatnonzero(chosen):
        begin, end = offsets[row], offsets[row + 1]
        last = end  # offset of the newlines at the end
        while last > begin and data[last - 1] == 10:
            last -= 1
        i = begin
        leading = True
        while i < end:
            if data[i] != 10:
                leading = False
                i += 1
                continue
            newlines, run_end, j = 1, i + 1, i + 1  # run_end: after the last newline of the run
            while j < end:
                c, after = decode(data, j)
                if classes[c] != SPACE:
                    break
                if c == 10:
                    newlines += 1
                    run_end = after
                j = after
            if newlines > 2:
                whole = leading or run_end == end
                n = add_span(out, n, row, i + (not whole) - begin, run_end - (not whole) - begin)
                i = run_end
            elif leading or i >= last:
                n = add_span(out, n, row, i - begin, i + 1 - begin)
                i += 1
            else:
                i += 1
    return out[0, :n], out[1, :n], out[2, :n]
