"""The contract of a global stage: it reads the live rows of all units and leaves verdicts, as files.

    work/<pass>/*.text.arrow ──block──▶ resolve ──▶ work/<pass>/<stage>/<block>.arrow           (row, twin, similarity)
                                                    work/<pass>/<stage>/<block>.spans.arrow     (row, start, end, …)
                                                    work/<pass>/<stage>/<block>.columns.arrow   (row, what it adds)

A stage never sees a unit by itself: it gets blocks, which hold as many units as make some tens of thousands of rows or
more, so that what it leaves and reads again grows with the rows and not with the files of the crawl.

A reader of a block gets it without the rows that verdicts removed, without the spans that were cut, and with the
columns that were added. Nothing is handed over in a process's memory, so the result is the same for any number of
workers, and a killed stage goes on from its finished files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pyarrow as pa

from shards import mirror
from shards.errors import RunError, UserError
from shards.replay import FinishedRun
from shards.sink import BATCH_BYTES, BATCH_ROWS, open_arrow, read_batches, read_table
from shards.spans import cut
from shards.stage import AnyStageConfig, with_columns

VERDICTS = pa.schema(
    [
        pa.field("row", pa.int64()),  # number of the row in its block; ascending
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
    """The path of the spans to cut from a block, beside its `verdicts`."""
    return verdicts.with_name(verdicts.name.removesuffix(".arrow") + ".spans.arrow")


def columns_path(verdicts: Path) -> Path:
    """The path of the columns that a stage adds to a block, beside its `verdicts`: `row`, ascending, and its own."""
    return verdicts.with_name(verdicts.name.removesuffix(".arrow") + ".columns.arrow")


@dataclass(frozen=True)
class Block:
    """Consecutive units of work as a global stage sees them: their rows that the pass kept, end to end, less those that
    global stages before it removed.

    Rows are numbered through all files. The first is row `first`: a part of a block has the numbers of the whole.
    """

    number: int  # 0, 1, … in the order of source, file and part: the high half of a row address
    key: str  # file-name stem, that of its first unit: "web-00003-000"
    texts: tuple[Path, ...]  # Arrow IPC files with PROVENANCE, text and what local stages added
    verdicts: tuple[Path, ...] = ()  # of earlier global stages of the same pass; a missing file means none
    added: tuple[pa.Field, ...] = ()  # columns of those stages
    first: int = 0

    def columns(self) -> list[str]:
        """All that `batches` can give: those of the text files, then those that stages added."""
        return list(dict.fromkeys([*self._stored, *(field.name for field in self.added)]))

    def batches(self, columns: list[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """(row numbers int64[n], n live rows), without the spans that were cut, in batches of about `BATCH_ROWS`."""
        pieces: list[tuple[np.ndarray, pa.RecordBatch]] = []
        num_rows = num_bytes = 0
        for _, rows, batch in self.stored_batches(columns):
            if pieces and (num_rows + len(rows) > BATCH_ROWS or num_bytes + batch.nbytes > BATCH_BYTES):
                yield _together(pieces)
                pieces, num_rows, num_bytes = [], 0, 0
            pieces.append((rows, batch))
            num_rows, num_bytes = num_rows + len(rows), num_bytes + batch.nbytes
        if pieces:
            yield _together(pieces)

    def stored_batches(self, columns: list[str]) -> Iterator[tuple[int, np.ndarray, pa.RecordBatch]]:
        """(number of its first row, row numbers int64[n], n live rows) of each batch as it is stored."""
        removed = self._removed()
        spans = [path for path in map(spans_path, self.verdicts) if mirror.exists(path)] if "text" in columns else []
        cuts = [_held(path, ("row", "start", "end")) for path in spans]
        asked = [field for field in self.added if field.name in columns]
        tables = self._tables() if asked else []
        stored = [c for c in columns if c in self._stored] or ["id"]
        first = self.first
        for batch in (batch for path in self.texts for batch in read_batches(path, stored)):
            for found in cuts:
                batch = _cut(batch, first, *(found[name].to_numpy() for name in ("row", "start", "end")))
            for field in asked:
                batch = _with_added(batch, first, field, tables)
            batch = batch.select(columns)
            begin, end = np.searchsorted(removed, (first, first + batch.num_rows))
            rows = np.arange(first, first + batch.num_rows)
            if begin < end:
                mask = np.ones(batch.num_rows, np.bool_)
                mask[removed[begin:end] - first] = False
                rows, batch = rows[mask], batch.filter(pa.array(mask))
            yield first, rows, batch
            first += len(mask) if begin < end else len(rows)

    def added_column(self, field: pa.Field) -> pa.Array:
        """The column `field` of all rows of the text files, also of those that verdicts removed."""
        names = list(dict.fromkeys(["id", *({field.name} & set(self._stored))]))
        parts, first, tables = [pa.array([], field.type)], self.first, self._tables()
        for batch in (batch for path in self.texts for batch in read_batches(path, names)):
            parts.append(_with_added(batch, first, field, tables)[field.name])
            first += batch.num_rows
        return pa.concat_arrays(parts)

    @cached_property
    def _stored(self) -> list[str]:
        return list(open_arrow(self.texts[0]).schema.names)

    def _removed(self) -> np.ndarray:
        """i64, ascending: the rows that earlier verdicts removed."""
        removed = [_held(path, ("row",))["row"].to_numpy() for path in self.verdicts if mirror.exists(path)]
        return np.sort(np.concatenate([np.zeros(0, np.int64), *removed]))

    def _tables(self) -> list[pa.Table]:
        return [_held(path) for path in map(columns_path, self.verdicts) if mirror.exists(path)]


def read_verdicts(path: Path, first: int, num_rows: int, columns: Sequence[str] = tuple(VERDICTS.names)) -> pa.Table:
    """Rows `first` to `first` + `num_rows` - 1 of a file of verdicts or spans, numbered from 0; none without a file."""
    if not mirror.exists(path):
        schema = pa.schema([VERDICTS.field(c) if c in VERDICTS.names else SPANS.field(c) for c in columns])
        return schema.empty_table()
    table = _held(path, tuple(columns))
    rows = table["row"].to_numpy()
    begin, end = np.searchsorted(rows, (first, first + num_rows))
    return table.slice(begin, end - begin).set_column(0, "row", pa.array(rows[begin:end] - first))


def _held(path: Path, columns: tuple[str, ...] | None = None) -> pa.Table:
    """The table of `path`; the last few are held, since a large block is read part by part."""
    state = mirror.opened(path, Path.stat)
    return _read_held(path, columns, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=16)
def _read_held(path: Path, columns: tuple[str, ...] | None, *_: int) -> pa.Table:
    try:
        return read_table(path, None if columns is None else list(columns)).combine_chunks()
    except RunError:
        raise RunError(
            f"{path}: not a whole Arrow file; delete the folder {path.parent} and run the same command again, it makes "
            "the stage anew"
        ) from None


def _together(pieces: Sequence[tuple[np.ndarray, pa.RecordBatch]]) -> tuple[np.ndarray, pa.RecordBatch]:
    if len(pieces) == 1:
        return pieces[0]
    table = pa.Table.from_batches([batch for _, batch in pieces]).combine_chunks()
    rows = np.concatenate([rows for rows, _ in pieces])
    (batch,) = table.to_batches() or [pieces[0][1]]
    return rows, batch


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
    def workers(self) -> int:
        """How many tasks run at the same time. Results do not depend on it."""
        ...

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
    """What a global stage costs, for `gristmill plan`: the machine of docs/performance.md, one core.

    What the driver takes, the process that hands out the work, does not shrink with more workers. It and the disk were
    measured on 15,000 to 59,000 documents of 2,300 characters, of which 8 to 14 % are near-duplicates.
    """

    seconds_per_document: float = 0.0
    seconds_per_mb: float = 0.0  # of text
    bytes_per_text_byte: int = 0  # memory of all processes together, where `--memory` allows it
    disk_per_document: float = 0.0  # bytes of the files that tasks exchange
    disk_per_text_byte: float = 0.0
    driver_seconds_per_document: float = 0.2e-6
    driver_bytes_per_document: int = 0  # memory
    text_reads: int = 1  # times that all rows are read


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
        """As long as nobody has measured the stage: that of `ngram_overlap`, which costs most of all."""
        return Cost(
            seconds_per_mb=0.058,
            bytes_per_text_byte=6,
            disk_per_text_byte=2.4,
            driver_seconds_per_document=7e-6,
            driver_bytes_per_document=56,
        )

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

    def resolve(self, units: Sequence[Block], folder: Path, executor: Executor) -> None:
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
