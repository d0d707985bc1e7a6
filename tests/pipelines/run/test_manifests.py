"""Manifests are the truth, and summaries change nothing but time."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.report.build import summary, summary_of_files, write_report
from pipelines.run import manifests as module
from pipelines.run.folder import RunFolder
from pipelines.run.manifests import Manifests, SummaryWriter
from pipelines.run.opening import open_run
from pipelines.verbs import status
from pipelines.verbs.verify import verify_run
from shards.errors import RunError
from shards.manifest import Manifest, WrittenFile, read_manifest, write_manifest
from shards.stats import Stats
from shards.unit_key import UnitKey

UNITS = 4  # of a summary in these tests
NUM_UNITS = 11


@pytest.fixture(autouse=True)
def small_summaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNITS", UNITS)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A folder with manifests of eleven units and no other files of them."""
    run = RunFolder(tmp_path / "run")
    inputs = {f"{source}/{i:05d}/f{i}.warc": [1, "x"] for source in ("web", "ark") for i in range(3)}
    run.write_json(RunFolder.RUN, {"digest": "d", "version": "1", "library": {}, "input": inputs})
    keys = [UnitKey("web", i, part) for i in range(3) for part in range(3)] + [UnitKey("ark", i, 0) for i in range(2)]
    for number, key in enumerate(keys):
        damage = [{"file": f"f{key.file}.warc", "offset": number, "cause": "cut short", "places": 1}] * 2
        write_manifest(
            run.path(run.manifest(key)),
            Manifest(
                str(key), key.source, f"f{key.file}.warc", 9 * key.part, None if key.part == 2 else 9 * key.part + 9,
                "d", {"documents/input": number, f"dropped/{number % 3}": 1}, damage if number % 2 else [],
                {run.ledger(key): WrittenFile(1, 2, "3")}, "recipe",
            ),
        )  # fmt: skip
    return run


def each(run: RunFolder) -> list[Manifest]:
    """The manifests in the order of units, each from its own file."""
    return [read_manifest(run.path(run.manifest(key))) for key in run.units()]


def reads(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The manifests that are read by themselves when all are asked for."""
    read: list[str] = []

    def noted(path: Path) -> Manifest:
        read.append(path.stem)
        return read_manifest(path)

    with monkeypatch.context() as patched:
        patched.setattr(module, "read_manifest", noted)
        list(run.manifests())
    return read


def summaries(run: RunFolder) -> list[str]:
    return [Path(name).stem for name in run.listing(RunFolder.SUMMARIES)]


def test_every_some_hundred_units_have_a_summary_and_the_last_ones_are_read(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(reads(run, monkeypatch)) == NUM_UNITS
    run.manifests().sum_up()
    keys = [*map(str, run.units())]
    assert sorted(summaries(run)) == sorted([keys[0], keys[UNITS]])
    assert reads(run, monkeypatch) == keys[2 * UNITS :]
    assert list(run.manifests()) == each(run)


def test_sums_are_those_of_the_manifests_with_and_without_summaries(run: RunFolder) -> None:
    before = run.manifests().sums()
    assert before.stats == Stats.sum(Stats.from_json(m.stats) for m in each(run))
    assert [link.key for link in before.links] == [*map(str, run.units())]
    assert [(place.file, place.offset, place.places) for place in before.damage] == [
        ("f0.warc", 1, 1), ("f0.warc", 1, 1), ("f1.warc", 3, 1), ("f1.warc", 3, 1), ("f1.warc", 5, 2),
        ("f2.warc", 7, 1), ("f2.warc", 7, 1), ("f0.warc", 9, 1), ("f0.warc", 9, 1),
    ]  # fmt: skip
    run.manifests().sum_up()
    assert run.manifests().sums() == before


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def garble(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def forbid(path: Path) -> None:
    path.unlink()
    path.mkdir()


def misplace(path: Path) -> None:
    """Put the summary of other units there."""
    shutil.copy(next(other for other in path.parent.iterdir() if other != path), path)


@pytest.mark.parametrize("harm", [Path.unlink, cut, garble, forbid, misplace, lambda path: path.write_bytes(b"")])
def test_a_summary_that_is_gone_or_broken_changes_nothing(run: RunFolder, harm: Callable[[Path], object]) -> None:
    before = run.manifests().sums()
    for number in range(2):
        run.delete(RunFolder.SUMMARIES)
        run.manifests().sum_up()
        harm(sorted(run.path(RunFolder.SUMMARIES).iterdir())[number])
        assert list(run.manifests()) == each(run)
        assert run.manifests().sums() == before
        run.manifests().sum_up()
        assert run.manifests().sums() == before


def test_a_manifest_that_was_changed_is_read_itself_until_it_is_summed_up_again(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.manifests().sum_up()
    key = run.units()[1]
    path = run.path(run.manifest(key))
    old = read_manifest(path)
    new = replace(old, stats={"documents/input": 7, "dropped/1": 1})  # as many bytes as before
    num_bytes = path.stat().st_size
    write_manifest(path, new)
    assert path.stat().st_size == num_bytes
    assert list(run.manifests())[1] == new
    assert reads(run, monkeypatch)[0] == str(key)
    assert run.manifests().sums().stats["documents/input"] == sum(range(NUM_UNITS)) + 6
    run.manifests().sum_up()
    assert str(key) not in reads(run, monkeypatch)
    assert list(run.manifests())[1] == new


def test_a_file_that_replaces_another_in_the_same_tick_of_the_clock_is_another(run: RunFolder) -> None:
    name = run.manifest(run.units()[0])
    path, (before,) = run.path(name), run.stamps([name]).values()
    write_manifest(path, read_manifest(path))
    os.utime(path, ns=(0, int(before.tag.partition("-")[0])))
    (after,) = run.stamps([name]).values()
    assert (after.num_bytes, after.tag != before.tag) == (before.num_bytes, True)


@pytest.mark.parametrize("number", range(NUM_UNITS))
def test_a_unit_whose_manifest_is_gone_is_not_there(run: RunFolder, number: int) -> None:
    run.manifests().sum_up()
    run.delete(run.manifest(run.units()[number]))
    assert len(run.units()) == NUM_UNITS - 1
    assert run.manifests().units == run.units()
    assert list(run.manifests()) == each(run)
    assert run.manifests().sums() == Manifests(run, summed=False).sums()


def test_a_broken_manifest_is_an_error_although_a_summary_knew_it(run: RunFolder) -> None:
    run.manifests().sum_up()
    run.write(run.manifest(run.units()[2]), b"{}")
    with pytest.raises(RunError, match=r"web-00000-002\.json: not a manifest"):
        run.manifests().sums()


def test_a_manifest_under_the_name_of_another_unit_is_in_no_summary(run: RunFolder) -> None:
    first, second = run.units()[:2]
    shutil.copy(run.path(run.manifest(second)), run.path(run.manifest(first)))
    before = list(run.manifests())
    run.manifests().sum_up()
    assert summaries(run) == [str(run.units()[UNITS])]
    assert list(run.manifests()) == before


def test_a_manifest_that_cannot_be_looked_at_is_listed_and_its_reader_says_why(run: RunFolder) -> None:
    run.manifests().sum_up()
    path = run.path(run.manifest(run.units()[1]))
    path.unlink()
    path.symlink_to(path.name)  # a link to itself
    assert len(run.units()) == NUM_UNITS
    with pytest.raises(RunError, match=r"web-00000-001\.json: not a manifest \(Too many levels of symbolic links\)"):
        run.manifests().sums()


def test_a_folder_of_shards_behind_a_link_is_listed(run: RunFolder, tmp_path: Path) -> None:
    before = list(run.manifests())
    run.path("shards/web").rename(tmp_path / "elsewhere")
    run.path("shards/web").symlink_to(tmp_path / "elsewhere")
    assert list(run.manifests()) == before


@pytest.mark.parametrize("stray", ["shards/ark/web-00000-000.json", "shards/web/web-0-0.json"])
def test_a_manifest_in_no_units_place_is_an_error(run: RunFolder, stray: str) -> None:
    run.write(stray, b"{}")
    with pytest.raises(RunError, match=f"{stray}: no unit of this run has this name; move"):
        run.manifests()


def test_a_folder_that_may_not_be_written_has_no_summary_and_no_error(run: RunFolder) -> None:
    run.write(RunFolder.SUMMARIES, b"a file where the folder belongs")
    run.manifests().sum_up()
    writer = SummaryWriter(run, run.units())
    for manifest in each(run):
        writer.add(manifest)
    assert list(run.manifests()) == each(run)


def test_a_writer_sums_units_up_in_any_order_once_the_last_is_there(run: RunFolder) -> None:
    keys, manifests = run.units(), each(run)
    writer = SummaryWriter(run, keys)
    order = [5, 0, 1, 9, 2, 6, 10, 3]
    for number in order:
        assert summaries(run) == []
        writer.add(manifests[number])
    assert summaries(run) == [str(keys[0])]
    for number in (4, 8, 7):
        writer.add(manifests[number])
    by_writer = {name: run.path(name).read_bytes() for name in run.names(RunFolder.SUMMARIES)}
    assert len(by_writer) == 2
    run.delete(RunFolder.SUMMARIES)
    run.manifests().sum_up()
    assert {name: run.path(name).read_bytes() for name in run.names(RunFolder.SUMMARIES)} == by_writer


def lines(folder: Path, count: int) -> Iterator[str]:
    rng = random.Random(2)
    for number in range(count):
        path = folder / f"{number:02d}.jsonl"
        rows = [
            {"id": f"{number}-{i}", "text": " ".join(rng.choices("the mill by a river".split(), k=30))} for i in "ab"
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        yield path.name


def test_a_run_leaves_summaries_that_no_verb_needs(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    assert len(list(lines(folder, NUM_UNITS))) == NUM_UNITS
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[source.web]\nkind = "jsonl"\n\n[[stage]]\nname = "exact"\nkind = "exact"\n')
    out = tmp_path / "run"
    execute(open_run(load_recipe(str(recipe), [f'source.paths="{folder}"']), out), InProcess(), lambda _: None)
    run = RunFolder(out)
    assert summaries(run) == ["web-00000-000", "web-00004-000"]
    sums, says, report = summary(out), list(status.describe(out)), run.path(RunFolder.REPORT).read_bytes()
    assert verify_run(out) == (NUM_UNITS, [])
    run.delete(RunFolder.SUMMARIES)
    assert summary(out) == summary_of_files(out) == sums
    assert list(status.describe(out)) == says
    assert verify_run(out) == (NUM_UNITS, [])
    assert summaries(run) == []
    write_report(out)
    assert run.path(RunFolder.REPORT).read_bytes() == report
    assert summaries(run) == ["web-00000-000", "web-00004-000"]
    run.delete(RunFolder.REPORT)
    keys = run.units()
    for number in (1, 2, 9):
        run.delete(run.manifest(keys[number]))
    execute(open_run(load_recipe(str(recipe), [f'source.paths="{folder}"']), out), InProcess(), lambda _: None)
    assert run.path(RunFolder.REPORT).read_bytes() == report
    assert list(run.manifests()) == each(run)
    run.clear()
    assert not run.has(RunFolder.SUMMARIES)
