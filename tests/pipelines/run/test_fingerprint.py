"""The fingerprint of a run changes with what its bytes depend on, and with nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crawl import RECIPE, Crawl, article, sentences
from ledger_runs import make_run

from pipelines.executors import InProcess
from pipelines.recipe import load_recipe
from pipelines.run.extracted_texts import early_stages
from pipelines.run.fingerprint import differences, early_differences, fingerprint
from pipelines.verbs.index import add
from shards.storage import InputFile, find_inputs

TWO_SOURCES = RECIPE.replace('[source.web]\nkind = "warc"', '[source.web]\nkind = "warc"\n[source.ark]\nkind = "warc"')


def folder_of(root: Path, data: bytes = b"WARC/1.1 one") -> Path:
    root.mkdir()
    (root / "a.warc").write_bytes(data)
    (root / "b.warc").write_bytes(b"WARC/1.1 two")
    return root


def found(root: Path, *settings: str, recipe: str = TWO_SOURCES, name: str = "recipe.toml") -> dict[str, Any]:
    """The fingerprint of a run of `recipe` that reads the folder `root` twice."""
    path = root.with_name(name)
    path.write_text(recipe)
    loaded = load_recipe(str(path), [f'source.{source}.paths="{root}"' for source in ("web", "ark")] + [*settings])
    inputs = {source: find_inputs(config.paths, config.suffixes, source) for source, config in loaded.sources.items()}
    return fingerprint(loaded, inputs)


def test_the_place_of_the_inputs_and_of_the_recipe_does_not_change_it(tmp_path: Path) -> None:
    one, two = folder_of(tmp_path / "one"), folder_of(tmp_path / "two")
    assert found(one) == found(two, name="other.toml")


def test_a_title_and_an_alarm_do_not_change_it(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "one")
    assert found(root)["digest"] == found(root, recipe='about = "Another."\n' + TWO_SOURCES)["digest"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("gopher_quality.min_words=51", "stage.gopher_quality.min_words (50 there, 51 here)"),
        ("near.bands=15", "stage.near.bands (14 there, 15 here)"),
        ("source.web.snapshot=june", 'source.web.snapshot ("" there, "june" here)'),
        ("output.texts=false", "output.texts (true there, false here)"),
        ("output.dropped_per_rule=7", "output.dropped_per_rule (1000 there, 7 here)"),
    ],
)
def test_a_setting_that_changes_files_changes_it_and_is_named(tmp_path: Path, setting: str, says: str) -> None:
    root = folder_of(tmp_path / "one")
    before, after = found(root), found(root, setting)
    assert before["digest"] != after["digest"]
    assert differences(before, after) == [says]


def test_the_order_of_sources_and_of_stages_changes_it(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "one")
    before = found(root)
    swapped = TWO_SOURCES.replace("source.web", "source.x").replace("source.ark", "source.web")
    after = found(root, recipe=swapped.replace("source.x", "source.ark"))
    assert before["source"] == after["source"]
    assert before["digest"] != after["digest"]
    assert differences(before, after) == ['source order (["web", "ark"] there, ["ark", "web"] here)']
    exact = '[[stage]]\nkind = "exact"\n\n'
    moved = found(root, recipe=TWO_SOURCES.replace(exact, "") + "\n" + exact)
    assert [line.partition(" (")[0] for line in differences(before, moved)] == ["stage order"]


def test_the_name_and_the_content_of_an_input_change_it(tmp_path: Path) -> None:
    before = found(folder_of(tmp_path / "one"))
    other = found(folder_of(tmp_path / "two", b"WARC/1.1 eno"))
    assert [line.partition(" (")[0] for line in differences(before, other)] == [
        "input.web/00000/a.warc",
        "input.ark/00000/a.warc",
    ]
    renamed = folder_of(tmp_path / "three")
    (renamed / "b.warc").rename(renamed / "c.warc")
    assert differences(before, found(renamed))[0].startswith("input.web/00001/b.warc ([12, ")


def test_of_a_large_input_the_ends_are_read_and_of_a_remote_one_the_etag(tmp_path: Path) -> None:
    recipe_file, path = tmp_path / "recipe.toml", tmp_path / "a.warc"
    recipe_file.write_text(RECIPE)
    recipe = load_recipe(str(recipe_file), [f'source.web.paths="{path}"'])
    data = bytearray(5 << 20)

    def digest(position: int | None = None, **changes: Any) -> object:
        changed = bytearray(data)
        if position is not None:
            changed[position] = 1
        path.write_bytes(changed)
        file = replace(InputFile(str(path), "a.warc", len(data)), **changes)
        return fingerprint(recipe, {"web": [file]})["digest"]

    assert digest() == digest(5 << 19)
    assert digest() != digest(0)
    assert digest() != digest(-1)
    assert digest(version="x") == digest(0, version="x")
    assert digest(version="x") != digest(version="y")


def test_the_path_of_an_index_does_not_change_it_and_its_content_does(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "one")
    for name, numbers in (("first", range(2)), ("second", range(2, 4))):
        crawl = Crawl()
        for i in numbers:
            crawl.page(f"https://{name}.example/{i}", article(f"Page {i}", sentences(i)), record_id=f"<urn:{i}>")
        crawl.write(tmp_path / name / "a.warc.gz")
        make_run(tmp_path / f"run-{name}", tmp_path / name, recipe=RECIPE)
    add(tmp_path / "index", tmp_path / "run-first", InProcess())
    shutil.copytree(tmp_path / "index", tmp_path / "copied")

    def with_index(name: str) -> dict[str, Any]:
        return found(root, f'near.index="{tmp_path / name}"')

    assert with_index("index") == with_index("copied")
    assert with_index("index")["digest"] != found(root)["digest"]
    add(tmp_path / "copied", tmp_path / "run-second", InProcess())
    (line,) = differences(with_index("index"), with_index("copied"))
    assert line.startswith("digest of.near.index")


def test_it_is_the_digest_of_its_other_parts_and_names_the_libraries(tmp_path: Path) -> None:
    parts = found(folder_of(tmp_path / "one"))
    assert next(iter(parts)) == "digest"
    assert len(parts["digest"]) == 64
    assert {"resiliparse", "fastwarc", "trafilatura", "lxml"} <= parts["library"].keys()
    assert parts["stage"].keys() == {*parts["stage order"]}
    assert parts["stage version"].keys() == {*parts["stage order"], "same_record"}


def test_what_extraction_depends_on_is_compared_with_today(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "one")
    parts = found(root)
    recipe = load_recipe(str(tmp_path / "recipe.toml"), [f'source.{s}.paths="{root}"' for s in ("web", "ark")])
    early = early_stages(recipe.passes()[0])
    assert [stage.name for stage in early] == ["page", "extract"]
    assert early_differences(parts, early) == []
    older = parts | {"library": parts["library"] | {"resiliparse": "1.0", "ftfy": "1.0"}}
    (line,) = early_differences(older, early)  # ftfy has no part in extraction
    assert line.startswith('library.resiliparse ("1.0" there, ')
    assert early_differences(parts | {"stage version": {"page": 0}}, early)[0].startswith("stage version.page (0 there")


def test_differences_are_named_by_their_path_and_long_values_are_cut() -> None:
    assert differences({"a": {"b": 1}, "digest": "x"}, {"a": {"b": 2}, "digest": "y"}) == ["a.b (1 there, 2 here)"]
    assert differences({"a": 1}, {"b": True}) == ["a (1 there, none here)", "b (none there, true here)"]
    (line,) = differences({"a": "x" * 100}, {"a": "y"})
    assert line == f'a ("{"x" * 56}... there, "y" here)'
    assert differences({}, {}) == []
