"""Fixtures: units as a pass writes them, and the verdicts of a global stage read back by id."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dedup_cases import Fates, InProcess, Row, read_fates

from shards.exchange import Block, GlobalStageConfig
from shards.schema import PROVENANCE, TEXT
from shards.sink import ArrowSink


@pytest.fixture
def make_units(tmp_path: Path) -> Callable[..., list[Block]]:
    def make(rows: Sequence[Row], unit_rows: int = 1_000_000, name: str = "units") -> list[Block]:
        schema = pa.schema([*PROVENANCE, TEXT])
        units = []
        for number, first in enumerate(range(0, len(rows), unit_rows)):
            key = f"web-{number:05d}-000"
            path = tmp_path / name / f"{key}.text.arrow"
            with ArrowSink(path, schema) as sink:
                sink.write(pa.RecordBatch.from_pylist(list(rows[first : first + unit_rows]), schema=schema))
            units.append(Block(number, key, (path,)))
        return units

    return make


@pytest.fixture
def resolve(tmp_path: Path) -> Callable[..., Fates]:
    def run(config: GlobalStageConfig, units: Sequence[Block], folder: str = "out", executor: Any = None) -> Fates:
        config.resolve(units, tmp_path / folder, executor or InProcess())
        return read_fates(units, tmp_path / folder)

    return run
