"""A run makes what is missing and nothing else, and keeps the seconds and kills of all its attempts."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from crawl import RECIPE, Crawl, article, sentences
from run_digest import digest

from dedup.minhash import MinHashConfig
from pipelines.executors import InProcess, Watch
from pipelines.executors.protocol import Then, Tick
from pipelines.passes import execute
from pipelines.progress import Progress
from pipelines.recipe import load_recipe
from pipelines.run.finish import FinishTask
from pipelines.run.folder import RunFolder
from pipelines.run.opening import open_run
from pipelines.run.units import BlockTask
from shards.errors import RunError
from shards.lease import LOCK, Owner
from shards.unit_key import UnitKey

TWO_PASSES = RECIPE + '\n[[stage]]\nkind = "gopher_quality"\nname = "again"\nmin_words = 150\n'
KEYS = [UnitKey("web", 0, 0), UnitKey("web", 1, 0)]


class Recorder(InProcess):
    """Runs tasks as `InProcess` does, and notes the units that it takes through passes and finishes."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[tuple[int, UnitKey]] = []
        self.finished: list[UnitKey] = []

    def map_watched(
        self,
        fn: Callable[[Any, Watch], Any],
        tasks: Sequence[Any],
        then: Then = lambda _: (),
        tick: Tick | None = None,
    ) -> Iterator[Any]:
        def noted(task: Any, watch: Watch) -> Any:
            if isinstance(task, BlockTask):
                self.passed.append((task.pass_.number, task.key))
            if isinstance(task, FinishTask):
                self.finished.append(task.key)
            return fn(task, watch)

        return super().map_watched(noted, tasks, then, tick)


class Stopped(Exception):
    """Ends an attempt at the phase that a test names."""


def attempt(root: Path, stop_at: str | None = None, out: str = "run") -> tuple[Recorder, list[str]]:
    """(what was made, phases) of one attempt, which ends when the phase `stop_at` is reported."""
    recorder, phases = Recorder(), list[str]()

    def report(progress: Progress) -> None:
        phases.append(progress.phase)
        if progress.phase == stop_at:
            raise Stopped

    recipe = load_recipe(str(root / "recipe.toml"), [f'source.paths="{root}/crawl"'])
    try:
        execute(open_run(recipe, root / out), recorder, report)
    except Stopped:
        assert stop_at is not None
    return recorder, list(dict.fromkeys(phases))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "ab":
        crawl = Crawl()
        for i in range(4):
            crawl.page(
                f"https://{name}.example/{i}", article(f"Page {i}", sentences(i)[: 4 + i]), record_id=f"<{name}{i}>"
            )
        crawl.write(tmp_path / "crawl" / f"{name}.warc.gz")
    (tmp_path / "recipe.toml").write_text(TWO_PASSES)
    return tmp_path


def seconds(run: Path, name: str) -> dict[str, float]:
    found: dict[str, float] = json.loads((run / name).read_bytes())
    return found


def test_a_run_takes_each_unit_through_each_pass_once_and_ends_with_nothing_to_do(root: Path) -> None:
    recorder, phases = attempt(root)
    assert sorted(recorder.passed) == [(number, key) for number in (0, 1) for key in KEYS]
    assert sorted(recorder.finished) == KEYS
    assert [phase for phase in phases if phase != "same_record"] == ["pass 0", "exact", "near", "pass 1", "finish"]
    assert not (root / "run" / RunFolder.WORK).exists()


def test_a_resumed_run_makes_the_units_that_lack_a_manifest_and_ends_in_the_same_bytes(root: Path) -> None:
    attempt(root, out="calm")
    first, _ = attempt(root, stop_at="exact")
    assert sorted(first.passed) == [(0, key) for key in KEYS]
    RunFolder(root / "run").delete(RunFolder.pass_manifest(0, KEYS[1]))
    again, _ = attempt(root)
    assert sorted(again.passed) == [(0, KEYS[1]), (1, KEYS[0]), (1, KEYS[1])]
    assert digest(root / "run") == digest(root / "calm")


def test_a_shard_with_its_manifest_is_not_finished_again(root: Path) -> None:
    attempt(root)
    wanted = digest(root / "run")
    run = RunFolder(root / "run")
    run.delete(RunFolder.REPORT)
    run.delete(RunFolder.manifest(KEYS[0]))
    again, _ = attempt(root)
    assert again.finished == [KEYS[0]]
    assert digest(root / "run") == wanted


def test_a_unit_of_another_fingerprint_is_made_again(root: Path) -> None:
    attempt(root, stop_at="exact")
    path = root / "run" / RunFolder.pass_manifest(0, KEYS[0])
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"fingerprint": "another"}))
    again, _ = attempt(root)
    assert [key for number, key in again.passed if number == 0] == [KEYS[0]]


def test_a_global_stage_of_which_a_file_is_missing_is_run_again(root: Path) -> None:
    attempt(root, out="calm")
    attempt(root, stop_at="pass 1")
    run = RunFolder(root / "run")
    (verdicts,) = run.path(run.stage_work(0, "exact")).glob("web-00000-000.arrow")
    verdicts.unlink()
    attempt(root)
    assert digest(root / "run") == digest(root / "calm")


def test_a_damaged_file_of_verdicts_is_named_with_its_remedy(root: Path) -> None:
    attempt(root, stop_at="pass 1")
    run = RunFolder(root / "run")
    folder = run.path(run.stage_work(0, "exact"))
    (path,) = folder.glob("web-00000-000.arrow")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(RunError, match=rf"not a whole Arrow file; delete the folder {folder} and run"):
        attempt(root)


def test_a_run_whose_folder_is_taken_over_ends_before_its_next_step(root: Path) -> None:
    def taken_over(progress: Progress) -> None:
        if progress.phase == "exact":
            (root / "run" / LOCK).write_bytes(Owner("node7", 1, "", "", "now", "x").to_bytes())

    recipe = load_recipe(str(root / "recipe.toml"), [f'source.paths="{root}/crawl"'])
    run = open_run(recipe, root / "run")
    with pytest.raises(RunError, match=r"its lock was taken over by process 1 on node7.* the same command resumes"):
        execute(run, InProcess(), taken_over)
    assert RunFolder(root / "run").resolved_stages(0) == ["exact", "same_record"]
    (root / "run" / LOCK).unlink()  # the other one has released it
    attempt(root)
    attempt(root, out="calm")
    assert digest(root / "run") == digest(root / "calm")


def test_a_global_stage_with_its_mark_is_not_run_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = []
    resolve = MinHashConfig.resolve

    def noted(config: MinHashConfig, *arguments: Any) -> None:
        resolved.append(config.name)
        resolve(config, *arguments)

    monkeypatch.setattr(MinHashConfig, "resolve", noted)
    attempt(root, out="calm")
    attempt(root, stop_at="pass 1")
    assert {"exact", "near"} <= {*RunFolder(root / "run").resolved_stages(0)}
    shutil.copytree(root / "run", root / "unmarked")
    del resolved[:]
    _, phases = attempt(root)
    assert resolved == []
    assert not {"exact", "near"} & set(phases)
    mark = f"{RunFolder.stage_work(0, 'near')}/{RunFolder.STAGE_DONE}"
    RunFolder(root / "unmarked").delete(mark)
    _, phases = attempt(root, out="unmarked")
    assert resolved == ["near"]
    assert "exact" not in phases
    assert digest(root / "run") == digest(root / "unmarked") == digest(root / "calm")


def test_seconds_add_up_over_attempts(root: Path) -> None:
    attempt(root, stop_at="pass 1")
    run = RunFolder(root / "run")
    before = seconds(root / "run", RunFolder.WORK_SECONDS)
    assert before.keys() > {"read", "write", "page", "extract", "gopher_quality", "exact", "near"}
    run.write_json(RunFolder.WORK_SECONDS, dict.fromkeys(before, 1000.0))
    attempt(root)
    after = json.loads((root / "run" / RunFolder.SECONDS).read_bytes())["stages"]
    assert after.keys() == {*before, "again"}
    assert after["extract"] == after["near"] == 1000.0  # of the first attempt alone
    assert 1000.0 <= after["read"] < 1100.0
    assert after["again"] < 100.0


def test_kills_are_sorted_and_lines_that_were_cut_short_are_left_out(root: Path) -> None:
    attempt(root, stop_at="exact")
    lines = [json.dumps({"id": id_, "cause": "time"}).encode() + b"\n" for id_ in ("c", "a", "b", "a")]
    (root / "run" / RunFolder.KILLS).write_bytes(b"".join(lines) + lines[0][:-4])
    attempt(root)
    kept = (root / "run" / RunFolder.KILLS).read_bytes()
    assert kept == b"".join([lines[1], lines[2], lines[0]])


def test_a_pass_ends_with_all_units_documents_and_bytes_reported(root: Path) -> None:
    seen: list[Progress] = []
    recipe = load_recipe(str(root / "recipe.toml"), [f'source.paths="{root}/crawl"'])
    execute(open_run(recipe, root / "run"), InProcess(), seen.append)
    first = [progress for progress in seen if progress.phase == "pass 0"]
    assert (first[-1].units_done, first[-1].documents) == (2, 8)
    assert first[-1].bytes_done == first[-1].bytes_total
    assert first[-1].bytes_total == sum(path.stat().st_size for path in (root / "crawl").iterdir())


def test_progress_never_goes_back_and_never_leaves_0_to_100_per_cent(root: Path) -> None:
    rows = root / "crawl" / "rows.jsonl"  # whose rows have no length in a WARC file
    rows.write_text("".join(json.dumps({"text": " ".join(sentences(i)), "id": f"{i}"}) + "\n" for i in range(600)))
    recipe = TWO_PASSES.replace(
        "[source.web]", '[source.rows]\nkind = "jsonl"\npaths = ["crawl/rows.jsonl"]\n[source.web]'
    )
    (root / "recipe.toml").write_text(recipe)
    seen: list[Progress] = []
    settings = [f'source.web.paths="{root}/crawl/*.warc.gz"', f'source.rows.paths="{rows}"']
    execute(open_run(load_recipe(str(root / "recipe.toml"), settings), root / "run"), InProcess(), seen.append)
    for phase in ("pass 0", "pass 1"):
        of_phase = [progress for progress in seen if progress.phase == phase]
        for quantity in ("units_done", "documents", "kept", "bytes_done"):
            values = [getattr(progress, quantity) for progress in of_phase]
            assert values == sorted(values), quantity
            assert values[0] >= 0
        assert [p.bytes_done == p.bytes_total for p in of_phase].count(True) >= 1
        assert all(p.bytes_done < p.bytes_total for p in of_phase if p.units_done < 3), "an open unit is not the end"
        assert of_phase[-1].bytes_done == of_phase[-1].bytes_total


def test_a_where_that_no_row_meets_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "lang": "en"}\n' * 3)
    source = f'[source.web]\nkind = "jsonl"\npaths = ["{tmp_path}/a.jsonl"]\nwhere = {{ language = "en" }}\n'
    (tmp_path / "recipe.toml").write_text(source)
    run = open_run(load_recipe(str(tmp_path / "recipe.toml")), tmp_path / "run")
    with pytest.raises(RunError, match="`where` excludes all 3 rows; check its columns and values"):
        execute(run, InProcess(), lambda _: None)


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ('{"text": "a", "lang": "en"}\n', 'where = { language = "en" }'),
        ('{"text": "a", "lang": "en"}\n', 'text = "body"'),
        ("", ""),
    ],
)
def test_a_run_without_documents_gives_way_to_the_corrected_one(tmp_path: Path, lines: str, wrong: str) -> None:
    recipe, out = tmp_path / "recipe.toml", tmp_path / "run"
    source = f'[source.web]\nkind = "jsonl"\npaths = ["{tmp_path}/a.jsonl"]\n'
    (tmp_path / "a.jsonl").write_text(lines)
    recipe.write_text(source + wrong)
    for _ in range(2):
        with pytest.raises(RunError):
            execute(open_run(load_recipe(str(recipe)), out), InProcess(), lambda _: None)
    (tmp_path / "a.jsonl").write_text('{"text": "a", "lang": "en"}\n')
    recipe.write_text(source)
    execute(open_run(load_recipe(str(recipe)), out), InProcess(), lambda _: None)
    assert RunFolder(out).is_done()


def test_inputs_without_a_document_end_the_run_before_any_global_stage(root: Path) -> None:
    for path in (root / "crawl").iterdir():
        Crawl().other("request").write(path)
    with pytest.raises(RunError, match="hold no record that could become a document"):
        attempt(root, stop_at="exact")
