"""The metrics of datatrove's `FineWebQualityFilter`."""

import numpy as np
import pyarrow as pa

from cleaners.datatrove.text import (
    SPACE,
    TERMINAL_PUNCTUATION,
    count_byte,
    count_chars,
    last_start,
    later_copies,
    new_set,
    split_at_newlines,
    stripped,
    traits,
)
from shards.compiled import kernel
from shards.unicode import decode, text_buffers
from shards.words import Words

# Columns of `_lines`; TEXT_CHARS leave out newlines.
ALL_LINES, PUNCTUATED, SHORT, COPIED_CHARS, TEXT_CHARS, NEWLINES = range(6)


def fineweb(text: pa.Array, words: Words, short_line_chars: int, line_ends: str | None) -> dict[str, np.ndarray]:
    """The metrics of `FineWebConfig` as `FineWebQualityFilter` has them. A text without lines has no punctuated ones.

    A line is not blank, and includes the white space around it: "An end. " is not punctuated.
    """
    marks = TERMINAL_PUNCTUATION if line_ends is None else line_ends
    c = _lines(*text_buffers(text), traits(), short_line_chars, np.array(sorted({*map(ord, marks)}), np.uint32))
    num_lines = np.maximum(c[:, ALL_LINES], 1)
    return {
        "punctuated_line_fraction": c[:, PUNCTUATED] / num_lines,
        "short_line_fraction": c[:, SHORT] / num_lines,
        "duplicate_line_char_fraction": c[:, COPIED_CHARS] / np.maximum(c[:, TEXT_CHARS], 1),
        "newlines_per_word": c[:, NEWLINES] / np.maximum(np.diff(words.rows), 1),
    }


@kernel
def _lines(data, offsets, traits, short_line_chars, marks):
    out = np.zeros((len(offsets) - 1, 6), np.int64)
    room = 1
    for row in range(len(offsets) - 1):
        newlines = count_byte(data, offsets[row], offsets[row + 1], 10)
        out[row, NEWLINES] = newlines
        out[row, TEXT_CHARS] = count_chars(data, offsets[row], offsets[row + 1]) - newlines
        room = max(room, newlines + 1)
    starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    units = new_set(room)
    for row in range(len(offsets) - 1):
        n = 0
        # Blank lines are left out, so empty lines make no difference.
        for line in range(split_at_newlines(data, offsets[row], offsets[row + 1], 1, starts, ends)):
            start, end = stripped(data, starts[line], ends[line], traits, SPACE)
            if start == end:
                continue
            starts[n], ends[n] = starts[line], ends[line]
            out[row, SHORT] += count_chars(data, starts[n], ends[n]) <= short_line_chars
            if end == ends[n]:
                last = decode(data, last_start(data, end))[0]
                for mark in marks:
                    out[row, PUNCTUATED] += last == mark
            n += 1
        out[row, ALL_LINES] = n
        out[row, COPIED_CHARS] = later_copies(data, starts, ends, n, units)[1]
    return out
