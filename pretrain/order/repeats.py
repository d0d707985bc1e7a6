"""How often an epoch has each document: its weight, times what the mixture says of its bucket."""

from collections.abc import Mapping

import numpy as np
import pyarrow.compute as pc

from shards.errors import UserError
from shards.tokens import MAX_WEIGHT, TokenDocuments

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: multiplying by it spreads the hashes anew


def document_repeats(name: str, documents: TokenDocuments, repeat: Mapping[str, float]) -> np.ndarray:
    """int64[documents], each 0 … MAX_WEIGHT; `repeat` is by bucket, and 1 for those that it does not name.

    Where the product is no whole number, as many documents as its fraction says have one repeat more; which ones
    follows from their texts. UserError, with the source's `name`, for a bucket that no document has.
    """
    if not repeat:
        weights: np.ndarray = documents.weights
        return weights
    buckets = pc.dictionary_encode(documents.column("bucket")).combine_chunks()
    known = buckets.dictionary.to_pylist()
    if unknown := sorted(repeat.keys() - set(known)):
        raise UserError(
            f"source {name}: repeat names the bucket {unknown[0]!r}, which no document has; known are "
            f"{', '.join(map(repr, sorted(known)))}; `gristmill tokenize --bucket` makes them"
        )
    factors = np.array([repeat.get(bucket, 1.0) for bucket in known])
    exact = documents.weights * factors[buckets.indices.to_numpy()]
    draw = (documents.column("text_hash").to_numpy() * _ODD >> np.uint64(11)) / 2.0**53
    repeats: np.ndarray = np.minimum(np.floor(exact) + (draw < exact % 1), MAX_WEIGHT).astype(np.int64)
    return repeats
