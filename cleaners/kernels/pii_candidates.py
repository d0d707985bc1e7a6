"""Candidates for personal data: the few regions of a text in which `cleaners.pii` searches its patterns.

A candidate is a maximal run of the characters that a pattern and its conditions on both sides look at. It contains the
clue that every match has:

    bit        run of                                                clue
    EMAILS     letters, digits, "." and !#$%&'*+/=?^_`{|}~-@         an "@"
    ADDRESSES  letters, digits, "." and ":"                          1.1.1 or 2abc:
    NUMBERS    digits and +() .-, with 1 byte before and 2 after it  a digit and eight of 0-9() -

All of these are ASCII, so no candidate begins or ends within a character that matters.
"""

import numpy as np

from shards.compiled import kernel

EMAILS, ADDRESSES, NUMBERS = 1, 2, 4  # bits


def _table(characters: bytes) -> np.ndarray:
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table


_DIGITS = b"0123456789"
_ALNUM = _DIGITS + bytes(range(65, 91)) + bytes(range(97, 123))
_IN_EMAIL = _table(_ALNUM + b"!#$%&'*+/=?^_`{|}~-.@")
_IN_ADDRESS = _table(_ALNUM + b".:")
_IN_NUMBER = _table(_DIGITS + b"+() .-")
_IN_GROUP = _table(_DIGITS + b"() -")
_HEX = _table(_DIGITS + b"abcdefABCDEF")
_BIT_OF_CLUE = EMAILS * _table(b"@") + ADDRESSES * _table(b".:") + NUMBERS * _table(_DIGITS)


@kernel
def candidates(data, offsets, wanted):
    """int64 (rows, starts, ends, bits), ascending for each bit, in bytes of `data`. `wanted` is a sum of bits."""
    out = np.empty((4, 64), np.int64)
    n = 0
    seen = np.zeros(NUMBERS + 1, np.int64)  # the end of the last run, by bit
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        seen[:] = begin
        for i in range(begin, end):
            bit = _BIT_OF_CLUE[data[i]] & wanted
            if bit == 0 or i < seen[bit] or not _is_clue(data, i, begin, end, bit):
                continue
            run_start, run_end = i, i + 1
            while run_start > begin and _belongs(data[run_start - 1], bit):
                run_start -= 1
            while run_end < end and _belongs(data[run_end], bit):
                run_end += 1
            seen[bit] = run_end
            if bit == NUMBERS:
                run_start, run_end = max(run_start - 1, begin), min(run_end + 2, end)
            if n == out.shape[1]:
                grown = np.empty((4, 2 * n), np.int64)
                grown[:, :n] = out
                out = grown
            out[0, n], out[1, n], out[2, n], out[3, n] = row, run_start, run_end, bit
            n += 1
    return out[0, :n], out[1, :n], out[2, :n], out[3, :n]


@kernel(inline="always")
def _belongs(b, bit):
    if bit == EMAILS:
        return _IN_EMAIL[b]
    if bit == ADDRESSES:
        return _IN_ADDRESS[b]
    return _IN_NUMBER[b]


@kernel(inline="always")
def _is_clue(data, i, begin, end, bit):
    """Whether data[i] is an "@", the first dot of 1.1.1, the colon of 2abc:, or a digit before eight of a number."""
    b = data[i]
    if bit == EMAILS:
        return b == 0x40
    if bit == ADDRESSES:
        if b == 0x3A:
            return i - begin >= 4 and (data[i - 4] == 0x32 or data[i - 4] == 0x33) and _all(data, i - 3, 3, end, _HEX)
        if b == 0x2E and i > begin and _is_digit(data[i - 1]):
            j = i + 1
            while j < end and j - i <= 3 and _is_digit(data[j]):
                j += 1
            return j > i + 1 and j + 1 < end and data[j] == 0x2E and _is_digit(data[j + 1])
        return False
    return _is_digit(b) and _all(data, i + 1, 8, end, _IN_GROUP)


@kernel(inline="always")
def _is_digit(b):
    return 0x30 <= b <= 0x39


@kernel(inline="always")
def _all(data, start, size, end, table):
    same = start + size <= end
    i = start
    while same and i < start + size:
        same = table[data[i]]
        i += 1
    return same
