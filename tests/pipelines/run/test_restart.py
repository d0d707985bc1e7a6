"""After a restart of the machine a run goes on from what a manifest proves, and ends in the same bytes."""

import json
from pathlib import Path

import pytest
from run_digest import digest

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.progress import Progress
from pipelines.recipe import load_recipe
from pipelines.run.folder import RunFolder
from pipelines.run.opening import Run, open_run
from pipelines.run.restart import trust_work

RECIPE = """
[source.web]
kind = "jsonl"
[[stage]]
kind = "exact"
[[stage]]
kind = "minhash"
name = "near"
[[stage]]
kind = "gopher_quality"
"""


class Stopped(Exception):
    pass


def opened(root: Path, out: str) -> Run:
    (root / "in").mkdir(exist_ok=True)
    for file in range(4):
        lines = [json.dumps({"id": f"{file}-{i}", "text": f"some words of text {i} " * 9}) for i in range(5)]
        (root / "in" / f"{file}.jsonl").write_text("\n".join(lines))
    (root / "recipe.toml").write_text(RECIPE)
    return open_run(load_recipe(str(root / "recipe.toml"), [f'source.web.paths="{root / "in"}"']), root / out)


def attempt(run: Run, stop_at: str | None = None) -> list[str]:
    """The phases of an attempt, which ends when `stop_at` is reported."""
    phases = list[str]()

    def report(progress: Progress) -> None:
        phases.append(progress.phase)
        if progress.phase == stop_at:
            raise Stopped

    if stop_at is None:
        execute(run, InProcess(), report)
    else:
        with pytest.raises(Stopped):
            execute(run, InProcess(), report)
    return list(dict.fromkeys(phases))


def restart(run: Run) -> None:
    """As if the machine had been started anew."""
    run.folder.write_json(RunFolder.WORK_BOOT, {"boot": "an earlier one"})


def test_work_of_this_start_is_trusted_and_not_read(tmp_path: Path) -> None:
    run = opened(tmp_path, "run")
    attempt(run, "near")
    before = {path: path.stat().st_mtime_ns for path in run.folder.path(RunFolder.WORK).rglob("*.arrow")}
    trust_work(run.folder)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("stop_at", ["exact", "near", "pass 1", "finish"])
def test_spoilt_files_are_made_again_after_a_restart(tmp_path: Path, stop_at: str) -> None:
    attempt(opened(tmp_path, "calm"))
    run = opened(tmp_path, "run")
    attempt(run, stop_at)
    texts = sorted(run.folder.path(f"{RunFolder.WORK}/0").glob("*.text.arrow"))
    texts[0].write_bytes(b"")  # what the loss of power leaves of a file that was renamed and not synced
    restart(run)
    attempt(run)
    assert digest(run.folder.root) == digest(tmp_path / "calm")


def test_a_global_stage_without_its_mark_begins_anew_after_a_restart(tmp_path: Path) -> None:
    run = opened(tmp_path, "run")
    attempt(run, "pass 1")
    near, exact = (run.folder.path(run.folder.stage_work(0, name)) for name in ("near", "exact"))
    (near / RunFolder.STAGE_DONE).unlink()
    restart(run)
    trust_work(run.folder)
    assert not near.exists()
    assert exact.exists()


def test_a_finished_unit_whose_shard_is_spoilt_is_finished_again(tmp_path: Path) -> None:
    run = opened(tmp_path, "run")
    attempt(run)
    wanted = digest(run.folder.root)
    key = run.folder.units()[0]
    run.folder.delete(RunFolder.REPORT)
    run.folder.path(run.folder.shard(key)).write_bytes(b"")
    restart(run)
    attempt(run)
    assert digest(run.folder.root) == wanted


@pytest.mark.parametrize("name", [RunFolder.EXCHANGE, RunFolder.RECIPE, RunFolder.WORK_SECONDS, RunFolder.WORK_BOOT])
def test_an_emptied_file_of_the_driver_costs_no_work(tmp_path: Path, name: str) -> None:
    attempt(opened(tmp_path, "calm"))
    run = opened(tmp_path, "run")
    attempt(run, "near")
    restart(run)
    if name == RunFolder.EXCHANGE:
        run.folder.delete(name)
    else:
        run.folder.path(name).write_bytes(b"")
    attempt(opened(tmp_path, "run"))
    assert digest(run.folder.root) == digest(tmp_path / "calm")
