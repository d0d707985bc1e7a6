"""Buckets of documents, such as their quality, from a column of the text shards. A mixture repeats each as it says.

    a score 0 … 1      0, 0.05, 0.95, 1      "0", "0", "9", "9"      its tenth
    copies             0, 1, 2, 98, 999      "1", "2", "3-4", "5-99", "1000-"
    others             "news", 3             "news", "3"

`copies` counts what deduplication removed for a document. Its buckets are those of FineWeb2 (Penedo et al. 2025, arXiv
2506.20920) for the number of documents that stood in the crawl, with the one that is kept.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.errors import UserError
from shards.schema import COPIES
from shards.sink import open_arrow

_TENTHS = 10
_SIZES = {1: "1", 2: "2", 3: "3-4", 5: "5-99", 100: "100-999", 1000: "1000-"}  # by the smallest


def check_bucket_column(shard: Path, column: str) -> None:
    """UserError where the text shard lacks the column, or where it holds neither strings nor numbers."""
    schema = open_arrow(shard).schema
    if column not in schema.names:
        raise UserError(f"{shard}: no column {column}, which --bucket names; name another column, or leave it out")
    kind = schema.field(column).type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating)
    if not any(test(kind) for test in tests):
        raise UserError(f"{shard}: column {column}: expected strings or numbers, found {kind}; name another column")


def document_buckets(batch: pa.RecordBatch, shard: Path, column: str | None) -> pa.Array:
    """string[rows]: the buckets by `column`; "" for null or no column.

    UserError for a score outside the range; `shard` names the file in its message.
    """
    if column is None:
        return pa.array([""] * batch.num_rows, pa.string())
    values = batch[column]
    if column == COPIES.name and pa.types.is_integer(values.type):
        sizes = pc.fill_null(values, 0).to_numpy() + 1
        names = np.array(list(_SIZES.values()))[np.searchsorted(list(_SIZES), sizes, side="right") - 1]
        values = pc.if_else(values.is_null(), None, pa.array(names))
    if pa.types.is_floating(values.type):
        scores = pc.fill_null(values, 0.0).to_numpy()
        if len(wrong := np.flatnonzero(~((scores >= 0) & (scores <= 1)))):
            raise UserError(
                f"{shard}: column {column}: expected scores from 0 to 1, document {batch['id'][int(wrong[0])]} has "
                f"{scores[wrong[0]]}; name another column"
            )
        tenths = pa.array(np.minimum(scores * _TENTHS, _TENTHS - 1).astype(np.int64))
        values = pc.if_else(values.is_null(), None, tenths)
    return pc.fill_null(values.cast(pa.string()), "")
