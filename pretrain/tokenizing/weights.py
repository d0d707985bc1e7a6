"""How often an epoch has each document: a column of the text shards, such as `rehydrate.weight`."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.errors import UserError
from shards.sink import open_arrow
from shards.tokens import MAX_WEIGHT


def check_weights(shard: Path, column: str) -> None:
    schema = open_arrow(shard).schema
    if column not in schema.names:
        raise UserError(
            f"{shard}: no column {column}, that --repeat-by names; a stage of kind rehydrate gives rehydrate.weight, "
            "or leave --repeat-by out"
        )
    if not pa.types.is_integer(found := schema.field(column).type):
        raise UserError(f"{shard}: column {column}: expected whole numbers, found {found}; name another column")


def weights_of(batch: pa.RecordBatch, shard: Path, column: str | None) -> pa.Array:
    """int64: what `column` says; 1 where it is null, since the stage was not for that document, or without a column."""
    if column is None:
        return pa.array(np.ones(batch.num_rows, np.int64))
    weights = pc.fill_null(batch[column].cast(pa.int64()), 1)
    found = weights.to_numpy()
    if len(wrong := np.flatnonzero((found < 0) | (found > MAX_WEIGHT))):
        raise UserError(
            f"{shard}: column {column}: expected weights of 0 … {MAX_WEIGHT}, document {batch['id'][int(wrong[0])]} "
            f"has {found[wrong[0]]}; name another column"
        )
    return weights
