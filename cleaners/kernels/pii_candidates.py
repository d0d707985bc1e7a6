"""Candidates for personal data: the few regions of a text in which `cleaners.pii` searches its patterns.

A candidate is a maximal run of the bytes that a pattern and its conditions on both sides look at. It contains the clue
that every match has:

    bit        run of                                                       clue
    EMAILS     letters, digits, "." and !#$%&'*+/=?^_`{|}~-@, beyond ASCII  "@" or "＠"
               every byte
    ADDRESSES  letters, digits, "." and ":"                                 1.1.1 or 2abc:
    NUMBERS    digits and +() .-, also full-width, no-break space and       a digit and eight bytes of 0-9() -,
               hyphens, with a character before it and two after it         also full-width

A run may begin or end within a character, which no pattern matches.
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
_BEYOND_ASCII = bytes(range(128, 256))
# The bytes of U+00A0, U+3000, U+2010 to U+2013 and of full-width ()+-.0123456789; other characters have some, too.
_WIDE = bytes(
    {byte for char in "\u00a0\u3000\u2010\u2011\u2012\u2013（）＋－．０１２３４５６７８９" for byte in char.encode()}
)
_IN_EMAIL = _table(_ALNUM + b"!#$%&'*+/=?^_`{|}~-.@" + _BEYOND_ASCII)
_IN_ADDRESS = _table(_ALNUM + b".:")
_IN_NUMBER = _table(_DIGITS + b"+() .-" + _WIDE)
_IN_GROUP = _table(_DIGITS + b"() -" + _WIDE)
_HEX = _table(_DIGITS + b"abcdefABCDEF")
_FULL_WIDTH = 0xEF  # first byte of these letters: EF BC 90 is ０, EF BC A0 is ＠
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
            bit = (_BIT_OF_CLUE[data[i]] if data[i] != _FULL_WIDTH else _bit_of_full_width(data, i)) & wanted
            if bit == 0 or i < seen[bit] or not _is_clue(data, i, begin, end, bit):
                continue
            run_start, run_end = i, i + 1
            while run_start > begin and _belongs(data[run_start - 1], bit):
                run_start -= 1
            while run_end < end and _belongs(data[run_end], bit):
                run_end += 1
            seen[bit] = run_end
            if bit == NUMBERS:
                run_start, run_end = max(run_start - 3, begin), min(run_end + 6, end)
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
        return True
    if bit == ADDRESSES:
        if b == 0x3A:
            return i - begin >= 4 and (data[i - 4] == 0x32 or data[i - 4] == 0x33) and _all(data, i - 3, 3, end, _HEX)
        if b == 0x2E and i > begin and _is_digit(data[i - 1]):
            j = i + 1
            while j < end and j - i <= 3 and _is_digit(data[j]):
                j += 1
            return j > i + 1 and j + 1 < end and data[j] == 0x2E and _is_digit(data[j + 1])
        return False
    return _all(data, i + 1, 8, end, _IN_GROUP)


@kernel(inline="always")
def _bit_of_full_width(data, i):
    """The bit of the full-width character at `i`, which has three bytes."""
    if data[i + 1] != 0xBC:
        return 0
    return EMAILS if data[i + 2] == 0xA0 else NUMBERS if 0x90 <= data[i + 2] <= 0x99 else 0


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
