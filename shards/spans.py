"""Spans of text, [start, end) in bytes of a row's UTF-8: cutting them out, replacing them, telling what was done.

    text        "A fact[1] here.\n3 likes"
    spans        row 0: 6-9, 15-23
    cut          "A fact here."
    as_lists     [6, 9, 15, 23]

Spans ascend by (row, start), do not overlap, and begin and end between characters.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.compiled import kernel
from shards.unicode import text_buffers

SPAN_LISTS = pa.list_(pa.int64())


class Spans(NamedTuple):
    """int64 each, one entry a span."""

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def cut(text: pa.LargeStringArray, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> pa.LargeStringArray:
    """`text` without the spans: by offsets, so a passage that also stands elsewhere in the row stays there.

    Without a span it is `text` itself.
    """
    if not len(rows):
        return text
    data, offsets = text_buffers(text)
    left, left_offsets = _copy_between(data, offsets, rows, starts, ends)
    return _with_nulls_of(text, left_offsets, left)


def replace(text: pa.LargeStringArray, spans: Spans, replacements: list[bytes]) -> pa.LargeStringArray:
    """`text` with the k-th replacement in the place of the k-th span; without a span it is `text` itself."""
    if not replacements:
        return text
    data, offsets = text_buffers(text)
    pieces: list[bytes | memoryview] = []
    at = int(offsets[0])
    base = offsets[spans.rows]
    places = zip((base + spans.starts).tolist(), (base + spans.ends).tolist(), replacements, strict=True)
    for start, end, replacement in places:
        pieces += [data[at:start].data, replacement]
        at = end
    joined = np.frombuffer(b"".join([*pieces, data[at : offsets[-1]].data]), np.uint8)
    grown = np.array([len(replacement) for replacement in replacements]) - (spans.ends - spans.starts)
    by_row = np.bincount(spans.rows, grown, len(text)).astype(np.int64)
    return _with_nulls_of(text, offsets - offsets[0] + np.concatenate([[0], np.cumsum(by_row)]), joined)


def compose(first: Spans, second: Spans) -> Spans:
    """The spans of a text that go when `first` is cut from it and then `second` from what is left.

    Spans that touch become one.
    """
    return Spans(*_compose(*first, *second)) if len(first.rows) else second


def as_lists(spans: Spans, text: pa.LargeStringArray) -> pa.ListArray:
    """list<int64>[rows]: start, end, start, end, ... of each row's spans; null where the text is null."""
    values = np.stack([spans.starts, spans.ends], axis=1).ravel()
    return in_lists(pa.array(values, pa.int64()), 2 * np.bincount(spans.rows, minlength=len(text)), text)


def in_lists(values: pa.Array, lengths: np.ndarray, text: pa.LargeStringArray) -> pa.ListArray:
    """`values` in lists of so many, one a row; null where the text is null."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, mask=text.is_null() if text.null_count else None)


@kernel(inline="always")
def add_span(out, n, row, start, end):
    """Writes a span to out[:, n] unless it is empty; returns how many there are then."""
    if start < end:
        out[0, n], out[1, n], out[2, n] = row, start, end
        return n + 1
    return n


def _with_nulls_of(text: pa.LargeStringArray, offsets: np.ndarray, data: np.ndarray) -> pa.LargeStringArray:
    result = pa.LargeStringArray.from_buffers(len(text), pa.py_buffer(offsets), pa.py_buffer(data))
    return pc.if_else(text.is_valid(), result, None) if text.null_count else result


@kernel
def _copy_between(
    data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    left = np.empty(offsets[-1] - offsets[0] - np.sum(ends - starts), np.uint8)
    left_offsets = np.zeros(len(offsets), np.int64)
    span = done = 0
    for row in range(len(offsets) - 1):
        at = offsets[row]
        while span < len(rows) and rows[span] == row:
            until = offsets[row] + starts[span]
            left[done : done + until - at] = data[at:until]
            done, at = done + until - at, offsets[row] + ends[span]
            span += 1
        left[done : done + offsets[row + 1] - at] = data[at : offsets[row + 1]]
        done += offsets[row + 1] - at
        left_offsets[row + 1] = done
    return left, left_offsets


@kernel
def _compose(rows, starts, ends, cut_rows, cut_starts, cut_ends):
    out = np.empty((3, len(rows) + len(cut_rows)), np.int64)
    n = i = j = 0
    while i < len(rows) or j < len(cut_rows):
        row = min(rows[i] if i < len(rows) else cut_rows[j], cut_rows[j] if j < len(cut_rows) else rows[i])
        gone = 0  # bytes of the row's first spans that lie before
        while j < len(cut_rows) and cut_rows[j] == row:
            while i < len(rows) and rows[i] == row and starts[i] - gone <= cut_starts[j]:
                n = _append(out, n, row, starts[i], ends[i])
                gone += ends[i] - starts[i]
                i += 1
            at = cut_starts[j] + gone
            while i < len(rows) and rows[i] == row and starts[i] - gone < cut_ends[j]:
                gone += ends[i] - starts[i]
                i += 1
            n = _append(out, n, row, at, cut_ends[j] + gone)
            j += 1
        while i < len(rows) and rows[i] == row:
            n = _append(out, n, row, starts[i], ends[i])
            i += 1
    return out[0, :n], out[1, :n], out[2, :n]


@kernel(inline="always")
def _append(out, n, row, start, end):
    if n > 0 and out[0, n - 1] == row and out[2, n - 1] == start:
        out[2, n - 1] = end
        return n
    out[0, n], out[1, n], out[2, n] = row, start, end
    return n + 1
