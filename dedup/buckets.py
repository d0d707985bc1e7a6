"""Buckets: documents whose keys are equal, found by one sort of eight-byte keys.

    keys     7 3 9 3 7 3          members  1 3 5 | 0 4
    number   0 1 2 3 4 5          sizes      3     2

Most keys of a crawl are unique, so whatever else is known of a document is fetched for members only.
"""

import numpy as np


def buckets(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(numbers of the documents that share their key, bucket by bucket in any order within, i64 sizes of the buckets).

    Holds 24 bytes a document for a moment, and 16 besides the keys themselves.
    """
    order = np.argsort(keys)
    in_order = keys[order]
    same = in_order[1:] == in_order[:-1]
    after, before = np.zeros((2, len(keys)), np.bool_)
    after[1:] = before[:-1] = same
    members = order[after | before]
    starts = np.flatnonzero((before & ~after)[after | before])
    return members, np.diff(np.append(starts, len(members)))
