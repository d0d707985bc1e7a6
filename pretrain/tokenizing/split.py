"""The split of documents into those that are trained on and those that are held out."""

import numpy as np
import pyarrow as pa

from pretrain.tokenizing.text_shards import id_hashes

_SEED = 2  # of the id hashes


def is_held_out(ids: pa.Array, fraction: float) -> np.ndarray:
    """bool[ids]: whether each document is held out.

    It follows from the id and `fraction` (0 to below 1) alone, so a document stays held out in every later run, and a
    larger fraction only adds documents.
    """
    return id_hashes(ids, _SEED) < fraction * 2**64
