"""What a global stage is: it reads the live rows of all units and leaves verdicts, as files.

    work/<pass>/<unit>.text.arrow ──▶ resolve ──▶ work/<pass>/<stage>/<unit>.arrow           (row, twin, similarity)
                                                  work/<pass>/<stage>/<unit>.spans.arrow     (row, start, end, …)
                                                  work/<pass>/<stage>/<unit>.columns.arrow   (row, what it adds)

Who reads a unit gets it without the rows that verdicts removed, without the spans that were cut, and with the columns
that were added. Nothing is handed over in a process's memory, so the result is the same for any number of workers, and
a killed stage goes on from the files that it finished.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pyarrow as pa

from shards.config import Config
from shards.sink import open_arrow, read_batches, read_table
from shards.spans import cut
from shards.stage import with_columns

VERDICTS = pa.schema(
    [
        pa.field("row", pa.int64()),  # index of the row in the unit's text file; ascending
        pa.field("twin", pa.string()),  # id of the kept document
        pa.field("similarity", pa.float64()),
    ]
)
SPANS = pa.schema(
    [
        pa.field("row", pa.int64()),  # as in VERDICTS; by (row, start), disjoint, and of rows that stay
        pa.field("start", pa.int64()),  # byte of the text at which the span begins, between characters
        pa.field("end", pa.int64()),
        pa.field("chars", pa.int64()),  # characters between them
        pa.field("twin", pa.string()),  # id of the document, perhaps the same, in which the passage stands too
        pa.field("twin_start", pa.int64()),  # byte of its text at which the window stands that the span begins in
    ]
)


def spans_path(verdicts: Path) -> Path:
    """Where a stage that leaves `verdicts` for a unit also leaves the spans to cut from it."""
    return verdicts.with_name(verdicts.name.removesuffix(".arrow") + ".spans.arrow")


def columns_path(verdicts: Path) -> Path:
    """Where it leaves the columns that it adds: `row`, ascending, and the stage's `columns()`."""
    return verdicts.with_name(verdicts.name.removesuffix(".arrow") + ".columns.arrow")


@dataclass(frozen=True)
class ExchangeUnit:
    """One unit as a global stage sees it: the rows that the pass kept, less those removed by global stages before."""

    number: int  # 0, 1, … in the order of source, file and part: the high half of a row address
    key: str  # file-name stem, "web-00003-000"
    text: Path  # Arrow IPC file with PROVENANCE, text and what local stages added
    verdicts: tuple[Path, ...] = ()  # of earlier global stages of the same pass; a missing file means none
    added: tuple[pa.Field, ...] = ()  # columns of those stages

    def columns(self) -> list[str]:
        """All that `batches` can give: those of the text file, then those that stages added."""
        return list(dict.fromkeys([*open_arrow(self.text).schema.names, *(field.name for field in self.added)]))

    def alive(self) -> np.ndarray:
        """bool[rows of the text file]: rows that no earlier verdict removed."""
        alive = np.ones(open_arrow(self.text).count_rows(), np.bool_)
        for path in self.verdicts:
            if path.exists():
                alive[read_table(path)["row"].to_numpy()] = False
        return alive

    def batches(self, columns: list[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """(row numbers int64[n], n live rows) of the text file, batch by batch, cut as stages before have said."""
        alive, first = self.alive(), 0
        spans = [path for path in map(spans_path, self.verdicts) if path.exists()] if "text" in columns else []
        cuts = [read_table(path, ["row", "start", "end"]) for path in spans]
        stored = open_arrow(self.text).schema.names
        asked = [field for field in self.added if field.name in columns]
        tables = self._tables() if asked else []
        for batch in read_batches(self.text, [c for c in columns if c in stored] or ["id"]):
            for found in cuts:
                batch = _cut(batch, first, *(found[name].to_numpy() for name in ("row", "start", "end")))
            for field in asked:
                batch = _with_added(batch, first, field, tables)
            batch = batch.select(columns)
            mask = alive[first : first + batch.num_rows]
            yield first + np.flatnonzero(mask), batch if mask.all() else batch.filter(pa.array(mask))
            first += batch.num_rows

    def added_column(self, field: pa.Field) -> pa.Array:
        """The column `field` of all rows of the text file, also of those that verdicts removed."""
        stored = open_arrow(self.text).schema.names
        names = list(dict.fromkeys(["id", *({field.name} & set(stored))]))
        parts, first = [pa.array([], field.type)], 0
        for batch in read_batches(self.text, names):
            parts.append(_with_added(batch, first, field, self._tables())[field.name])
            first += batch.num_rows
        return pa.concat_arrays(parts)

    def _tables(self) -> list[pa.Table]:
        return [read_table(path) for path in map(columns_path, self.verdicts) if path.exists()]


def _cut(batch: pa.RecordBatch, first: int, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> pa.RecordBatch:
    """`batch`, which begins at row `first`, without the spans in its texts."""
    begin, end = np.searchsorted(rows, (first, first + batch.num_rows))
    if begin == end:
        return batch
    text = cut(batch["text"], rows[begin:end] - first, starts[begin:end], ends[begin:end])
    return batch.set_column(batch.schema.get_field_index("text"), "text", text)


def _with_added(batch: pa.RecordBatch, first: int, field: pa.Field, tables: Sequence[pa.Table]) -> pa.RecordBatch:
    """`batch`, which begins at row `first`, with the column `field` as the last of `tables` says it for each row."""
    values = batch[field.name] if field.name in batch.schema.names else nothing_added(field, batch.num_rows)
    for table in (table for table in tables if field.name in table.schema.names):
        rows = table["row"].to_numpy()
        begin, end = np.searchsorted(rows, (first, first + batch.num_rows))
        place = np.arange(batch.num_rows)
        place[rows[begin:end] - first] = batch.num_rows + np.arange(end - begin)
        values = pa.concat_arrays([values, *table[field.name].slice(begin, end - begin).chunks]).take(pa.array(place))
    return with_columns(batch, {field.name: values})


def nothing_added(field: pa.Field, num_rows: int) -> pa.Array:
    """What rows have in a global stage's column until a stage says more: 0, or an empty list."""
    nothing: Any = [] if pa.types.is_list(field.type) else 0
    return pa.array([nothing] * num_rows, field.type)


class Executor(Protocol):
    """Where work runs. Results come in any order; the first error is raised."""

    @property
    def memory(self) -> int:
        """Bytes that all processes of the run may take together. Results do not depend on it."""
        ...

    @property
    def task_memory(self) -> int:
        """Bytes that one task may take for itself: its worker's part of `memory`, less what a process takes idle."""
        ...

    def map(
        self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Callable[[Any], Sequence[Any]] = lambda _: ()
    ) -> Iterator[Any]:
        """`fn(task)` for every task, and for the tasks that `then(result)` adds; `fn` and tasks must be picklable."""
        ...


Scope = Literal["run", "source", "snapshot"]


class GlobalStageConfig(Config):
    version: ClassVar[int] = 1
    reason: ClassVar[str]  # "dedup.near": the drop reason of every row that this stage removes

    name: str
    scope: Scope = "run"  # which rows are compared: all, those of one source, or those of one snapshot of a crawl

    def columns(self) -> pa.Schema:
        """What it adds to rows that stay, int64 or list<int64>; a row of which it says nothing keeps 0, an empty
        list, or what an earlier stage with the same column said. They go along with the text, into the shards."""
        return pa.schema([])

    def digests(self) -> dict[str, str]:
        """sha256 of everything outside the run that the results depend on, by name; part of the fingerprint."""
        return {}

    @property
    def cuts(self) -> bool:
        """True for a stage that may leave spans: the ledger then counts what it cut from each document."""
        return False

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
        """Write `folder/<key>.arrow` (schema VERDICTS, atomically) for each unit that loses rows, and beside it
        `<key>.spans.arrow` (schema SPANS) where rows that stay lose passages, and `<key>.columns.arrow`.

        `folder` is this stage's own, may hold finished files of a killed attempt, and may keep what it needs for
        reports (edges, groups). The result depends on the rows alone: not on workers, nor on the units' sizes.
        """
        raise NotImplementedError
