"""The split of documents into those that are trained on and those that are held out, by their texts.

A text that stands in two crawls has two records and so two ids, but one hash. Whichever source, shard or token folder
it comes in, it is held out everywhere or nowhere.
"""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import xxhash

_SEED = 2  # of the text hashes


def text_hashes(texts: pa.Array) -> np.ndarray:
    """uint64[texts], uniform over all 64-bit values: xxh3 of the UTF-8 bytes of each string; there are no nulls."""
    texts = texts.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    if data is None:  # there are no bytes at all
        data = pa.py_buffer(b"")
    bounds = np.frombuffer(offsets, np.int64)[texts.offset :][: len(texts) + 1].tolist() if len(texts) else [0]
    view = memoryview(data)
    hashes = (xxhash.xxh3_64_intdigest(view[a:b], _SEED) for a, b in pairwise(bounds))
    return np.fromiter(hashes, np.uint64, len(texts))


def is_held_out(hashes: np.ndarray, fraction: float) -> np.ndarray:
    """bool[n]: whether each document is held out, from uint64[n] `text_hashes` and `fraction` (0 to below 1) alone.

    A larger fraction only adds documents.
    """
    return hashes < fraction * 2**64
