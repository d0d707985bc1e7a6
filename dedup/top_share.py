"""The best share of all documents by a metric; the threshold follows from the share.

    value of every live row ──partition──▶ threshold; rows that tie at it are kept in the order of ids

DCLM-baseline keeps the tenth of its documents with the best classifier scores. The metric must be carried with the text
(`StageConfig.carried`). A row without a value was not measured: it is kept and does not count. Memory is 16 bytes a
document, and 32 more for each that ties at the threshold.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from dedup.files.documents import load_npy, save_npy
from dedup.replay import ids_of, remove_for_others
from shards import mirror
from shards.exchange import VERDICTS, Block, Cost, Executor, GlobalStageConfig
from shards.replay import FinishedRun
from shards.sink import ArrowSink
from shards.stage import Before

_VALUE = np.dtype([("row", "<i8"), ("value", "<f8"), ("id", "S32")])


class TopShareConfig(GlobalStageConfig):
    """Kind `top_share`. Of n documents with a value, `kept_fraction` × n are kept, rounded to the nearest."""

    version: ClassVar[int] = 1

    name: str = "top_share"
    metric: str  # "classifier.score": a column that an earlier stage carries
    kept_fraction: float = Field(0.1, gt=0, le=1)  # DCLM-baseline's

    @property
    def reason(self) -> str:  # type: ignore[override]
        return f"{self.name}.below_top"

    @property
    def cost(self) -> Cost:
        return Cost(seconds_per_document=1e-6, disk_per_document=24, driver_bytes_per_document=16)

    def refusal(self, before: Before) -> str | None:
        return before.not_carried("metric", self.metric)

    def moves_threshold(self, key: str, new: Self) -> bool:
        return key == "kept_fraction"

    def resolve(self, units: Sequence[Block], folder: Path, executor: Executor) -> None:
        units = sorted(units, key=lambda unit: unit.number)
        for _ in executor.map(partial(_collect, folder=folder, metric=self.metric), units):
            pass  # results are files
        values = np.concatenate([np.zeros(0), *(np.array(_load(folder, unit)["value"]) for unit in units)])
        num_kept = int(len(values) * self.kept_fraction + 0.5)
        if num_kept == len(values):
            return
        threshold = np.partition(values, -num_kept)[-num_kept] if num_kept else np.inf
        of_units = ((rows["value"] == threshold, rows) for rows in (_load(folder, unit) for unit in units))
        ties = np.concatenate([np.zeros(0, "S32"), *(rows["id"][ties] for ties, rows in of_units)])
        num_ties = num_kept - int(np.count_nonzero(values > threshold))
        # Ids of live rows are distinct: every run removes the later row of a record that was read twice.
        chosen = np.sort(ties)[:num_ties]
        for unit in units:
            rows = _load(folder, unit)
            leaves = rows["value"] < threshold
            leaves |= (rows["value"] == threshold) & ~np.isin(rows["id"], chosen)
            if leaves.any():
                _write(folder / f"{unit.key}.arrow", rows["row"][leaves])

    def replay(self, run: FinishedRun, *, changed: bool) -> None:
        """Rows without a value were not measured and stay; where a value has still to be measured, it may be any."""
        remove_for_others(run)
        values, groups = run.column(self.metric), run.groups
        known = values.is_valid().to_numpy(zero_copy_only=False)
        unknown = run.possible & ~known & ~run.measured(self.metric)
        for group in np.unique(groups):
            rows = np.flatnonzero(run.possible & known & (groups == group))
            ranked = pc.cast(values.take(pa.array(rows)), pa.float64()).to_numpy()
            num_unknown = int(np.count_nonzero(unknown & (groups == group)))
            ids = partial(_ids_at, run, rows)
            removed, unsure = best_rows(ranked, run.sure[rows], self.kept_fraction, ids, num_unknown)
            run.drop(rows[removed])
            run.unsure(rows[unsure])


def _ids_at(run: FinishedRun, rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return ids_of(run, rows[positions])


def best_rows(
    values: np.ndarray,
    sure: np.ndarray,
    kept_fraction: float,
    ids: Callable[[np.ndarray], np.ndarray],
    num_unknown: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """(removed, unsure), bool[rows]: of n rows that are there the best `kept_fraction` × n stay; ids break ties.

    `num_unknown` more rows are there perhaps, with any value or none; `ids` gives u64[rows, 2] of rows that tie. With
    every row that comes, n × `kept_fraction` grows by no more than 1: one that is better never helps a row to stay, a
    worse one never hurts it. So all better ones and no worse ones are the worst case for a row, the reverse the best.
    """
    order = _best_first(values, ids)
    maybe = ~sure[order]
    sure_better, maybe_better = np.cumsum(~maybe) - ~maybe, np.cumsum(maybe) - maybe
    num_sure = int(np.count_nonzero(sure))
    maybe_worse = len(values) - num_sure - maybe_better - maybe

    def stays(better: np.ndarray, rows: np.ndarray) -> np.ndarray:
        kept: np.ndarray = better < ((num_sure + maybe + rows) * kept_fraction + 0.5).astype(np.int64)
        return kept

    at_worst = stays(sure_better + maybe_better + num_unknown, maybe_better + num_unknown)
    at_best = stays(sure_better, maybe_worse + num_unknown)
    removed, unsure = np.zeros((2, len(values)), np.bool_)
    removed[order], unsure[order] = ~at_best, at_best & ~at_worst
    return removed, unsure


def _best_first(values: np.ndarray, ids: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Rows by falling value; equals by their ids, which are asked for these alone."""
    order = np.argsort(-values, kind="stable")
    equal = np.diff(values[order]) == 0
    places = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    rows = order[places]
    tied = ids(rows)
    order[places] = rows[np.lexsort((tied[:, 1], tied[:, 0], -values[rows]))]
    return order


def _collect(unit: Block, *, folder: Path, metric: str) -> None:
    path = _path(folder, unit)
    if mirror.exists(path):
        return
    parts = [np.zeros(0, _VALUE)]
    for rows, batch in unit.batches(["id", metric]):
        valid = batch[metric].is_valid().to_numpy(zero_copy_only=False)
        part = np.zeros(int(valid.sum()), _VALUE)
        part["row"] = rows[valid]
        part["value"] = pc.cast(batch[metric].drop_null(), pa.float64()).to_numpy()
        part["id"] = batch["id"].filter(pa.array(valid)).to_numpy(zero_copy_only=False).astype("S32")
        parts.append(part)
    save_npy(path, np.concatenate(parts))


def _load(folder: Path, unit: Block) -> np.ndarray:
    """_VALUE of the unit's rows, mapped."""
    return load_npy(_path(folder, unit), _VALUE)


def _path(folder: Path, unit: Block) -> Path:
    return folder / "values" / f"{unit.key}.npy"


def _write(path: Path, rows: np.ndarray) -> None:
    columns = [pa.array(rows), pa.nulls(len(rows), pa.string()), pa.nulls(len(rows), pa.float64())]
    with ArrowSink(path, VERDICTS, synced=False) as sink:
        sink.write(pa.RecordBatch.from_arrays(columns, schema=VERDICTS))
