"""A unit as a global stage reads it: without removed rows and cut spans, and with added columns."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from shards.errors import UserError
from shards.exchange import SPANS, VERDICTS, Block, GlobalStageConfig, columns_path, read_verdicts, spans_path
from shards.sink import ArrowSink

TEXTS = ["zero", "one fact[1] here", "two", "three", "four"]
COPIES = pa.field("copies", pa.int64())
LISTS = pa.field("lists", pa.list_(pa.int64()))


def write(path: Path, rows: list[Mapping[str, Any]], schema: pa.Schema) -> None:
    with ArrowSink(path, schema) as sink:
        sink.write(pa.RecordBatch.from_pylist(rows, schema))


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Block:
    """Five rows in batches of two. One stage removes row 3, cuts row 1 and adds columns, the next removes row 0."""
    monkeypatch.setattr("shards.sink.BATCH_ROWS", 2)
    text = tmp_path / "u.text.arrow"
    rows = [{"id": f"id{i}", "text": t} for i, t in enumerate(TEXTS)]
    write(text, rows, pa.schema([("id", pa.string()), ("text", pa.large_string())]))
    first, second, third = (tmp_path / stage / "u.arrow" for stage in ("first", "second", "third"))
    verdict = {"twin": "id0", "similarity": 1.0}
    write(first, [{"row": 3, **verdict}], VERDICTS)
    span = {"row": 1, "start": 8, "end": 11, "chars": 3, "twin": "id2", "twin_start": 0}
    write(spans_path(first), [span], SPANS)
    added = [{"row": 1, "copies": 7, "lists": [1, 2]}, {"row": 4, "copies": 8, "lists": [3]}]
    write(columns_path(first), added, pa.schema([("row", pa.int64()), COPIES, LISTS]))
    write(second, [{"row": 0, **verdict}], VERDICTS)
    write(columns_path(second), [{"row": 4, "copies": 9}], pa.schema([("row", pa.int64()), COPIES]))
    return Block(0, "u", (text,), (first, second, third), (COPIES, LISTS))


def test_removed_rows_are_left_out_and_spans_are_cut(unit: Block) -> None:
    stored = list(unit.stored_batches(["text", "id"]))
    assert [(first, rows.tolist()) for first, rows, _ in stored] == [(0, [1]), (2, [2]), (4, [4])]
    batches = list(unit.batches(["text", "id"]))
    assert [rows.tolist() for rows, _ in batches] == [[1, 2, 4]], "small batches come together"
    assert [row for _, batch in batches for row in batch.to_pylist()] == [
        {"text": "one fact here", "id": "id1"},
        {"text": "two", "id": "id2"},
        {"text": "four", "id": "id4"},
    ]


def test_a_part_of_a_block_has_the_row_numbers_of_the_whole(unit: Block) -> None:
    whole = replace(unit, texts=unit.texts * 2)
    part = replace(unit, first=5)
    batches = [(rows.tolist(), batch["id"].to_pylist()) for rows, batch in whole.batches(["id"])]
    numbered = [pair for rows, ids in batches for pair in zip(rows, ids, strict=True)]
    assert numbered == [(1, "id1"), (2, "id2"), (4, "id4"), *((5 + i, f"id{i}") for i in range(5))]
    assert [rows.tolist() for rows, _ in part.batches(["id"])] == [[5, 6, 7, 8, 9]]
    assert [row["text"] for _, batch in part.batches(["text"]) for row in batch.to_pylist()] == TEXTS
    assert part.added_column(COPIES).to_pylist() == [0] * 5


def test_verdicts_of_a_part_are_numbered_from_its_first_row(tmp_path: Path) -> None:
    path = tmp_path / "u.arrow"
    assert read_verdicts(path, 0, 9).num_rows == 0
    write(path, [{"row": row, "twin": f"t{row}", "similarity": 0.5} for row in (0, 3, 4, 9)], VERDICTS)
    assert read_verdicts(path, 3, 6, ["row", "twin"]).to_pylist() == [
        {"row": 0, "twin": "t3"},
        {"row": 1, "twin": "t4"},
    ]
    write(path, [{"row": 3, "twin": "new", "similarity": 0.25}], VERDICTS)
    assert read_verdicts(path, 3, 6).to_pylist() == [{"row": 0, "twin": "new", "similarity": 0.25}]


def test_the_last_stage_that_says_something_gives_a_columns_value(unit: Block) -> None:
    assert unit.columns() == ["id", "text", "copies", "lists"]
    rows = [row for _, batch in unit.batches(["copies", "lists"]) for row in batch.to_pylist()]
    assert rows == [{"copies": 7, "lists": [1, 2]}, {"copies": 0, "lists": []}, {"copies": 9, "lists": [3]}]
    assert unit.added_column(COPIES).to_pylist() == [0, 7, 0, 0, 9], "of removed rows too"


@pytest.mark.parametrize(("scope", "group"), [("run", ""), ("source", "web"), ("snapshot", "CC-MAIN-2024-10")])
def test_a_scope_says_which_units_are_compared(scope: str, group: str) -> None:
    config = GlobalStageConfig.parse({"name": "dedup", "scope": scope}, "x")
    assert config.group_of("web", "CC-MAIN-2024-10") == group


def test_a_stage_without_a_replay_refuses_it() -> None:
    with pytest.raises(UserError, match="dedup: other documents reach it; only a run with these settings decides them"):
        GlobalStageConfig(name="dedup").replay(None, changed=False)  # type: ignore[arg-type]
