"""Where a text may hold an address or a number: the few places where `cleaners.pii` tries its patterns.

A place is a maximal run of the characters that a pattern and its conditions on both sides look at, and holds what no
match can do without:

    EMAILS     run of letters, digits, "." and !#$%&'*+/=?^_`{|}~-@    an "@"
    ADDRESSES  run of letters, digits, "." and ":"                      1.1.1 or 2abc:
    NUMBERS    run of digits and +() .-, with a byte before, two behind  a digit and eight of 0-9() -

All of them are ASCII, so no place begins or ends inside of a character that matters.
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
def suspicious_places(data, offsets, wanted):
    """int64 (rows, starts, ends, bits), ascending for each bit; bytes of `data`. `wanted` is a sum of bits."""
    out = np.empty((4, 64), np.int64)
    n = 0
    seen = np.zeros(NUMBERS + 1, np.int64)  # by bit: the end of its last run
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        seen[:] = begin
        for i in range(begin, end):
            bit = _BIT_OF_CLUE[data[i]] & wanted
            if bit == 0 or i < seen[bit] or not _is_clue(data, i, begin, end, bit):
                continue
            first, behind = i, i + 1
            while first > begin and _belongs(data[first - 1], bit):
                first -= 1
            while behind < end and _belongs(data[behind], bit):
                behind += 1
            seen[bit] = behind
            if bit == NUMBERS:
                first, behind = max(first - 1, begin), min(behind + 2, end)
            if n == out.shape[1]:
                grown = np.empty((4, 2 * n), np.int64)
                grown[:, :n] = out
                out = grown
            out[0, n], out[1, n], out[2, n], out[3, n] = row, first, behind, bit
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
    """Whether data[i] is an "@", the first dot of 1.1.1, the colon of 2abc:, a digit with eight of a number behind."""
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
