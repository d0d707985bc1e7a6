"""What shards bring along goes into the shards of the run that reads them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.replay.apply import open_apply
from pipelines.run.opening import Run, open_run
from pipelines.verbs.verify import verify_run
from shards.errors import UserError
from shards.sink import read_table

ROW = {"id": "0" * 32, "url": "https://a.example/", "text": "the old mill by the river", "warc_file": "a.warc.gz"}
RECIPE = """
[source.old]
kind = "shards"
paths = ["{folder}/in"]
"""
EXACT = """
[[stage]]
kind = "exact"
"""
LANGUAGE = """
[[stage]]
kind = "language"
languages = []
min_score = 0.0
"""


def write_shard(path: Path, *rows: dict[str, Any], schema: pa.Schema | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    table = pa.Table.from_pylist([ROW | {"id": f"{i:032x}"} | row for i, row in enumerate(rows)], schema)
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def opened(tmp_path: Path, stages: str) -> Run:
    (tmp_path / "recipe.toml").write_text(RECIPE.format(folder=tmp_path) + stages)
    return open_run(load_recipe(str(tmp_path / "recipe.toml")), tmp_path / "out")


def rows_of(run: Run) -> list[dict[str, Any]]:
    execute(run, InProcess(), lambda _: None)
    assert verify_run(run.folder.root)[1] == []
    tables = [read_table(path) for path in sorted(run.folder.root.glob("shards/*/*.arrow"))]
    return pa.concat_tables(tables).to_pylist()


def test_columns_of_shards_come_through_every_pass(tmp_path: Path) -> None:
    brought = {"language": "ru", "language_score": 0.9, "title": "Мельница", "tags": ["x", None], "n": 7, "copies": 3}
    write_shard(tmp_path / "in" / "a.arrow", brought, brought | {"title": None, "text": "another text"})
    second_pass = '[[stage]]\nkind = "pii"'
    first, second = rows_of(opened(tmp_path, EXACT.replace("exact", "substring") + second_pass))
    assert {name: first[name] for name in brought} == brought
    assert (second["title"], second["text"]) == (None, "another text")


def test_a_column_that_the_recipe_makes_is_the_recipes(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.arrow", {"language": "xx", "language_score": 0.1, "copies": 3, "title": "kept"})
    (row,) = rows_of(opened(tmp_path, LANGUAGE + EXACT))
    assert (row["language"], row["copies"], row["title"]) == ("en", 0, "kept")


def test_files_that_differ_become_shards_of_one_schema(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.arrow", {"score": 1, "text": "first"})
    write_shard(tmp_path / "in" / "b.arrow", {"score": 0.5, "language": "en", "text": "second", "id": "1" * 32})
    write_shard(tmp_path / "in" / "c.arrow", {"text": "third", "id": "2" * 32})
    (tmp_path / "in" / "d.arrow").write_bytes(b"no table")
    rows = rows_of(opened(tmp_path, ""))
    assert [(row["text"], row["score"], row["language"]) for row in rows] == [
        ("first", 1.0, None),
        ("second", 0.5, "en"),
        ("third", None, None),
    ]


def test_columns_of_one_name_and_types_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.arrow", {"score": 1})
    write_shard(tmp_path / "in" / "b.arrow", {"score": "high"})
    with pytest.raises(UserError, match=r"b\.arrow: column 'score' holds string, and in a file before it int64; give"):
        opened(tmp_path, "")


def test_odd_types_are_stored_plainly(tmp_path: Path) -> None:
    fields = [*((name, pa.string()) for name in ROW), ("kind", pa.dictionary(pa.int8(), pa.string()))]
    fields += [("view", pa.string_view()), ("at", pa.timestamp("ns", "Nowhere/Land"))]
    write_shard(tmp_path / "in" / "a.arrow", {"kind": "a", "view": "b", "at": 1}, schema=pa.schema(fields))
    run = opened(tmp_path, "")
    execute(run, InProcess(), lambda _: None)
    (path,) = run.folder.root.glob("shards/*/*.arrow")
    table = read_table(path)
    assert [table.schema.field(name).type for name in ("kind", "view", "at")] == [
        pa.string(),
        pa.large_string(),
        pa.timestamp("ns", "Nowhere/Land"),
    ]
    assert table.select(["kind", "view"]).to_pylist() == [{"kind": "a", "view": "b"}]


def test_texts_of_dropped_documents_can_be_read_as_shards(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "texts.arrow", {"drop_reasons": ["page.bad_status"], "twin": "1" * 32, "row": 5})
    (row,) = rows_of(opened(tmp_path, LANGUAGE))
    assert "drop_reasons" not in row


def test_masks_are_not_brought_below_a_text_that_is_edited(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.arrow", {"masked": [4, 7]})
    (row,) = rows_of(opened(tmp_path, LANGUAGE))
    assert row["masked"] == [4, 7]
    with pytest.raises(UserError, match=r"source\.old: its shards mark passages .*\(column 'masked'\), and pii edits"):
        opened(tmp_path, '[[stage]]\nkind = "pii"')


def test_apply_brings_the_same_columns_as_the_run(tmp_path: Path) -> None:
    rows = [{"language": "en", "title": f"t{i}", "text": f"the old mill {'of words ' * i}"} for i in range(5)]
    write_shard(tmp_path / "in" / "a.arrow", *rows)
    stages = '[[stage]]\nkind = "extract"\nengine = "gristmill"\n' + EXACT
    run = opened(tmp_path, stages + '[[stage]]\nkind = "gopher_quality"\nmin_words = 3\n')
    execute(run, InProcess(), lambda _: None)
    settings = ["gopher_quality.min_words=9"]
    again = open_run(load_recipe(str(tmp_path / "recipe.toml"), settings), tmp_path / "again")
    applied = open_apply(tmp_path / "out", settings, tmp_path / "applied")
    for made in (again, applied):
        execute(made, InProcess(), lambda _: None)
    shards = [[p.read_bytes() for p in sorted(made.folder.root.glob("shards/*/*.arrow"))] for made in (again, applied)]
    assert shards[0] == shards[1]
    assert "title" in read_table(next(applied.folder.root.glob("shards/*/*.arrow"))).schema.names


def test_shards_of_two_runs_with_one_record_keep_both_of_its_texts(tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.arrow", {"text": "of one extractor"}, {"text": "of both"})
    write_shard(tmp_path / "in" / "b.arrow", {"text": "of another extractor"}, {"text": "of both"})
    rows = rows_of(opened(tmp_path, LANGUAGE + EXACT))
    assert [row["text"] for row in rows] == ["of one extractor", "of both", "of another extractor"]
    assert rows[0]["id"] == rows[2]["id"]
