"""Metrics that a finished run recorded, in place of measuring the same texts again.

    ledger of the finished run ──row──▶ batch with "saved …" columns ──Recalled──▶ what the stage would have measured

A stage stands where it stood, with settings that move thresholds at most, and reads the same text. Rows that it
measured then have its columns in the ledger; rows that come back with the new settings are measured now.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.run.folder import RunFolder
from shards.sink import read_table
from shards.stage import Batch, Stage, StageConfig, with_columns
from shards.unit_key import UnitKey

SAVED = "saved "  # prefix of a recorded column that a stage is about to add


def saved_names(stages: Iterable[StageConfig]) -> list[str]:
    """The columns of the ledger that these stages added, without the text."""
    return [name for config in stages for name in config.columns().names if name != "text"]


def with_saved(
    batches: Iterable[Batch], run: RunFolder, key: UnitKey, stages: Iterable[StageConfig]
) -> Iterator[Batch]:
    """Batches of the unit `key`, numbered by `row`, with what `stages` recorded of these rows in `run`."""
    if not (names := saved_names(stages)):
        yield from batches
        return
    ledger = read_table(run.path(RunFolder.ledger(key)), names).combine_chunks()
    for batch in batches:
        rows = ledger.take(batch["row"])
        yield with_columns(batch, {SAVED + name: rows[name].combine_chunks() for name in names})


@dataclass(frozen=True)
class Recalled:
    """Stands for a stage that measures what it measured then. `build` makes the stage, where a row needs it."""

    config: StageConfig
    build: Callable[[], Stage]

    def __call__(self, batch: Batch) -> Batch:
        fields = self.config.columns()
        columns = {name: batch[SAVED + name] for name in fields.names}
        for name, follows in self.config.derived().items():
            columns[name] = follows.compute(columns[follows.source]).cast(fields.field(name).type)
        new = np.flatnonzero(columns[self.config.measured()].is_null().to_numpy(zero_copy_only=False))
        if len(new):
            measured = self.build()(batch.take(pa.array(new)))
            index = np.arange(batch.num_rows)
            index[new] = batch.num_rows + np.arange(len(new))
            columns = {
                f.name: pa.concat_arrays([columns[f.name], measured[f.name].cast(f.type)]).take(pa.array(index))
                for f in fields
            }
        return with_columns(batch.drop_columns([SAVED + name for name in fields.names]), columns)
