"""A global stage compares the rows of its scope and no others."""

import json
from pathlib import Path

import pytest

from pipelines.executors import InProcess, parse_memory
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from shards.errors import UserError
from shards.sink import read_table
from shards.source import SourceConfig

RECIPE = """
name = "scopes"
[source.news]
kind = "jsonl"
paths = ["{folder}/news"]
[source.blogs]
kind = "jsonl"
paths = ["{folder}/blogs"]
snapshot = "{snapshot}"
[[stage]]
kind = "exact"
scope = "{scope}"
"""
FILES = (
    "news/CC-MAIN-2024-10/a.jsonl",
    "news/CC-MAIN-2024-10/b.jsonl",
    "news/CC-MAIN-2024-18/a.jsonl",
    "blogs/a.jsonl",
)


def kept(tmp_path: Path, scope: str, snapshot: str = "") -> list[tuple[str, str]]:
    """(source, file) of each kept copy of one text that stands once in every file."""
    for name in FILES:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"url": f"https://x.example/{name}", "text": "one and the same text"}) + "\n")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(folder=tmp_path / "in", scope=scope, snapshot=snapshot))
    run = tmp_path / f"run-{scope}{snapshot}"
    execute(open_run(load_recipe(str(recipe)), run), InProcess(), lambda _: None)
    rows = [row for path in sorted(run.glob("shards/*/*.arrow")) for row in read_table(path).to_pylist()]
    return sorted((row["source"], row["warc_file"]) for row in rows)


def test_each_scope_leaves_one_copy_a_group(tmp_path: Path) -> None:
    assert len(kept(tmp_path, "run")) == 1
    assert [source for source, _ in kept(tmp_path, "source")] == ["blogs", "news"]
    assert [file.partition("/")[0] for _, file in kept(tmp_path, "snapshot")] == [
        "a.jsonl",
        "CC-MAIN-2024-10",
        "CC-MAIN-2024-18",
    ]


def test_sources_of_one_snapshot_are_compared(tmp_path: Path) -> None:
    assert len(kept(tmp_path, "snapshot", "CC-MAIN-2024-10")) == 2


@pytest.mark.parametrize(
    ("file", "snapshot", "wanted"),
    [
        ("CC-MAIN-2024-10/segments/1.warc.gz", "", "CC-MAIN-2024-10"),
        ("CC-MAIN-2024-10/segments/1.warc.gz", "march", "march"),
        ("crawl/1.warc.gz", "", "web"),
    ],
)
def test_a_snapshot_is_as_given_or_named_by_the_file_or_the_source(file: str, snapshot: str, wanted: str) -> None:
    assert SourceConfig(kind="warc", snapshot=snapshot).snapshot_of("web", file) == wanted


@pytest.mark.parametrize(
    ("text", "num_bytes"), [("2GB", 2_000_000_000), ("1.5 GiB", 3 << 29), ("500mb", 500_000_000), ("1T", 10**12)]
)
def test_memory_is_read_in_the_usual_units(text: str, num_bytes: int) -> None:
    assert parse_memory(text) == num_bytes


@pytest.mark.parametrize("text", ["2", "GB", "2 apples", "-1GB", "100MB", ""])
def test_other_memory_is_the_users_mistake(text: str) -> None:
    with pytest.raises(UserError, match="--memory"):
        parse_memory(text)
