"""FNV-1a with 64 bits: hashes of bytes or code points, one value after the other.

h = FNV_START
for b in data: h = fnv_step(h, b)
"""

import numpy as np

from shards.compiled import kernel

FNV_START = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)


@kernel(inline="always")
def fnv_step(h, value):
    """The hash `h`, continued by a byte or a code point."""
    return (h ^ np.uint64(value)) * _PRIME


@kernel(inline="always")
def fnv_of(data, start, end):
    """The hash of the bytes data[start:end]."""
    h = FNV_START
    for i in range(start, end):
        h = fnv_step(h, data[i])
    return h
