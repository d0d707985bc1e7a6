"""Records of one id: one record given twice, or ids that are none."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.report.build import alarm_lines
from pipelines.run.opening import open_run
from pipelines.verbs.explain import explain
from pipelines.verbs.verify import verify_run
from shards.sink import read_table

RECIPE = """
[source.own]
kind = "jsonl"
paths = ["{folder}"]
[[stage]]
kind = "exact"
"""


@pytest.mark.parametrize(("second", "kept"), [("the same text", 2), ("another text", 3)])
def test_one_id_with_one_text_is_one_record(tmp_path: Path, second: str, kept: int) -> None:
    (tmp_path / "in").mkdir()
    rows = [{"id": 7, "text": "the same text"}, {"id": 7, "text": second}, {"id": 8, "text": "a third text"}]
    (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(folder=tmp_path / "in"))
    run = tmp_path / "run"
    execute(open_run(load_recipe(str(recipe)), run), InProcess(), lambda _: None)
    (shard,) = run.glob("shards/*/*.arrow")
    rows = read_table(shard).to_pylist()
    assert {row["text"] for row in rows} == {"the same text", second, "a third text"}
    assert [row["original_id"] for row in rows] == ["7", "7", "8"][3 - kept :]
    assert not [line for line in alarm_lines(run) if "records of one id" in line]
    assert verify_run(run)[1] == []


def test_an_id_of_the_files_own_finds_its_rows(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rows = [{"id": "doc-7", "text": "first"}, {"id": "doc-7", "text": "second"}, {"id": "doc-8", "text": "third"}]
    (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(folder=tmp_path / "in"))
    execute(open_run(load_recipe(str(recipe)), tmp_path / "run"), InProcess(), lambda _: None)
    told = [line for line in explain(tmp_path / "run", "doc-7") if line.startswith("  id")]
    assert len(told) == 2
    assert all(line.endswith(", in its file doc-7") for line in told)


def test_one_record_with_two_texts_raises_an_alarm_and_both_are_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    row = {"id": "0" * 32, "url": "u", "warc_file": "a", "warc_offset": 1, "warc_length": 2}
    for text in ("of one run", "of another run"):
        table = pa.Table.from_pylist([row | {"text": text}, row | {"id": "1" * 32, "text": "of both"}])
        with pa.ipc.new_file(str(tmp_path / "in" / f"{text}.arrow"), table.schema) as writer:
            writer.write_table(table)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(folder=tmp_path / "in").replace("jsonl", "shards"))
    run = tmp_path / "run"
    execute(open_run(load_recipe(str(recipe)), run), InProcess(), lambda _: None)
    kept = [text for shard in sorted(run.glob("shards/*/*.arrow")) for text in read_table(shard)["text"].to_pylist()]
    assert kept == ["of another run", "of both", "of one run"]
    (line,) = [line for line in alarm_lines(run) if "records of one id with different texts, all kept" in line]
    assert f"explain {run} {'0' * 32}" in line
    assert verify_run(run)[1] == []
