"""Pieces of text, at whose starts a string of words may begin, and lookups in a suffix array of their starts.

A piece is a run of letters, marks and digits, an ideograph with its marks, or any other character that is no space:

    "See the mill, 2024年"    ->    See | the | mill | , | 2024 | 年

    data       uint8: texts one after the other, each with a byte `END` after it, which no UTF-8 has
    suffixes   uint32 or uint64: starts of pieces, in the order of the bytes from there on
"""

import numpy as np

from shards.compiled import kernel
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, SPACE, decode

END = 0xFF


@kernel
def piece_spans(data, start, end, classes, starts, ends):
    """Write [starts[k], ends[k]) of each piece of data[start:end]; returns their number, at most `end - start`."""
    n = 0
    inside = False  # of a run that letters continue
    touching = False  # of a piece that marks continue
    i = start
    while i < end:
        c, after = decode(data, i)
        kind = classes[c]
        if kind == SPACE:
            inside = touching = False
        elif touching and (kind == MARK or (inside and kind in (LETTER, NUMBER))):
            ends[n - 1] = after
        else:
            starts[n], ends[n] = i, after
            n += 1
            inside = kind in (LETTER, NUMBER, MARK)
            touching = inside or kind == IDEOGRAPH
        i = after
    return n


@kernel
def mark_starts(data, first, classes, is_start):
    """Set is_start[i] where a piece begins; text t is data[first[t]:first[t + 1] - 1]."""
    longest = np.int64(0)
    for t in range(len(first) - 1):
        longest = max(longest, first[t + 1] - first[t])
    starts, ends = np.empty(longest, np.int64), np.empty(longest, np.int64)
    for t in range(len(first) - 1):
        for k in range(piece_spans(data, first[t], first[t + 1] - 1, classes, starts, ends)):
            is_start[starts[k]] = True


@kernel
def suffix_range(data, suffixes, query):
    """[low, high) of the suffixes that begin with the bytes of `query`."""
    bounds = np.empty(2, np.int64)
    for side in range(2):
        low, high = np.int64(0), np.int64(len(suffixes))
        while low < high:
            middle = (low + high) // 2
            order = _compare(data, np.int64(suffixes[middle]), query)
            if order < 0 or (side == 1 and order == 0):
                low = middle + 1
            else:
                high = middle
        bounds[side] = low
    return bounds[0], bounds[1]


@kernel
def longest_prefix(data, suffixes, text, start):
    """The most bytes from text[start] on with which a suffix begins: those of a neighbour of its place among them."""
    low, high = np.int64(0), np.int64(len(suffixes))
    rest = text[start:]
    while low < high:
        middle = (low + high) // 2
        if _compare(data, np.int64(suffixes[middle]), rest) < 0:
            low = middle + 1
        else:
            high = middle
    most = np.int64(0)
    for k in (low - 1, low):
        if k < 0 or k == len(suffixes):
            continue
        most = max(most, _common(data, np.int64(suffixes[k]), rest))
    return most


@kernel
def whole_places(data, suffixes, low, high, length, classes, found):
    """Write the places of those suffixes in [low, high) whose first `length` bytes end a piece; returns how many."""
    n = 0
    for k in range(low, high):
        place = np.int64(suffixes[k])
        if not _continues(data, place + length, classes):
            found[n] = place
            n += 1
    return n


@kernel
def next_piece(data, place, classes):
    """[start, end) of the first piece from `place` on; empty where the text ends before one."""
    i = place
    while i < len(data) and data[i] != END:
        c, after = decode(data, i)
        if classes[c] != SPACE:
            end = after
            while end < len(data) and _continues(data, end, classes):
                _, end = decode(data, end)
            return i, end
        i = after
    return i, i


@kernel
def _continues(data, end, classes):
    """Whether the character at `end` continues the piece before it."""
    if end >= len(data) or data[end] == END:
        return False
    kind = classes[decode(data, end)[0]]
    if kind not in (LETTER, NUMBER, MARK):
        return False
    i = end - 1
    while data[i] & 0xC0 == 0x80:
        i -= 1
    before = classes[decode(data, i)[0]]
    if kind == MARK:
        return before in (LETTER, NUMBER, MARK, IDEOGRAPH)
    if before != MARK:
        return before in (LETTER, NUMBER)
    while before == MARK and i > 0 and data[i - 1] != END:  # the marks of a letter, or of an ideograph
        i -= 1
        while data[i] & 0xC0 == 0x80:
            i -= 1
        before = classes[decode(data, i)[0]]
    return before != IDEOGRAPH


@kernel
def _compare(data, place, query):
    """-1, 0 or 1: the bytes at `place` are before `query`, begin with it, or are after it."""
    for k in range(len(query)):
        if place + k >= len(data) or data[place + k] < query[k]:
            return -1
        if data[place + k] > query[k]:
            return 1
    return 0


@kernel
def _common(data, place, query):
    """How many bytes at `place` are those of `query`."""
    k = 0
    while k < len(query) and place + k < len(data) and data[place + k] == query[k]:
        k += 1
    return k
