"""Verdict files: the rows that a global stage removes, and how many copies each representative stands for.

    folder/<key>.arrow            row, twin, similarity      of each removed row; the twin is its representative
    folder/<key>.columns.arrow    row, copies                of each representative

A representative takes over the copies of the rows removed for it: its `copies` grows by theirs and one more for each.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dedup.files.documents import format_ids
from shards.exchange import VERDICTS, Block, columns_path
from shards.schema import COPIES
from shards.sink import ArrowSink

NOT_HERE = np.uint64(2**64 - 1)  # the address of a document that is in no unit of this run
_COLUMNS = pa.schema([pa.field("row", pa.int64()), COPIES])


def write_verdicts(
    folder: Path,
    units: Sequence[Block],
    removed: np.ndarray,
    twins: np.ndarray,
    similarities: np.ndarray,
    kept: np.ndarray | None = None,
) -> None:
    """Write verdicts: `removed` u64[n] addresses, each once, `twins` u64[n, 2] ids of their representatives.

    `similarities` are f64[n]. With `kept` u64[n], the addresses of the representatives, their `copies` are written too.
    """
    order = np.argsort(removed)
    removed, twins, similarities = removed[order], twins[order], similarities[order]
    for unit, rows, part in _by_unit(units, removed):
        columns = [pa.array(rows), format_ids(twins[part]), pa.array(similarities[part])]
        with ArrowSink(folder / f"{unit.key}.arrow", VERDICTS, synced=False) as sink:
            sink.write(pa.RecordBatch.from_arrays(columns, schema=VERDICTS))
    if kept is not None:
        addresses, inverse = np.unique(kept[order], return_inverse=True)
        copies = _copies(units, addresses)
        np.add.at(copies, inverse, _copies(units, removed) + 1)
        write_copies(folder, units, addresses, copies)


def write_copies(folder: Path, units: Sequence[Block], addresses: np.ndarray, copies: np.ndarray) -> None:
    """Write `copies` i64[n] of the rows at `addresses` u64[n], which ascend; addresses of no unit are skipped."""
    for unit, rows, part in _by_unit(units, addresses):
        with ArrowSink(columns_path(folder / f"{unit.key}.arrow"), _COLUMNS, synced=False) as sink:
            sink.write(pa.RecordBatch.from_arrays([pa.array(rows), pa.array(copies[part])], schema=_COLUMNS))


def _by_unit(units: Sequence[Block], addresses: np.ndarray) -> list[tuple[Block, np.ndarray, slice]]:
    """(unit, i64 rows, slice of `addresses`) of each unit that holds some of `addresses`, which ascend."""
    parts = []
    for unit in units:
        first, end = np.searchsorted(addresses, np.array([unit.number, unit.number + 1], np.uint64) << np.uint64(32))
        if first < end:
            rows = (addresses[first:end] & np.uint64(0xFFFFFFFF)).astype(np.int64)
            parts.append((unit, rows, slice(int(first), int(end))))
    return parts


def _copies(units: Sequence[Block], addresses: np.ndarray) -> np.ndarray:
    """i64: copies that earlier stages counted for the rows at `addresses`, which ascend; 0 for addresses of no unit."""
    copies = np.zeros(len(addresses), np.int64)
    for unit, rows, part in _by_unit(units, addresses):
        if COPIES.name in unit.columns():
            counted = np.zeros(int(rows[-1]) + 1, np.int64)
            for batch_rows, batch in unit.batches([COPIES.name]):
                inside = batch_rows < len(counted)
                counted[batch_rows[inside]] = batch[COPIES.name].to_numpy(zero_copy_only=False)[inside]
            copies[part] = counted[rows]
    return copies
