"""Runs over parts of the inputs, joined, have the bytes of one run over all inputs."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from crawl import RECIPE as CRAWL_RECIPE
from crawl import Crawl, article, sentences
from http_server import serving
from run_digest import digest

from pipelines.executors import Executor, InProcess, ProcessPool
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.replay.apply import open_apply
from pipelines.run.blocks import read_block
from pipelines.run.folder import RunFolder
from pipelines.run.merging import open_merge
from pipelines.run.opening import Run, open_run
from pipelines.run.part import WHOLE, Part
from pipelines.verbs import status
from pipelines.verbs.explain import explain
from pipelines.verbs.remove import Requests, remove_from_run
from pipelines.verbs.verify import verify_run
from shards.errors import RunError, UserError
from shards.sink import ArrowSink, open_arrow, read_table
from shards.unit_key import UnitKey

RECIPE = """
[source.web]
kind = "jsonl"
[source.ark]
kind = "jsonl"
[[stage]]
kind = "exact"
scope = "snapshot"
[[stage]]
kind = "minhash"
name = "near"
[[stage]]
kind = "url_dedup"
[[stage]]
kind = "gopher_quality"
min_words = 90
[[stage]]
kind = "paragraphs"
"""


def text(number: int, end: str = "") -> str:
    return "\n".join([*sentences(number)[: 4 + number % 4], end])


def write_inputs(root: Path) -> None:
    """Two sources of files from two snapshots, with records, texts, near texts and addresses that others have too."""
    for source, number_of_files in (("web", 7), ("ark", 2)):
        for file in range(number_of_files):
            name, first = f"{source}{file}", 100 * file + 50 * (source == "ark")
            rows = [
                {"id": f"{name}-{i}", "url": f"https://{source}.org/{file}/{i}", "text": text(first + i)}
                for i in range(4 + 3 * (file % 2))
            ]
            rows.append({"id": "00000000-0000-4000-8000-000000000001", "url": "https://r.org", "text": text(900)})
            rows.append({"id": f"copy-{name}", "url": f"https://c.org/{name}", "text": text(901)})
            rows.append({"id": f"near-{name}", "url": f"https://n.org/{name}", "text": text(902, f"Seen in {name}.")})
            rows.append({"id": f"url-{name}", "url": "https://u.org/a", "text": text(9000 + first)})
            snapshot = "CC-MAIN-2024-10" if file < 3 else "CC-MAIN-2024-18"
            path = root / source / f"{snapshot}-{file}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "recipe.toml").write_text(RECIPE)


def opened(root: Path, out: str, part: Part = WHOLE, settings: Sequence[str] = ()) -> Run:
    sources = [source for source in ("web", "ark") if f"[source.{source}]" in (root / "recipe.toml").read_text()]
    paths = [f'source.{source}.paths="{root / source}"' for source in sources]
    return open_run(load_recipe(str(root / "recipe.toml"), [*paths, *settings]), root / out, part=part)


def finish(run: Run, executor: Executor | None = None) -> Path:
    execute(run, executor or InProcess(), lambda _: None)
    return run.folder.root


def first_pass(run: Run, executor: Executor | None = None) -> Path:
    execute(run, executor or InProcess(), lambda _: None, until_global=True)
    return run.folder.root


def parts_of(root: Path, total: int, executor: Callable[[], Executor] = InProcess) -> list[Path]:
    return [first_pass(opened(root, f"part{i}", Part(i, total)), executor()) for i in range(1, total + 1)]


def merge(root: Path, runs: Sequence[Path], executor: Executor | None = None) -> Path:
    return finish(open_merge(runs, root / "joined"), executor)


def taken(root: Path, out: str = "joined") -> dict[str, str]:
    """The digest of the joined run when it has its first pass."""
    return digest(open_merge(two(root), root / out).folder.root)


def manifests(run: Path) -> dict[str, str]:
    return {name: value for name, value in digest(run).items() if name.startswith("work/0/") and "json" in name}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs, the run `whole` over all, and `part1` and `part2`."""
    root = tmp_path_factory.mktemp("merging")
    write_inputs(root)
    finish(opened(root, "whole"))
    parts_of(root, 2)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """The same inputs and runs, where a test may change the runs."""
    for name in ("part1", "part2"):
        shutil.copytree(made / name, tmp_path / name)
    for name in ("web", "ark", "whole", "recipe.toml"):
        (tmp_path / name).symlink_to(made / name)
    return tmp_path


def two(root: Path) -> list[Path]:
    return [root / "part1", root / "part2"]


def without_paths(run: Path) -> dict[str, str]:
    """The digest of a run, but for the recipe whose paths tests have moved."""
    return digest(run, [RunFolder.RECIPE])


def test_two_parts_joined_are_the_one_run(made: Path) -> None:
    before = digest(made / "part2")
    joined = merge(made, two(made))
    assert digest(joined) == digest(made / "whole")
    reasons = read_table(joined / RunFolder.DEDUP / "near" / "edges.arrow")
    assert reasons.num_rows
    counts = json.loads((joined / RunFolder.REPORT).read_bytes())["dropped"]
    assert {"dedup.same_record", "dedup.exact", "dedup.near", "dedup.url"} <= counts.keys()
    assert digest(made / "part2") == before
    assert open_merge(two(made), joined).folder.is_done()
    assert digest(joined) == digest(made / "whole")
    assert verify_run(joined) == (9, [])


def test_three_parts_of_which_one_has_no_file_of_a_source_are_the_one_run(made: Path, tmp_path: Path) -> None:
    for name in ("web", "ark", "recipe.toml"):
        (tmp_path / name).symlink_to(made / name)
    parts = parts_of(tmp_path, 3)
    assert [{key.source for key in RunFolder(part).passed_blocks(0)} for part in parts] == [
        {"web", "ark"},
        {"web"},
        {"web", "ark"},
    ]
    assert without_paths(merge(tmp_path, parts)) == without_paths(made / "whole")


def test_blocks_of_many_files_and_files_of_several_units_are_joined(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[source.web]\nkind = "jsonl"\n[[stage]]\nkind = "exact"\n')
    (tmp_path / "web").mkdir()
    for name, number in (*((f"a{i}", 2) for i in range(9)), ("b", 10_500), *((f"c{i}", 2) for i in range(9))):
        lines = [json.dumps({"text": f"{name} {i} {'x' * (i % 7)}"[i % 2 :]}) for i in range(number)]
        (tmp_path / "web" / f"{name}.jsonl").write_text("\n".join(lines))
    whole = finish(opened(tmp_path, "whole"))
    parts = parts_of(tmp_path, 2)
    blocks = [read_block(path) for part in parts for path in sorted(part.glob(f"{RunFolder.WORK}/0/*.json"))]
    assert max(len(block.units) for block in blocks) > 1
    assert max(UnitKey.parse(block.units[0].key).part for block in blocks) == 1
    assert digest(merge(tmp_path, parts)) == digest(whole)


@pytest.mark.slow
def test_parts_and_joined_run_have_the_same_bytes_on_a_pool(made: Path, tmp_path: Path) -> None:
    for name in ("web", "ark", "recipe.toml"):
        (tmp_path / name).symlink_to(made / name)
    parts = parts_of(tmp_path, 2, lambda: ProcessPool(2))
    assert without_paths(merge(tmp_path, parts, ProcessPool(2))) == without_paths(made / "whole")


def test_runs_over_folders_of_their_own_are_one_run_over_both(made: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[source.web]\nkind = "jsonl"\n[[stage]]\nkind = "exact"\n')
    one, two = (f"{made / source}" for source in ("web", "ark"))
    runs = [
        first_pass(opened(tmp_path, f"run{i}", settings=[f"source.web.paths={json.dumps(paths)}"]))
        for i, paths in enumerate(([one], [two]))
    ]
    whole = finish(opened(tmp_path, "whole", settings=[f"source.web.paths={json.dumps([one, two])}"]))
    assert digest(merge(tmp_path, runs)) == digest(whole)


def test_neither_the_runs_nor_the_inputs_are_needed_after_the_merge(root: Path) -> None:
    for name in ("web", "ark"):
        (root / name).unlink()
    joined = merge(root, two(root))
    for part in two(root):
        shutil.rmtree(part)
    assert verify_run(joined) == (9, [])
    assert without_paths(joined) == without_paths(root / "whole")


def test_remote_files_are_asked_for_by_the_parts_alone(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[source.web]\nkind = "jsonl"\n[[stage]]\nkind = "exact"\n')
    files = {f"/{i}.jsonl": b'{"text": "some words", "url": "https://%d.org"}\n' % i * (i + 1) for i in range(3)}
    with serving(files) as site:
        settings = [f"source.web.paths={json.dumps([site.url + path[1:] for path in files])}"]
        recipe = load_recipe(str(tmp_path / "recipe.toml"), settings)
        whole = finish(open_run(recipe, tmp_path / "whole"))
        parts = [first_pass(open_run(recipe, tmp_path / f"part{i}", part=Part(i, 2))) for i in (1, 2)]
    assert digest(merge(tmp_path, parts)) == digest(whole)


def test_the_files_of_the_first_pass_are_not_copied(root: Path) -> None:
    open_merge(two(root), root / "joined")
    work = RunFolder(root / "part2").path(f"{RunFolder.WORK}/0")
    for path in work.glob("*.arrow"):
        assert path.stat().st_nlink == 2


def test_files_are_copied_where_they_cannot_have_a_second_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_another_disk(path: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    wanted = taken(root, "linked")
    monkeypatch.setattr(Path, "hardlink_to", on_another_disk)
    assert taken(root) == wanted
    assert {path.stat().st_nlink for path in (root / "joined").rglob("*.arrow")} == {1}


def test_no_room_is_asked_for_what_lies_on_the_disk_already(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.run.opening._DISK_LEAST", 0)
    monkeypatch.setattr("pipelines.run.opening._DISK_SHARE", 1000)
    folders = [part / name for part in two(root) for name in (RunFolder.WORK, RunFolder.TEXTS)]
    there = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    num_bytes = 1000 * sum(path.stat().st_size for name in ("web", "ark") for path in (root / name).iterdir())
    free = SimpleNamespace(free=num_bytes - there - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(UserError, match="the run needs about"):
        open_merge(two(root), root / "joined")
    free.free += 1
    open_merge(two(root), root / "joined")


KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.run import merging, pieces
from pipelines.run.folder import RunFolder
pieces.usable_cores = lambda: 1  # files in their order
taken = 0
take = RunFolder.take
def killed(self, name, path):
    global taken
    taken += 1
    if taken == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    take(self, name, path)
RunFolder.take = killed
merging.open_merge([Path(run) for run in sys.argv[2:-1]], Path(sys.argv[-1]))
"""


def kill_merge(root: Path, at: int) -> None:
    """Merge until the file number `at` is taken over."""
    words = [str(at), *map(str, two(root)), str(root / "joined")]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_merge_is_resumed_and_takes_no_file_twice(root: Path) -> None:
    kill_merge(root, 17)
    there = {path: path.stat().st_ino for path in (root / "joined" / RunFolder.WORK / "0").glob("*.json")}
    assert there
    with pytest.raises(UserError, match="holds another run; different: input"):
        open_merge([*two(root)][::-1], root / "joined")
    joined = open_merge(two(root), root / "joined")
    assert {path: path.stat().st_ino for path in there} == there
    assert without_paths(finish(joined)) == without_paths(root / "whole")


def test_a_killed_merge_can_be_ended_by_a_run_of_the_inputs(root: Path) -> None:
    kill_merge(root, 17)
    before = [digest(part) for part in two(root)]
    assert without_paths(finish(opened(root, "joined"))) == without_paths(root / "whole")
    assert [digest(part) for part in two(root)] == before


def test_blocks_of_an_ended_attempt_to_read_the_inputs_give_way(root: Path) -> None:
    run = RunFolder(first_pass(opened(root, "joined")))
    for key in run.passed_blocks(0)[1::2]:
        run.delete(run.pass_manifest(0, key))
    assert taken(root).keys() >= taken(root, "calm").keys()
    assert manifests(root / "joined") == manifests(root / "calm")


def test_a_restart_between_the_runs_and_the_merge_is_survived_by_whole_files_alone(root: Path) -> None:
    run = RunFolder(root / "part2")
    run.write_json(RunFolder.WORK_BOOT, {"boot": "an earlier one"})
    spoilt = sorted(run.path(f"{RunFolder.WORK}/0").glob("*.text.arrow"))[1]
    data = spoilt.read_bytes()
    spoilt.write_bytes(bytes(len(data)))
    with pytest.raises(RunError, match=r"not what was written; delete .*, run the command of .*part2 again") as error:
        open_merge(two(root), root / "joined")
    assert str(spoilt) in str(error.value)
    spoilt.write_bytes(data)
    assert taken(root) == taken(root, "calm")


def test_seconds_are_those_of_all_runs(root: Path) -> None:
    for part in two(root):
        RunFolder(part).write_json(RunFolder.WORK_SECONDS, {"read": 1000.0})
    joined = open_merge(two(root), root / "joined").folder
    assert joined.read_json(RunFolder.WORK_SECONDS, dict[str, float]) == {"read": 2000.0}


def test_notes_of_all_runs_are_joined(root: Path) -> None:
    for number, part in enumerate(two(root)):
        lines = [f'{{"id": "{i}", "url": "https://k.org/{i}"}}\n' for i in (number + 1, 0)]
        (part / RunFolder.KILLS).write_text("".join(lines) + '{"id": "half a li')
        RunFolder(part).write(f"{RunFolder.CONTAMINATION}/decontaminate.json", b"{}")
        RunFolder(part).write(f"{RunFolder.CONTAMINATION}/decontaminate.json.4711", b"of a killed worker")
    joined = open_merge(two(root), root / "joined").folder
    killed = joined.path(RunFolder.KILLS).read_text().splitlines()
    assert killed == [f'{{"id": "{i}", "url": "https://k.org/{i}"}}' for i in range(3)]
    assert joined.names(RunFolder.CONTAMINATION) == [f"{RunFolder.CONTAMINATION}/decontaminate.json"]


def test_a_run_without_the_flag_goes_on_from_its_first_pass(root: Path) -> None:
    lines = "\n".join(status.describe(root / "part1"))
    assert "pass 0: 5 units made" in lines
    assert "the first pass is made; the same command without --until-global goes on" in lines
    finish(opened(root, "part1", Part(1, 2)))
    assert verify_run(root / "part1") == (5, [])
    with pytest.raises(UserError, match="part1: is finished, and what its first pass made is deleted"):
        open_merge(two(root), root / "joined")


def test_another_part_in_the_same_folder_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="holds another run; different: input"):
        opened(root, "part1", Part(2, 2))


def test_files_given_twice_are_refused(root: Path) -> None:
    whole = first_pass(opened(root, "all"))
    with pytest.raises(UserError, match=r"all: source.web: CC-MAIN-2024-10-0.jsonl is a file of .*part1, too"):
        open_merge([root / "part1", whole], root / "joined")
    (root / "other").mkdir()
    shutil.copy(root / "web" / "CC-MAIN-2024-18-6.jsonl", root / "other" / "renamed.jsonl")
    other = first_pass(opened(root, "renamed", settings=[f'source.web.paths="{root / "other"}"']))
    with pytest.raises(
        UserError, match=r"renamed: source.web: renamed.jsonl is a file of .*part2, too \(CC-.*-6.jsonl"
    ):
        open_merge([root / "part2", other], root / "joined")
    assert not (root / "joined").exists()


def test_two_files_of_one_list_may_have_the_same_content(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[source.web]\nkind = "text"\n[[stage]]\nkind = "exact"\n')
    (tmp_path / "web").mkdir()
    for name in "abcd":
        (tmp_path / "web" / f"{name}.txt").write_text("Some words that several pages have.")
    whole = finish(opened(tmp_path, "whole"))
    parts = parts_of(tmp_path, 2)
    assert digest(merge(tmp_path, parts)) == digest(whole)
    with pytest.raises(UserError, match=r"part1: source.web: a.txt is a file of .*part1, too"):
        open_merge([*parts, parts[0]], tmp_path / "again")


def test_files_without_bytes_may_be_in_several_runs(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[source.web]\nkind = "jsonl"\n[[stage]]\nkind = "exact"\n')
    for i in range(4):
        (tmp_path / "web").mkdir(exist_ok=True)
        (tmp_path / "web" / f"{i}.jsonl").write_text("" if i != 2 else '{"text": "some words"}')
    whole = finish(opened(tmp_path, "whole"))
    parts = [first_pass(opened(tmp_path, f"part{i}", Part(i, 4))) for i in (1, 3, 4)]
    assert digest(merge(tmp_path, parts)) == digest(whole)


def test_a_run_of_another_recipe_is_refused(root: Path) -> None:
    other = first_pass(opened(root, "other", Part(2, 2), settings=["gopher_quality.min_words=3"]))
    with pytest.raises(UserError, match=r"other: is no run .*: stage.gopher_quality.min_words \(90 there, 3 here\)"):
        open_merge([root / "part1", other], root / "joined")


def test_runs_of_another_version_than_today_are_refused(root: Path) -> None:
    for part in two(root):
        path = part / RunFolder.RUN
        values = json.loads(path.read_bytes())
        values["library"]["lxml"] = "1.0"
        path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r'part1: what a run depends on has changed since; .*lxml \("1.0" there'):
        open_merge(two(root), root / "joined")


def test_a_run_that_lacks_a_part_of_its_first_pass_is_refused(root: Path) -> None:
    run = RunFolder(root / "part2")
    run.delete(run.pass_manifest(0, run.passed_blocks(0)[0]))
    with pytest.raises(
        UserError, match=r"part2: the first pass is not made to its end: 1 file of 4 missing, .*2024-18-4"
    ):
        open_merge(two(root), root / "joined")


def test_a_run_cannot_be_joined_into_itself(root: Path) -> None:
    for out in (root / "part1", root / "part2" / "shards"):
        with pytest.raises(UserError, match="is one of the runs that are joined, or lies in it"):
            open_merge(two(root), out)


def write_shard(path: Path, rows: dict[str, list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(rows)
    with ArrowSink(path, table.schema) as sink:
        for batch in table.to_batches():
            sink.write(batch)


def shards_of(root: Path, *columns: dict[str, list[object]]) -> None:
    """A source of two shards, whose one row has these columns beside its text."""
    (root / "recipe.toml").write_text('[source.web]\nkind = "shards"\n[[stage]]\nkind = "exact"\n')
    for i, more in enumerate(columns):
        write_shard(root / "web" / f"{i}.arrow", {"text": [f"some words of {i}"], "url": [f"https://{i}.org"], **more})


def test_columns_of_shards_come_along(tmp_path: Path) -> None:
    shards_of(tmp_path, {"score": [1.5], "topic": ["mills"]}, {"score": [2.5], "topic": ["rivers"]})
    whole = finish(opened(tmp_path, "whole"))
    assert {"score", "topic"} <= {*open_arrow(next(whole.glob("shards/*/*.arrow"))).schema.names}
    assert digest(merge(tmp_path, parts_of(tmp_path, 2))) == digest(whole)


@pytest.mark.parametrize("other", [{"score": [2]}, {}, {"score": [2.5], "topic": ["rivers"]}])
def test_shards_that_bring_other_columns_than_those_of_another_run_are_refused(
    tmp_path: Path, other: dict[str, list[object]]
) -> None:
    shards_of(tmp_path, {"score": [1.5]}, other)
    with pytest.raises(
        UserError, match=r"part2: source.web: its shards bring .*, and those of .*part1 score \(double\)"
    ):
        merge(tmp_path, parts_of(tmp_path, 2))


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three WARC files, the run over all, and the run that joins its two parts, whose inputs and parts are deleted."""
    root = tmp_path_factory.mktemp("crawled")
    for file in range(3):
        crawl = Crawl()
        for i in range(5):
            page = article(f"Page {i}", sentences(10 * file + i))
            crawl.page(f"https://{file}.org/{i}", page, record_id=f"<urn:{file}:{i}>")
        crawl.page(f"https://{file}.org/copy", article("Copy", sentences(77)), record_id=f"<urn:{file}:copy>")
        crawl.page(f"https://{file}.org/short", article("Short", ["Too short."]), record_id=f"<urn:{file}:short>")
        data = crawl.data if file != 1 else crawl.data[:-300]  # a record that is cut off
        (root / "web").mkdir(exist_ok=True)
        (root / "web" / f"{file}.warc.gz").write_bytes(data)
    (root / "recipe.toml").write_text(CRAWL_RECIPE)
    finish(opened(root, "whole"))
    parts = parts_of(root, 2)
    merge(root, parts)
    return root


def test_parts_of_a_crawl_joined_are_the_one_run(crawled: Path) -> None:
    assert digest(crawled / "joined") == digest(crawled / "whole")
    assert json.loads((crawled / "joined" / RunFolder.REPORT).read_bytes())["damage"]


def test_a_joined_run_answers_as_the_one_run_does(crawled: Path) -> None:
    row = "https://2.org/copy"
    assert explain(crawled / "joined", row) == explain(crawled / "whole", row)
    applied = [
        finish(open_apply(crawled / name, ["gopher_quality.min_words=9"], crawled / f"applied-{name}"))
        for name in ("whole", "joined")
    ]
    assert digest(applied[0]) == digest(applied[1])


def test_a_removal_from_a_joined_run_leaves_the_runs_that_it_was_made_of(crawled: Path) -> None:
    shutil.copytree(crawled / "joined", crawled / "removed", copy_function=lambda old, new: Path(new).hardlink_to(old))
    before = [digest(crawled / name) for name in ("joined", "part1", "part2")]
    removed = remove_from_run(crawled / "removed", Requests(("https://0.org/1",), (), ()))
    assert removed
    assert [digest(crawled / name) for name in ("joined", "part1", "part2")] == before
