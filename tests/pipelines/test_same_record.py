"""Records of one id: one record given twice, or ids that are none."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from crawl import sentences

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.replay.whatif import whatif
from pipelines.report.build import alarm_lines, summary
from pipelines.run.opening import open_run
from pipelines.verbs.explain import explain, lines
from pipelines.verbs.pairs import pairs
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
    rows = [{"id": f"doc-{7 + k % 2}", "text": f"text {k}"} for k in range(44)]
    (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(folder=tmp_path / "in"))
    execute(open_run(load_recipe(str(recipe)), tmp_path / "run"), InProcess(), lambda _: None)
    told = list(lines(explain(tmp_path / "run", "doc-7"), tmp_path / "run", everything=True))
    ids = [line for line in told if line.startswith("  id")]
    assert len(ids) == 20
    assert all(line.endswith(", in its file doc-7") for line in ids)
    assert told[-1] == "… 2 more records of it"


def write_shard(path: Path, texts: dict[str, str]) -> None:
    """A shard as a run writes it, with these texts by their ids, or by the digit that their ids repeat."""
    row = {"url": "u", "warc_file": "a", "warc_offset": 1, "warc_length": 2}
    table = pa.Table.from_pylist([row | {"id": (id * 32)[:32], "text": text} for id, text in texts.items()])
    path.parent.mkdir(exist_ok=True)
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def test_one_record_with_two_texts_raises_an_alarm_and_both_are_kept(tmp_path: Path) -> None:
    for text in ("of one run", "of another run"):
        write_shard(tmp_path / "in" / f"{text}.arrow", {"0": text, "1": "of both"})
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(folder=tmp_path / "in").replace("jsonl", "shards"))
    run = tmp_path / "run"
    execute(open_run(load_recipe(str(recipe)), run), InProcess(), lambda _: None)
    kept = [text for shard in sorted(run.glob("shards/*/*.arrow")) for text in read_table(shard)["text"].to_pylist()]
    assert kept == ["of another run", "of both", "of one run"]
    (line,) = [line for line in alarm_lines(run) if "records of one id with different texts, all kept" in line]
    assert f"explain {run} {'0' * 32}" in line
    assert verify_run(run)[1] == []


def test_ids_that_count_up_are_compared_whole(tmp_path: Path) -> None:
    texts = ["one text", "another text", "one text", "a third text", "another text", "one text"]
    write_shard(tmp_path / "in" / "a.arrow", {f"{number:032x}": text for number, text in enumerate(texts, 1)})
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(folder=tmp_path / "in").replace("jsonl", "shards"))
    run = tmp_path / "run"
    execute(open_run(load_recipe(str(recipe)), run), InProcess(), lambda _: None)
    assert (summary(run).documents.kept, summary(run).dropped) == (3, {"dedup.exact": 3})
    assert not [line for line in alarm_lines(run) if "records of one id" in line]
    assert verify_run(run)[1] == []
    found = [row["similarity"] for batch in pairs(run) for row in batch.to_pylist()]
    assert found == [1.0, 1.0, 1.0]


def test_whatif_knows_that_texts_of_one_record_may_differ(tmp_path: Path) -> None:
    short, long = " ".join(sentences(1)), " ".join([*sentences(1), *sentences(2)])
    write_shard(tmp_path / "in" / "a.arrow", {"0": short, "1": long})
    write_shard(tmp_path / "in" / "b.arrow", {"0": long, "1": long})
    write_shard(tmp_path / "in" / "c.arrow", {"0": short, "1": long})
    recipe = RECIPE.format(folder=tmp_path / "in").replace("jsonl", "shards").partition("[[stage]]")[0]
    recipe += '[[stage]]\nkind = "gopher_quality"\nmax_words = {}'
    middle = len(short.split()) + 1

    def kept_by(max_words: int) -> tuple[Path, int]:
        (tmp_path / "recipe.toml").write_text(recipe.format(max_words))
        run = tmp_path / f"run-{max_words}"
        execute(open_run(load_recipe(str(tmp_path / "recipe.toml")), run), InProcess(), lambda _: None)
        return run, summary(run).documents.kept

    (loose, all_kept), (tight, few_kept) = kept_by(100_000), kept_by(middle)
    assert (all_kept, few_kept) == (3, 1)
    forecast = whatif(loose, [f"gopher_quality.max_words={middle}"])
    assert (forecast.least.documents, forecast.most.documents) == (few_kept, few_kept)
    forecast = whatif(tight, ["gopher_quality.max_words=100000"])
    assert forecast.least.documents <= all_kept <= forecast.most.documents
    assert forecast.uncompared == 1  # the long text of the record whose short one is kept; of equal rows one is kept
