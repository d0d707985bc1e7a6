"""Spans of text, [start, end) in bytes of a row's UTF-8: cutting, replacing, composing and recording them.

    text        "A fact[1] here.\n3 likes"
    spans        row 0: 6-9, 15-23
    cut          "A fact here."
    as_lists     [6, 9, 15, 23]

Spans ascend by (row, start), are disjoint, and begin and end between characters.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.compiled import kernel
from shards.unicode import text_buffers

SPAN_LISTS = pa.list_(pa.int64())


class Spans(NamedTuple):
    """int64[spans] each."""

    rows: np.ndarray  # of the text
    starts: np.ndarray  # bytes from the start of the row's text
    ends: np.ndarray


def cut(text: pa.LargeStringArray, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> pa.LargeStringArray:
    """`text` without the spans, or `text` itself where there are none. Nulls stay null."""
    if not len(rows):
        return text
    data, offsets = text_buffers(text)
    rest, rest_offsets = _copy_between(data, offsets, rows, starts, ends)
    return _with_nulls_of(text, rest_offsets, rest)


def replace(text: pa.LargeStringArray, spans: Spans, replacements: list[bytes]) -> pa.LargeStringArray:
    """`text` with the k-th replacement instead of the k-th span, or `text` itself where there are none."""
    if not replacements:
        return text
    data, offsets = text_buffers(text)
    pieces: list[bytes | memoryview] = []
    copied = int(offsets[0])  # bytes of `data` that are in `pieces` or replaced
    row_starts = offsets[spans.rows]
    edits = zip((row_starts + spans.starts).tolist(), (row_starts + spans.ends).tolist(), replacements, strict=True)
    for start, end, replacement in edits:
        pieces += [data[copied:start].data, replacement]
        copied = end
    joined = np.frombuffer(b"".join([*pieces, data[copied : offsets[-1]].data]), np.uint8)
    growth = np.array([len(replacement) for replacement in replacements]) - (spans.ends - spans.starts)
    growth_of_row = np.bincount(spans.rows, growth, len(text)).astype(np.int64)
    return _with_nulls_of(text, offsets - offsets[0] + np.concatenate([[0], np.cumsum(growth_of_row)]), joined)


def compose(first: Spans, second: Spans) -> Spans:
    """The spans of a text that are removed when `first` is cut from it and then `second` from the rest.

    Spans that touch become one.
    """
    return Spans(*_compose(*first, *second)) if len(first.rows) else second


def as_lists(spans: Spans, text: pa.LargeStringArray) -> pa.ListArray:
    """list<int64>[rows]: start, end, start, end, … of each row's spans; null where the text is null."""
    values = np.stack([spans.starts, spans.ends], axis=1).ravel()
    return in_lists(pa.array(values, pa.int64()), 2 * np.bincount(spans.rows, minlength=len(text)), text)


def in_lists(values: pa.Array, lengths: np.ndarray, text: pa.LargeStringArray) -> pa.ListArray:
    """`values` as one list for each row, of the row's entry in `lengths`; null where the text is null."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, mask=text.is_null() if text.null_count else None)


@kernel(inline="always")
def add_span(out, n, row, start, end):
    """Write a span to out[:, n] unless it is empty; returns the number of spans then."""
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
    """(bytes, offsets int64[rows + 1]) of the texts without the spans."""
    rest = np.empty(offsets[-1] - offsets[0] - np.sum(ends - starts), np.uint8)
    rest_offsets = np.zeros(len(offsets), np.int64)
    span = written = 0
    for row in range(len(offsets) - 1):
        copied = offsets[row]  # bytes of `data` before this one are written or cut
        while span < len(rows) and rows[span] == row:
            start = offsets[row] + starts[span]
            rest[written : written + start - copied] = data[copied:start]
            written, copied = written + start - copied, offsets[row] + ends[span]
            span += 1
        rest[written : written + offsets[row + 1] - copied] = data[copied : offsets[row + 1]]
        written += offsets[row + 1] - copied
        rest_offsets[row + 1] = written
    return rest, rest_offsets


@kernel
def _compose(rows, starts, ends, cut_rows, cut_starts, cut_ends):
    """(rows, starts, ends) of both; `cut_*` are in bytes of the text from which the first spans are removed."""
    out = np.empty((3, len(rows) + len(cut_rows)), np.int64)
    n = i = j = 0
    while i < len(rows) or j < len(cut_rows):
        row = min(rows[i] if i < len(rows) else cut_rows[j], cut_rows[j] if j < len(cut_rows) else rows[i])
        removed = 0  # bytes of the row's first spans so far
        while j < len(cut_rows) and cut_rows[j] == row:
            while i < len(rows) and rows[i] == row and starts[i] - removed <= cut_starts[j]:
                n = _append(out, n, row, starts[i], ends[i])
                removed += ends[i] - starts[i]
                i += 1
            start = cut_starts[j] + removed
            while i < len(rows) and rows[i] == row and starts[i] - removed < cut_ends[j]:
                removed += ends[i] - starts[i]
                i += 1
            n = _append(out, n, row, start, cut_ends[j] + removed)
            j += 1
        while i < len(rows) and rows[i] == row:
            n = _append(out, n, row, starts[i], ends[i])
            i += 1
    return out[0, :n], out[1, :n], out[2, :n]


@kernel(inline="always")
def _append(out, n, row, start, end):
    """Write a span to out[:, n], or extend the last one that it touches; returns the number of spans then."""
    if n > 0 and out[0, n - 1] == row and out[2, n - 1] == start:
        out[2, n - 1] = end
        return n
    out[0, n], out[1, n], out[2, n] = row, start, end
    return n + 1
