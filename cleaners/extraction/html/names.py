"""Names of elements and attributes as two 64-bit words, and tables that number some of them.

A name of up to 16 bytes in lower case is its two words, so that a look-up cannot mistake one name for another. Longer
names are in no table; their second word is a hash, by which an end tag finds its start tag.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cleaners.extraction.html.search import word_of
from shards.compiled import kernel

NAME_BYTES = 16
_SLOTS = 1024  # a power of two, several times the number of names: one or two probes a look-up
_MIX = np.uint64(0x9E3779B97F4A7C15)
_EACH = np.uint64(0x0101010101010101)


class NameWords(NamedTuple):
    """The two words of a name, and the slot of a table where the search for it begins."""

    low: int
    high: int
    slot: int


def words_of(name: str) -> NameWords:
    low, high = int.from_bytes(name[:8].encode(), "little"), int.from_bytes(name[8:].encode(), "little")
    return NameWords(low, high, int(((low ^ (high * 31)) * int(_MIX) & (1 << 64) - 1) >> 54))


def table_of(names: Sequence[str], first: int) -> np.ndarray:
    """uint64[slots, 3] of (low, high, number) for `look_up`; names are numbered from `first`, which is above 0."""
    table = np.zeros((_SLOTS, 3), np.uint64)
    for number, name in enumerate(names, first):
        assert number > 0
        assert len(name.encode()) <= NAME_BYTES
        low, high, slot = words_of(name)
        while table[slot, 2]:
            slot = (slot + 1) % _SLOTS
        table[slot] = low, high, number
    return table


@kernel
def look_up(table, low, high, num_bytes):
    """The number of a name, or 0 if the table does not have it."""
    if num_bytes > NAME_BYTES:
        return 0
    slot = np.intp(((low ^ (high * np.uint64(31))) * _MIX) >> np.uint64(54))
    while table[slot, 2] != 0:
        if table[slot, 0] == low and table[slot, 1] == high:
            return np.intp(table[slot, 2])
        slot = (slot + 1) & (_SLOTS - 1)
    return 0


@kernel
def pack(data, start, end):
    """(low, high) of the name in data[start:end], in lower case for ASCII."""
    low = _lower(word_of(data, start, end)) if end > start else np.uint64(0)
    high = _lower(word_of(data, start + 8, end)) if end > start + 8 else np.uint64(0)
    for k in range(start + NAME_BYTES, end):
        c = np.uint64(data[k])
        if np.uint64(65) <= c <= np.uint64(90):
            c |= np.uint64(32)
        high = (high ^ c) * _MIX
    return low, high


@kernel(inline="always")
def _lower(word):
    """The word with its bytes from "A" to "Z" in lower case."""
    low_bits = word & (_EACH * np.uint64(0x7F))
    from_a = low_bits + _EACH * np.uint64(0x80 - 0x41)  # the high bit of a byte is set from "A" on
    after_z = low_bits + _EACH * np.uint64(0x7F - 0x5A)
    return word | ((from_a ^ after_z) & ~word & (_EACH * np.uint64(0x80))) >> np.uint64(2)
