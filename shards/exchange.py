"""What a global stage is: it reads the live rows of all units and leaves verdicts, as files.

    work/<pass>/<unit>.text.arrow ──▶ resolve ──▶ work/<pass>/<stage>/<unit>.arrow         (row, twin, similarity)
                                                  work/<pass>/<stage>/<unit>.spans.arrow   (row, start, end, …)

Who reads a unit gets it without the rows that verdicts removed and without the spans that were cut. Nothing is handed
over in a process's memory, so the result is the same for any number of workers, and a killed stage goes on from the
files that it finished.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa

from shards.config import Config
from shards.sink import open_arrow, read_batches, read_table
from shards.spans import cut

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


@dataclass(frozen=True)
class ExchangeUnit:
    """One unit as a global stage sees it: the rows that the pass kept, less those removed by global stages before."""

    number: int  # 0, 1, … in the order of source, file and part: the high half of a row address
    key: str  # file-name stem, "web-00003-000"
    text: Path  # Arrow IPC file with PROVENANCE, text and what local stages added
    verdicts: tuple[Path, ...] = ()  # of earlier global stages of the same pass; a missing file means none

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
        for batch in read_batches(self.text, columns):
            for found in cuts:
                batch = _cut(batch, first, *(found[name].to_numpy() for name in ("row", "start", "end")))
            mask = alive[first : first + batch.num_rows]
            yield first + np.flatnonzero(mask), batch if mask.all() else batch.filter(pa.array(mask))
            first += batch.num_rows


def _cut(batch: pa.RecordBatch, first: int, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> pa.RecordBatch:
    """`batch`, which begins at row `first`, without the spans in its texts."""
    begin, end = np.searchsorted(rows, (first, first + batch.num_rows))
    if begin == end:
        return batch
    text = cut(batch["text"], rows[begin:end] - first, starts[begin:end], ends[begin:end])
    return batch.set_column(batch.schema.get_field_index("text"), "text", text)


class Executor(Protocol):
    """Where work runs. Results come in any order; the first error is raised; there is nothing else to know."""

    def map(
        self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Callable[[Any], Sequence[Any]] = lambda _: ()
    ) -> Iterator[Any]:
        """`fn(task)` for every task, and for the tasks that `then(result)` adds; `fn` and tasks must be picklable."""
        ...


class GlobalStageConfig(Config):
    version: ClassVar[int] = 1
    reason: ClassVar[str]  # "dedup.near": the drop reason of every row that this stage removes

    name: str

    @property
    def cuts(self) -> bool:
        """True for a stage that may leave spans: the ledger then counts what it cut from each document."""
        return False

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
        """Write `folder/<key>.arrow` (schema VERDICTS, atomically) for each unit that loses rows, and beside it
        `<key>.spans.arrow` (schema SPANS) where rows that stay lose passages.

        `folder` is this stage's own, may hold finished files of a killed attempt, and may keep what it needs for
        reports (edges, groups). The result depends on the rows alone: not on workers, nor on the units' sizes.
        """
        raise NotImplementedError
