"""The ledger is the same in large batches, from the files of units and from those of blocks."""

from pathlib import Path

import pyarrow as pa
import pytest
from many_files import make_run, many

from pipelines.executors import InProcess
from pipelines.ledger.batches import ledger_batches
from pipelines.passes import execute
from pipelines.run.folder import RunFolder
from shards.errors import RunError
from shards.sink import read_table

COLUMNS = ["id", "drop_reasons", "text_chars"]


@pytest.fixture
def under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run whose report is made, and whose work is still there."""
    run = make_run(tmp_path, {"web": [*many("a", 20, 100), ("b.jsonl", 9_000)], "ark": many("b", 7, 50)})
    monkeypatch.setattr(RunFolder, "delete", lambda *_: None)
    execute(run, InProcess(), lambda _: None)
    return run.folder


def plain(run: RunFolder) -> list[dict[str, object]]:
    """Each row with its unit, from the files of the units."""
    tables = {key: read_table(run.path(run.ledger(key)), COLUMNS).to_pylist() for key in run.ledgers()}
    return [row | {"unit": str(key)} for key, rows in tables.items() for row in rows]


def joined(run: RunFolder, *most: int) -> tuple[list[dict[str, object]], list[int]]:
    batches = [*ledger_batches(run, COLUMNS, (), *most)]
    rows = [row | {"unit": str(b.key_of(i))} for b in batches for i, row in enumerate(b.rows.to_pylist())]
    return rows, [batch.rows.num_rows for batch in batches]


def test_rows_and_units_are_those_of_the_files(under_way: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert under_way.names(RunFolder.BLOCK_LEDGERS)
    rows, sizes = joined(under_way)
    assert rows == plain(under_way)
    assert len(sizes) == 1
    again, sizes = joined(under_way, 15)
    assert again == rows
    assert len(sizes) == 5
    monkeypatch.setattr(RunFolder, "BLOCK_LEDGERS", "work/none")
    assert joined(under_way)[0] == rows


def test_optional_columns_may_be_missing_and_others_may_not(under_way: RunFolder) -> None:
    (batch,) = ledger_batches(under_way, ["id"], ["copies", "nobody"])
    assert batch.rows.schema.names == ["id", "copies"]
    assert isinstance(batch.rows, pa.RecordBatch)
    with pytest.raises(RunError, match="has no column nobody"):
        [*ledger_batches(under_way, ["nobody"])]
