"""Read the ledger of a finished run by column: a row for every record, in the order of row addresses.

A command asks for the columns that it needs and gets each whole, as one Arrow array; the other columns are never
decompressed. Row numbers run through all units, so one number names a record in every column.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.recipe import Recipe, load_recipe
from pipelines.run.folder import RunFolder
from shards import mirror
from shards.errors import RunError
from shards.sink import open_arrow, read_batches, read_table
from shards.unit_key import UnitKey

NOT_DROPPED = -1  # the fate of a kept row, where fates are numbers of reasons


def word_counts(names: Sequence[str]) -> list[str]:
    """The metrics that count words: one, or one for each language that has a stage of its own."""
    return [name for name in names if name.endswith(".word_count")]


def words_of_rows(names: Sequence[str], column: Callable[[str], pa.Array]) -> pa.Array | None:
    """The words of each row, by the first such metric that it has; None where no metric counts words."""
    counted = word_counts(names)
    return pc.coalesce(*map(column, counted)) if counted else None


@dataclass
class Ledger:
    run: RunFolder
    recipe: Recipe
    keys: tuple[UnitKey, ...]  # the units, in the order of source, file and part: the order of row addresses
    _read: dict[str, pa.Array] = field(default_factory=dict)
    _starts: dict[Path, np.ndarray] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The ledger of a finished run; UserError for any other folder."""
        run = RunFolder(path)
        run.require_done()
        recipe = load_recipe(str(run.path(RunFolder.RECIPE)))
        ledger = cls.of(run, recipe)
        if not ledger.keys:
            raise RunError(f"{run}/ledger: missing; `gristmill verify {run}` reports what else is")
        run.require_units()
        return ledger

    @classmethod
    def of(cls, run: RunFolder, recipe: Recipe) -> Self:
        """The ledger of a run that need not be finished."""
        return cls(run, recipe, run.ledgers())

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        return tuple(self.run.path(RunFolder.ledger(key)) for key in self.keys)

    @cached_property
    def schema(self) -> pa.Schema:
        return open_arrow(self.paths[0]).schema

    @cached_property
    def first_rows(self) -> np.ndarray:
        """i64[units + 1]: the row at which each unit begins, then the number of rows."""
        return np.cumsum([0, *(open_arrow(path).count_rows() for path in mirror.ahead(self.paths))])

    @property
    def num_rows(self) -> int:
        return int(self.first_rows[-1])

    def column(self, name: str) -> pa.Array:
        if name not in self._read:
            self.load([name])
        return self._read[name]

    def load(self, names: Sequence[str]) -> None:
        """Read these columns together, opening each file once."""
        names = [name for name in dict.fromkeys(names) if name not in self._read]
        if unknown := [name for name in names if name not in self.schema.names]:
            raise RunError(
                f"{self.run}/ledger: has no column {', '.join(unknown)}: an older version made it; run again"
            )
        if names:
            table = pa.concat_tables([read_table(path, names) for path in mirror.ahead(self.paths)])
            for name in names:
                whole = table[name].combine_chunks()
                self._read[name] = whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole

    def parts(self, name: str) -> Iterator[tuple[int, pa.Array]]:
        """(number of the first row, values) of the column, batch by batch; nothing is kept in memory."""
        first = 0
        for path in mirror.ahead(self.paths):
            for batch in read_batches(path, [name]):
                yield first, batch[name]
                first += batch.num_rows

    def fates(self) -> tuple[np.ndarray, list[str]]:
        """(i16[rows], reasons): the first drop reason of each row as an index into `reasons`, or NOT_DROPPED."""
        numbers: dict[str, int] = {}
        parts = [np.zeros(0, np.int16)]
        for _, lists in self.parts("drop_reasons"):
            fates = np.full(len(lists), NOT_DROPPED, np.int16)
            offsets = lists.offsets.to_numpy()
            dropped = np.flatnonzero(np.diff(offsets))
            first = lists.values.take(pa.array(offsets[dropped])).dictionary_encode()
            known = [numbers.setdefault(reason, len(numbers)) for reason in first.dictionary.to_pylist()]
            fates[dropped] = np.array(known, np.int16)[first.indices.to_numpy()]
            parts.append(fates)
        return np.concatenate(parts), list(numbers)

    def counts(self, name: str) -> np.ndarray:
        """The integer column `name`, 0 where it is null."""
        values: np.ndarray = pc.fill_null(self.column(name), 0).to_numpy(zero_copy_only=False)
        return values

    def words(self) -> np.ndarray | None:
        """The words of each row, 0 where none were counted; None where the recipe counts none."""
        counted = words_of_rows(self.schema.names, self.column)
        return None if counted is None else pc.fill_null(counted, 0).to_numpy(zero_copy_only=False)

    def find(self, ids: pa.Array, among: np.ndarray) -> np.ndarray:
        """i64[ids]: the last row with each id among the rows of the mask `among`, -1 where there is none."""
        distinct = ids.unique()
        rows = np.full(len(distinct), -1, np.int64)
        position = pc.fill_null(pc.index_in(self.column("id"), value_set=distinct), -1).to_numpy()
        here = np.flatnonzero(among & (position >= 0))
        rows[position[here]] = here
        of_ids: np.ndarray = rows[pc.index_in(ids, value_set=distinct).to_numpy(zero_copy_only=False).astype(np.int64)]
        return of_ids

    def key_of(self, row: int) -> UnitKey:
        """The unit that holds `row`."""
        return self.keys[int(np.searchsorted(self.first_rows, row, side="right")) - 1]

    def rows(self, numbers: Sequence[int], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """These rows as plain values, in the order of `numbers`; only the batches that hold them are read."""
        rows: dict[int, dict[str, Any]] = {}
        for path, begin, end in zip(self.paths, self.first_rows[:-1], self.first_rows[1:], strict=True):
            wanted = sorted({n for n in numbers if begin <= n < end})
            if not wanted:
                continue
            starts = int(begin) + self._batch_starts(path)
            in_batch = np.searchsorted(starts, wanted, side="right") - 1
            numbers_of_batches = np.unique(in_batch).tolist()
            batches = read_batches(path, list(columns) if columns is not None else None, numbers_of_batches)
            for number, batch in zip(numbers_of_batches, batches, strict=True):
                here = [n for n, of in zip(wanted, in_batch.tolist(), strict=True) if of == number]
                taken = batch.take(pa.array([n - int(starts[number]) for n in here], pa.int64())).to_pylist()
                rows |= dict(zip(here, taken, strict=True))
        return [rows[n] for n in numbers]

    def _batch_starts(self, path: Path) -> np.ndarray:
        """i64[batches]: the row of the file at which each batch begins."""
        if path not in self._starts:
            lengths = [batch.num_rows for batch in read_batches(path, ["text_chars"])]
            self._starts[path] = np.cumsum([0, *lengths])[:-1]
        return self._starts[path]
