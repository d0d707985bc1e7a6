"""Weights of documents: how often an epoch has each one, from a column of the text shards (`rehydrate.weight`).

The column `copies` counts what deduplication removed for a document, so its weight is one more: an epoch has it as
often as it stood in the crawl.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.errors import UserError
from shards.schema import COPIES
from shards.sink import open_arrow
from shards.tokens import MAX_WEIGHT


def check_weight_column(shard: Path, column: str) -> None:
    """UserError where the text shard lacks the integer column `column`."""
    schema = open_arrow(shard).schema
    if column not in schema.names:
        raise UserError(
            f"{shard}: no column {column}, which --repeat-by names; a stage of kind rehydrate adds rehydrate.weight, "
            "or leave --repeat-by out"
        )
    if not pa.types.is_integer(kind := schema.field(column).type):
        raise UserError(f"{shard}: column {column}: expected whole numbers, found {kind}; name another column")


def document_weights(batch: pa.RecordBatch, shard: Path, column: str | None) -> pa.Array:
    """int64[rows], each 0 … MAX_WEIGHT: the values of `column`, and 1 where it is null or there is no column.

    A null stands where the stage that wrote the column did not measure the document. Of `copies` it is one more, and
    MAX_WEIGHT at most, since pages of thousands of copies are no mistake there. UserError for a value outside
    the range; `shard` names the file in its message.
    """
    if column is None:
        return pa.array(np.ones(batch.num_rows, np.int64))
    weights = pc.fill_null(batch[column].cast(pa.int64()), 1)
    if column == COPIES.name:
        weights = pc.min_element_wise(pc.add(pc.fill_null(batch[column].cast(pa.int64()), 0), 1), MAX_WEIGHT)
    values = weights.to_numpy()
    if len(wrong := np.flatnonzero((values < 0) | (values > MAX_WEIGHT))):
        raise UserError(
            f"{shard}: column {column}: expected weights of 0 … {MAX_WEIGHT}, document {batch['id'][int(wrong[0])]} "
            f"has {values[wrong[0]]}; name another column"
        )
    return weights
