"""Reading a ledger of several units by column, by row and by id."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from crawl import RECIPE
from ledger_runs import make_crawl, make_run, report_of

from pipelines.ledger.table import NOT_DROPPED, Ledger, word_counts, words_of_rows
from pipelines.recipe import load_recipe
from pipelines.run.folder import RunFolder
from shards.errors import RunError, UserError
from shards.sink import BATCH_ROWS
from shards.unit_key import UnitKey

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("drop_reasons", pa.list_(pa.string())),
        pa.field("text_chars", pa.int64()),
        pa.field("en.word_count", pa.int64()),
        pa.field("de.word_count", pa.int64()),
    ]
)
# By unit (id, drop reasons, characters, words as `en` and as `de` counts them); the third unit is empty.
UNITS: dict[UnitKey, list[tuple[str, list[str], int | None, int | None, int | None]]] = {
    UnitKey("zoo", 0, 0): [("a", [], 10, 2, None), ("b", ["x.short", "x.odd"], 3, None, 1)],
    UnitKey("zoo", 0, 1): [("a", ["dedup.same"], 10, 2, None)],
    UnitKey("zoo", 1, 0): [],
    UnitKey("ark", 0, 0): [
        ("c", ["page.bad_status"], None, None, None),
        ("d", [], 7, None, 3),
        ("e", ["x.short"], 0, 0, 0),
    ],
}
ROWS = [dict(zip(SCHEMA.names, row, strict=True)) for rows in UNITS.values() for row in rows]


def write_ledger(root: Path, units: dict[UnitKey, Sequence[Any]], schema: pa.Schema = SCHEMA) -> Ledger:
    run = RunFolder(root / "run")
    chains = dict.fromkeys(key.chain for key in units)
    inputs = {f"{source}/{index:05d}/a": [1, "x"] for source, index in chains}
    run.write_json(RunFolder.RUN, {"digest": "d", "version": "1", "library": {}, "input": inputs})
    for key, rows in reversed(units.items()):
        with run.sink(RunFolder.ledger(key), schema) as sink:
            columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
            arrays = [pa.array(column, f.type) for column, f in zip(columns, schema, strict=True)]
            sink.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
    (root / "recipe.toml").write_text(RECIPE.replace('kind = "warc"', 'kind = "warc"\npaths = ["x"]'))
    return Ledger.of(run, load_recipe(str(root / "recipe.toml")))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return write_ledger(tmp_path, UNITS)


def test_rows_are_numbered_through_all_units_in_the_order_of_the_sources(ledger: Ledger) -> None:
    assert ledger.keys == tuple(UNITS)
    assert ledger.first_rows.tolist() == [0, 2, 3, 3, 6]
    assert ledger.num_rows == 6
    assert ledger.schema == SCHEMA


@pytest.mark.parametrize("name", SCHEMA.names)
def test_a_column_holds_all_rows(ledger: Ledger, name: str) -> None:
    column = ledger.column(name)
    assert isinstance(column, pa.Array)
    assert column.to_pylist() == [row[name] for row in ROWS]
    assert ledger.column(name) is column


def test_columns_that_are_loaded_together_are_those_that_are_read_alone(ledger: Ledger) -> None:
    ledger.load(["id", "text_chars", "id"])
    assert ledger.column("id").to_pylist() == [row["id"] for row in ROWS]
    assert ledger.column("text_chars").to_pylist() == [row["text_chars"] for row in ROWS]


def test_a_column_that_is_not_there_is_an_error_with_its_name(ledger: Ledger) -> None:
    with pytest.raises(RunError, match="has no column nothing: an older version made it; run again"):
        ledger.load(["id", "nothing"])


def test_parts_of_a_column_come_with_the_number_of_their_first_row(ledger: Ledger) -> None:
    assert [(first, part.to_pylist()) for first, part in ledger.parts("id")] == [
        (0, ["a", "b"]),
        (2, ["a"]),
        (3, ["c", "d", "e"]),
    ]


def test_the_fate_of_a_row_is_its_first_reason(ledger: Ledger) -> None:
    fates, reasons = ledger.fates()
    assert fates.dtype == np.int16
    assert [None if fate == NOT_DROPPED else reasons[fate] for fate in fates] == [
        (row["drop_reasons"] or [None])[0] for row in ROWS
    ]
    assert sorted(reasons) == ["dedup.same", "page.bad_status", "x.short"]


def test_counts_and_words_are_0_where_nothing_was_counted(ledger: Ledger) -> None:
    assert ledger.counts("text_chars").tolist() == [10, 3, 10, 0, 7, 0]
    words = ledger.words()
    assert words is not None
    assert words.tolist() == [2, 1, 2, 0, 3, 0]


def test_words_are_counted_by_the_first_metric_that_counts_them() -> None:
    columns = {
        "a.word_count": pa.array([1, None, None]),
        "b.word_count": pa.array([5, 6, None]),
        "a.x": pa.array([0, 0, 0]),
    }
    assert word_counts([*columns]) == ["a.word_count", "b.word_count"]
    found = words_of_rows([*columns], columns.__getitem__)
    assert found is not None
    assert found.to_pylist() == [1, 6, None]
    assert words_of_rows(["a.x"], columns.__getitem__) is None


def test_an_id_is_found_in_the_last_of_the_rows_asked(ledger: Ledger) -> None:
    ids = pa.array(["d", "a", "nobody", "a"])
    everywhere = np.ones(6, np.bool_)
    assert ledger.find(ids, everywhere).tolist() == [4, 2, -1, 2]
    assert ledger.find(ids, np.arange(6) != 2).tolist() == [4, 0, -1, 0]
    assert ledger.find(ids, ~everywhere).tolist() == [-1] * 4
    assert ledger.find(ids.slice(0, 0), everywhere).tolist() == []


def test_a_row_belongs_to_the_unit_that_holds_it_and_to_no_empty_one(ledger: Ledger) -> None:
    zoo, again, _, ark = UNITS
    assert [ledger.key_of(row) for row in range(6)] == [zoo, zoo, again, ark, ark, ark]


def test_rows_come_in_the_order_asked_also_twice(ledger: Ledger) -> None:
    assert ledger.rows([5, 0, 3, 0]) == [ROWS[5], ROWS[0], ROWS[3], ROWS[0]]
    assert ledger.rows([4, 2], ["id"]) == [{"id": "d"}, {"id": "a"}]
    assert ledger.rows([]) == []


def test_rows_of_later_batches_are_found(tmp_path: Path) -> None:
    reasons_type = pa.list_(pa.string())
    schema = pa.schema([("id", pa.string()), ("drop_reasons", reasons_type), ("text_chars", pa.int64())])
    num_rows = 2 * BATCH_ROWS + 5
    many = [(f"{i}", ["y.late"] if i == num_rows - 1 else [], i) for i in range(num_rows)]
    keys = (UnitKey("web", 0, 0), UnitKey("web", 0, 1))
    ledger = write_ledger(tmp_path, dict.fromkeys(keys, many), schema)
    asked = [0, BATCH_ROWS - 1, BATCH_ROWS, num_rows - 1, num_rows, 2 * num_rows - 1]
    assert [row["id"] for row in ledger.rows(asked)] == [str(n % num_rows) for n in asked]
    assert len([*ledger.parts("id")]) == 6
    fates, reasons = ledger.fates()
    assert np.flatnonzero(fates != NOT_DROPPED).tolist() == [num_rows - 1, 2 * num_rows - 1]
    assert reasons == ["y.late"]


def test_the_ledger_of_a_finished_run_has_its_documents(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", make_crawl(tmp_path / "crawl"))
    ledger, report = Ledger.open(run), report_of(run)
    assert ledger.num_rows == report["documents"]["input"]
    fates, reasons = ledger.fates()
    assert {reason: int(np.count_nonzero(fates == i)) for i, reason in enumerate(reasons)} == report["dropped"]
    (run / RunFolder.ledger(ledger.keys[0])).unlink()
    with pytest.raises(RunError, match=r"ledger/web-00000-000\.arrow: missing"):
        Ledger.open(run)
    (run / RunFolder.ledger(ledger.keys[1])).unlink()
    with pytest.raises(RunError, match="ledger: missing; `gristmill verify"):
        Ledger.open(run)
    (run / RunFolder.REPORT).unlink()
    with pytest.raises(UserError, match="the run is not finished"):
        Ledger.open(run)
