"""Records of one id: one record given twice, or ids that are none."""

import json
from pathlib import Path

import pytest

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.report.build import alarm_lines
from pipelines.run.opening import open_run
from shards.sink import read_table

RECIPE = """
[source.own]
kind = "jsonl"
paths = ["{folder}"]
[[stage]]
kind = "exact"
"""


@pytest.mark.parametrize(("second", "alarms"), [("the same text", 0), ("another text", 1)])
def test_one_id_is_one_record_and_an_alarm_tells_where_texts_differ(tmp_path: Path, second: str, alarms: int) -> None:
    (tmp_path / "in").mkdir()
    rows = [{"id": 7, "text": "the same text"}, {"id": 7, "text": second}, {"id": 8, "text": "a third text"}]
    (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(folder=tmp_path / "in"))
    run = tmp_path / "run"
    execute(open_run(load_recipe(str(recipe)), run), InProcess(), lambda _: None)
    (shard,) = run.glob("shards/*/*.arrow")
    assert sorted(read_table(shard)["text"].to_pylist()) == ["a third text", "the same text"]
    lines = [line for line in alarm_lines(run) if "records of one id with different texts" in line]
    assert len(lines) == alarms
