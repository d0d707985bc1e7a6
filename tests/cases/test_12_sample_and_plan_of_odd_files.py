import random
from pathlib import Path

import pytest
from case_run import copy_case

from pipelines.preview.probe import draw_part
from pipelines.preview.sample import sample_run
from pipelines.recipe import load_recipe
from pipelines.report.build import summary
from shards.errors import RunError
from shards.storage import find_inputs

NUM_DOCUMENTS = {"single.warc.gz": 1, "ten.warc.gz": 10, "records.warc.zst": 3, "member.warc.gz": 3}


@pytest.mark.parametrize("name", NUM_DOCUMENTS)
def test_sample_draws_every_document_of_a_small_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy_case("12", tmp_path))
    with sample_run([f"in/{name}"], "recipe.toml", [], 200, seed=0) as folder:
        assert summary(folder).documents.input == NUM_DOCUMENTS[name]


@pytest.mark.parametrize("name", NUM_DOCUMENTS)
def test_plan_tries_every_document_of_a_small_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("12", tmp_path))
    config = load_recipe("recipe.toml").sources["web"]
    files = find_inputs([f"in/{name}"], config.suffixes, "paths")
    (tmp_path / "part").mkdir()
    assert draw_part(config, "web", files, 60, random.Random(0), tmp_path / "part") > 0
    with sample_run(["part"], "recipe.toml", [], 200, seed=0) as folder:
        assert summary(folder).documents.input == NUM_DOCUMENTS[name]


def test_sample_and_plan_say_what_json_lines_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("12", tmp_path))
    config = load_recipe("recipe.toml").sources["web"]
    files = find_inputs(["in/lines.jsonl"], config.suffixes, "paths")
    message = 'lines.jsonl: offset 0: not a WARC file but JSON lines, which have kind = "jsonl"'
    with pytest.raises(RunError, match=message):
        draw_part(config, "web", files, 60, random.Random(0), tmp_path)
    with pytest.raises(RunError, match=message), sample_run(["in/lines.jsonl"], "recipe.toml", [], 200, seed=0):
        pass
