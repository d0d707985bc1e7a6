"""Spans of text, [start, end) in bytes of a row's UTF-8, and cutting them out."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from shards.unicode import text_buffers


def cut(text: pa.LargeStringArray, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> pa.LargeStringArray:
    """`text` without the spans: by offsets, so a passage that also stands elsewhere in the row stays there.

    Spans ascend by (row, start), do not overlap, and begin and end between characters.
    """
    data, offsets = text_buffers(text)
    left, left_offsets = _copy_between(data, offsets, rows, starts, ends)
    result = pa.LargeStringArray.from_buffers(len(text), pa.py_buffer(left_offsets), pa.py_buffer(left))
    return pc.if_else(text.is_valid(), result, None) if text.null_count else result


@njit(cache=True)
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
