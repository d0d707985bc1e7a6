"""What the line rules of C4, FineWeb and the Chinese recipes look at, for all lines of a batch in one kernel.

A line ends at a newline and holds a word (`shards.words`); it runs from its first word to the end of its last.
"""

import numpy as np
from numba import njit

from cleaners.sentences import count_sentences
from shards.unicode import decode
from shards.words import max_words, word_spans

# Columns of `line_shapes`; START and END are byte offsets, FIRST and LAST code points, HASH is of the line's bytes.
ROW, START, END, CHARS, WORDS, LONGEST_WORD, FIRST, LAST, ENDS_IN_DOTS, SENTENCES, HASH = range(11)


@njit(cache=True)
def line_shapes(data, offsets, classes, lowercase):  # type: ignore[no-untyped-def]
    """int64[lines, 11]: one row for each line of the texts in data[offsets[r]:offsets[r + 1]], in order.

    CHARS are code points, white space inside the line counted, LONGEST_WORD those of its longest word. ENDS_IN_DOTS
    says that the line ends in "...".
    """
    rows = len(offsets) - 1
    num_newlines = 0
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
        for i in range(offsets[row], offsets[row + 1]):
            num_newlines += data[i] == 10
    out = np.zeros((num_newlines + rows, 11), np.int64)
    starts = np.empty(max_words(longest), np.int64)
    ends = np.empty(max_words(longest), np.int64)

    line = 0
    for row in range(rows):
        n = word_spans(data, offsets[row], offsets[row + 1], classes, starts, ends)
        w = 0
        while w < n:
            first = w
            longest_word = _chars(data, starts[w], ends[w])
            while w + 1 < n and not _newline_in(data, ends[w], starts[w + 1]):
                w += 1
                longest_word = max(longest_word, _chars(data, starts[w], ends[w]))
            out[line, ROW] = row
            out[line, WORDS] = w + 1 - first
            out[line, LONGEST_WORD] = longest_word
            _shape(data, starts[first], ends[w], classes, lowercase, out[line])
            line += 1
            w += 1
    return out[:line]


@njit(cache=True)
def _shape(data, start, end, classes, lowercase, out):  # type: ignore[no-untyped-def]
    out[START], out[END] = start, end
    out[FIRST] = decode(data, start)[0]
    chars = 0
    h = np.uint64(0xCBF29CE484222325)  # FNV-1a over code points
    c = np.uint32(0)
    i = start
    while i < end:
        c, i = decode(data, i)
        h = (h ^ np.uint64(c)) * np.uint64(0x100000001B3)
        chars += 1
    out[CHARS], out[LAST], out[HASH] = chars, c, np.int64(h)
    out[ENDS_IN_DOTS] = end - start >= 3 and data[end - 1] == 0x2E and data[end - 2] == 0x2E and data[end - 3] == 0x2E
    out[SENTENCES] = count_sentences(data, start, end, classes, lowercase)


@njit(cache=True, inline="always")
def _chars(data, start, end):  # type: ignore[no-untyped-def]
    chars = 0
    for i in range(start, end):
        chars += (data[i] & 0xC0) != 0x80
    return chars


@njit(cache=True, inline="always")
def _newline_in(data, start, end):  # type: ignore[no-untyped-def]
    found = False
    for i in range(start, end):
        found |= data[i] == 10
    return found


def later_copies(lines: np.ndarray) -> np.ndarray:
    """bool[lines]: whether an equal line stands before it in the same text."""
    # A sort of single 64-bit keys is ten times faster than one of pairs; a multiple of the row keeps rows apart.
    keys = lines[:, HASH] + lines[:, ROW] * np.int64(-0x61C8864680B583EB)
    later = np.ones(len(lines), np.bool_)
    later[np.unique(keys, return_index=True)[1]] = False
    return later


def code_points(characters: str) -> np.ndarray:
    """What FIRST and LAST can be compared with by `np.isin`."""
    return np.array([ord(c) for c in characters], np.int64)
