"""Buckets of documents with equal keys, found by a filter and a sort of what passes it.

    keys     7 3 9 3 7 3          members  1 3 5 | 0 4
    number   0 1 2 3 4 5          sizes      3     2

Most keys of a crawl are unique: a table of bytes, four or more a key, drops most of those before the sort. What else is
stored of a document is read for members only.
"""

import numpy as np

from shards.compiled import kernel

_MIX = np.uint64(0x9E3779B97F4A7C15)


def buckets(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(numbers of the documents that share their key, bucket by bucket, in any order within; i64 sizes of the buckets).

    Takes up to 40 bytes a document, if all share their keys.
    """
    candidates = _candidates(keys, max(8, (4 * len(keys) - 1).bit_length()))
    keys = keys[candidates]
    order = np.argsort(keys)
    in_order = keys[order]
    same = in_order[1:] == in_order[:-1]
    after, before = np.zeros((2, len(keys)), np.bool_)
    after[1:] = before[:-1] = same
    members = candidates[order[after | before]]
    starts = np.flatnonzero((before & ~after)[after | before])
    return members, np.diff(np.append(starts, len(members)))


@kernel
def _candidates(keys: np.ndarray, bits: int) -> np.ndarray:
    """i64 numbers, ascending, of keys whose slot of 2^bits is taken twice: all repeated keys, and some others."""
    shift = np.uint64(64 - bits)
    seen = np.zeros(1 << bits, np.uint8)
    for key in keys:
        slot = (key * _MIX) >> shift
        seen[slot] = min(seen[slot] + np.uint8(1), np.uint8(2))
    count = 0
    for key in keys:
        count += seen[(key * _MIX) >> shift] == 2
    candidates = np.empty(count, np.int64)
    count = 0
    for number in range(len(keys)):
        if seen[(keys[number] * _MIX) >> shift] == 2:
            candidates[count] = number
            count += 1
    return candidates
