"""The contract of a global stage: it reads the live rows of all units and leaves verdicts, as files.

    work/<pass>/<unit>.text.arrow ──▶ resolve ──▶ work/<pass>/<stage>/<unit>.arrow           (row, twin, similarity)
                                                  work/<pass>/<stage>/<unit>.spans.arrow     (row, start, end, …)
                                                  work/<pass>/<stage>/<unit>.columns.arrow   (row, what it adds)

A reader of a unit gets it without the rows that verdicts removed, without the spans that were cut, and with the columns
that were added. Nothing is handed over in a process's memory, so the result is the same for any number of workers, and
a killed stage goes on from its finished files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pyarrow as pa

from shards.errors import UserError
from shards.replay import FinishedRun
from shards.sink import open_arrow, read_batches, read_table
from shards.spans import cut
from shards.stage import AnyStageConfig, with_columns

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
    """The path of the spans to cut from a unit, beside its `verdicts`."""
    return verdicts.with_name(verdicts.name.removesuffix(".arrow") + ".spans.arrow")


def columns_path(verdicts: Path) -> Path:
    """The path of the columns that a stage adds to a unit, beside its `verdicts`: `row`, ascending, and `columns()`."""
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
        """(row numbers int64[n], n live rows) of the text file, batch by batch, without the spans that were cut."""
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
    """The values of a global stage's column before any stage sets them: 0, or an empty list."""
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

# Files that a stage may leave in its folder for reports; a finished run keeps them in `dedup/<stage>/`.
EDGES_FILE = "edges.arrow"  # every verified pair: id_a, id_b, similarity
ALARMS_FILE = "alarms.json"  # what a person should look at


@dataclass(frozen=True)
class Cost:
    """What a global stage costs, for `gristmill plan`: the machine of docs/performance.md, one core."""

    seconds_per_document: float = 0.0
    seconds_per_mb: float = 0.0  # of text
    bytes_per_text_byte: int = 0  # memory of all processes together, where `--memory` allows it


@dataclass(frozen=True)
class Curve:
    """How probably a stage compares a pair of documents."""

    bands: int
    rows: int
    p_match: dict[float, float]  # by Jaccard similarity
    half_at: float  # the similarity at which the probability is one half


class GlobalStageConfig(AnyStageConfig):
    """Settings of a global stage: one that compares the live rows of all units."""

    reason: ClassVar[str]  # "dedup.near": the drop reason of every row that this stage removes
    reads_text: ClassVar[bool] = True
    removes_copies: ClassVar[bool] = False  # True: a removed row is a copy of its twin, and both are one cluster
    report_files: ClassVar[tuple[str, ...]] = ()  # files that every run with this stage keeps in `dedup/<stage>/`

    scope: Scope = "run"  # which rows are compared: all, those of one source, or those of one snapshot of a crawl

    @property
    def cuts(self) -> bool:
        """Whether it may leave spans: the ledger then counts what it cut from each document."""
        return False

    @property
    def edits(self) -> bool:
        return self.cuts

    @property
    def index_folder(self) -> str | None:
        """The index of documents of earlier runs that this stage compares with."""
        return None

    @property
    def min_similarity(self) -> float | None:
        """The smallest similarity of a removed document to its twin; None where the stage knows equality only."""
        return None

    @property
    def cost(self) -> Cost:
        return Cost(seconds_per_mb=0.058, bytes_per_text_byte=6)  # of `ngram_overlap`, the slowest that was measured

    def curve(self) -> Curve | None:
        """For a stage that finds candidate pairs by chance."""
        return None

    def columns(self) -> pa.Schema:
        """The columns of rows that stay, int64 or list<int64>. They go along with the text, into the shards.

        A row of which the stage says nothing keeps 0, an empty list, or what an earlier stage with the same column
        said.
        """
        return pa.schema([])

    def group_of(self, source: str, snapshot: str) -> str:
        """The part of the run in which a unit is compared; "" is all of it."""
        return {"run": "", "source": source, "snapshot": snapshot}[self.scope]

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
        """Write `folder/<key>.arrow` (schema VERDICTS, atomically) for each unit that loses rows, and beside it
        `<key>.spans.arrow` (schema SPANS) where rows that stay lose passages, and `<key>.columns.arrow`.

        `folder` belongs to this stage, may hold finished files of a killed attempt, and may keep what reports need
        (EDGES_FILE, ALARMS_FILE). The result depends on the rows alone: not on workers, nor on the units' sizes.
        """
        raise NotImplementedError

    def replay(self, run: FinishedRun, *, changed: bool) -> None:
        """Decide a finished run again, where other documents reach this stage or its threshold moved (`changed`).

        Documents are dropped with `run.drop`, and marked with `run.doubt` where nobody knows.
        """
        raise UserError(f"{self.name}: other documents reach it; only a run with these settings decides them")
