"""Exact substrings: passages of at least `length` words that occur more than once, in one document or in several.

The pieces are windows of `length` words. `keep = "none"` takes every word of a repeated window, as suffix-array tools
do. `keep = "first"` keeps the first of equal windows whole: a word of a later window is cut unless it is also in a
first one.

A span includes the white space after it, or before it at the end of a text, so that the words around it stay separate.
"""

from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from dedup.repeats.passages import FIELDS, PassagesConfig
from dedup.repeats.windows import Windows
from shards.compiled import kernel
from shards.exchange import Cost
from shards.unicode import IDEOGRAPH, classes, decode, text_buffers
from shards.words import max_words, word_spans


class SubstringConfig(PassagesConfig):
    """Kind `substring`."""

    version: ClassVar[int] = 1
    reason: ClassVar[str] = "dedup.substring"

    length: int = Field(50, ge=2)  # words of the shortest passage that counts

    @property
    def cost(self) -> Cost:
        return Cost(
            seconds_per_mb=0.0126,
            bytes_per_text_byte=3,
            disk_per_text_byte=0.47,  # 0.2 where hardly a passage is repeated
            driver_seconds_per_document=1e-6,
            driver_bytes_per_document=40,
            text_reads=3,
        )

    def hasher(self) -> Windows:
        return Windows(self.length)

    def spans(self, text: pa.LargeStringArray, rows: np.ndarray, starts: np.ndarray, goes: np.ndarray) -> np.ndarray:
        found = np.empty((len(FIELDS) + 1, len(goes)), np.int64)  # a span begins in a window of its own
        return found[:, : spans_of(*text_buffers(text), classes(), self.length, rows, starts, goes, *found)]


@kernel
def spans_of(data, offsets, classes, length, rows, starts, goes, out_row, out_start, out_end, out_chars, out_window):
    """Write the spans to cut of UTF-8 rows data[offsets]; returns their number, at most that of windows.

    `rows` and `starts` are those of the repeated windows, ascending; `goes` marks the windows to cut, and the others
    protect their words. `out_window` is the last window to cut that begins at or before the span.
    """
    count = window = 0
    longest = np.int64(0)
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    begins, ends = np.empty(max_words(longest), np.int64), np.empty(max_words(longest), np.int64)
    while window < len(rows):
        row = rows[window]
        num_words = word_spans(data, offsets[row], offsets[row + 1], classes, begins, ends)
        cut_until = kept_until = first = latest = 0
        inside = False
        for k in range(num_words + 1):
            if (
                k < num_words
                and window < len(rows)
                and rows[window] == row
                and starts[window] == begins[k] - offsets[row]
            ):
                if goes[window]:
                    cut_until, latest = k + length, window
                else:
                    kept_until = k + length
                window += 1
            goes_here = kept_until <= k < min(cut_until, num_words)
            if goes_here and not inside:
                first, inside = k, True
                out_row[count], out_window[count] = row, latest
            elif inside and not goes_here:
                inside = False
                start, end = _with_space(
                    data, offsets[row], offsets[row + 1], classes, begins, ends, first, k, num_words
                )
                chars = 0
                for i in range(start, end):
                    chars += (data[i] & 0xC0) != 0x80
                out_start[count], out_end[count], out_chars[count] = start - offsets[row], end - offsets[row], chars
                count += chars > 0
    return count


@kernel(inline="always")
def _with_space(data, begin, end, classes, begins, ends, first, last, num_words):
    """[start, end) of the words `first` to `last` - 1 with the white space to cut, so that kept words stay separate."""
    if last == num_words:
        return (ends[first - 1] if first else begin), end
    if first == 0 or ends[first - 1] < begins[first]:
        return begins[first], begins[last]
    if ends[last - 1] < begins[last]:
        return begins[first], ends[last - 1]
    before, after = classes[decode(data, begins[first - 1])[0]], classes[decode(data, begins[last])[0]]
    # Only the span separates the words around it: unless one is an ideograph, the last word of the span stays.
    return begins[first], (begins[last] if IDEOGRAPH in (before, after) else begins[last - 1])
