"""The ledger of a run in batches of about `BATCH_ROWS` rows, however few rows its units have.

While a run is being made, the ledgers of small units also lie together, a file for each block (`pipelines.run.finish`),
and are read from there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.run.blocks import read_blocks
from pipelines.run.folder import RunFolder
from shards.sink import BATCH_ROWS, open_arrow, read_batches
from shards.unit_key import UnitKey


@dataclass(frozen=True)
class LedgerBatch:
    rows: pa.RecordBatch
    keys: tuple[UnitKey, ...]  # the units that hold the rows
    ends: np.ndarray  # i64: the row after each unit's last one

    def key_of(self, row: int) -> UnitKey:
        """The unit that holds `row`."""
        return self.keys[int(np.searchsorted(self.ends, row, side="right"))]


def ledger_batches(
    run: RunFolder, names: Sequence[str], optional: Sequence[str] = (), rows: int = BATCH_ROWS
) -> Iterator[LedgerBatch]:
    """All rows in the order of their addresses: the columns `names`, and those of `optional` that the ledger has.

    A batch has `rows` rows or fewer.

    RunError for a file that is missing, damaged, or lacks one of `names`.
    """
    parts: list[tuple[UnitKey, pa.RecordBatch]] = []
    num_rows, columns = 0, None
    for path, units in _files(run):
        if columns is None:
            stored = open_arrow(path).schema.names
            columns = [*names, *(name for name in optional if name in stored)]
        for key, batch in _by_unit(read_batches(path, columns), units):
            if parts and num_rows + batch.num_rows > rows:
                yield _joined(parts)
                parts, num_rows = [], 0
            parts.append((key, batch))
            num_rows += batch.num_rows
    if parts:
        yield _joined(parts)


def _files(run: RunFolder) -> Iterator[tuple[Path, list[tuple[UnitKey, int | None]]]]:
    """(file, units with their numbers of rows) of the whole ledger; a unit by itself has all rows of its file."""
    together = {*run.names(RunFolder.BLOCK_LEDGERS)}
    if not together:
        for key in run.ledgers():
            yield run.path(run.ledger(key)), [(key, None)]
        return
    for block in read_blocks(run, 0):
        units: list[tuple[UnitKey, int | None]] = [(UnitKey.parse(unit.key), unit.rows) for unit in block.units]
        if RunFolder.block_ledger(block.key) in together:
            yield run.path(RunFolder.block_ledger(block.key)), units
        else:
            for key, _ in units:
                yield run.path(run.ledger(key)), [(key, None)]


def _by_unit(
    batches: Iterator[pa.RecordBatch], units: list[tuple[UnitKey, int | None]]
) -> Iterator[tuple[UnitKey, pa.RecordBatch]]:
    """The rows of a file in pieces of one unit and one batch each."""
    left = iter(units)
    key, num_left = next(left)
    for batch in batches:
        first = 0
        while first < batch.num_rows:
            while num_left == 0:
                key, num_left = next(left)
            taken = batch.slice(first, num_left)
            yield key, taken
            first += taken.num_rows
            num_left = None if num_left is None else num_left - taken.num_rows


def _joined(parts: list[tuple[UnitKey, pa.RecordBatch]]) -> LedgerBatch:
    keys = tuple(key for key, _ in parts)
    ends = np.cumsum([batch.num_rows for _, batch in parts])
    if len(parts) == 1:
        return LedgerBatch(parts[0][1], keys, ends)
    (rows,) = pa.Table.from_batches([batch for _, batch in parts]).combine_chunks().to_batches()
    return LedgerBatch(rows, keys, ends)
