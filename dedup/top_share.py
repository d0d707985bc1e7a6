"""The best share of all documents by a metric; the threshold follows from the share.

    value of every live row ──partition──▶ threshold; rows that tie at it are kept in the order of ids

DCLM-baseline keeps the tenth of its documents with the best classifier scores. The metric must be carried with the text
(`StageConfig.carried`). A row without a value was not measured: it is kept and does not count. Memory is 16 bytes a
document, and 32 more for each that ties at the threshold.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from dedup.documents import load_npy, save_npy
from shards.exchange import VERDICTS, ExchangeUnit, Executor, GlobalStageConfig
from shards.sink import ArrowSink

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

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
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


def _collect(unit: ExchangeUnit, *, folder: Path, metric: str) -> None:
    path = _path(folder, unit)
    if path.exists():
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


def _load(folder: Path, unit: ExchangeUnit) -> np.ndarray:
    """_VALUE of the unit's rows, mapped."""
    return load_npy(_path(folder, unit), _VALUE)


def _path(folder: Path, unit: ExchangeUnit) -> Path:
    return folder / "values" / f"{unit.key}.npy"


def _write(path: Path, rows: np.ndarray) -> None:
    columns = [pa.array(rows), pa.nulls(len(rows), pa.string()), pa.nulls(len(rows), pa.float64())]
    with ArrowSink(path, VERDICTS) as sink:
        sink.write(pa.RecordBatch.from_arrays(columns, schema=VERDICTS))
