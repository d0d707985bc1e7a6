"""The partial report: rarely written, right about finished units, gone when the run is done, no reason to end it."""

import json
import logging
import shutil
import time
from pathlib import Path

import pytest
from crawl import RECIPE, Crawl, article, sentences
from run_digest import digest

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.progress import Progress
from pipelines.recipe import load_recipe
from pipelines.report.partial import live, read_partial
from pipelines.run.folder import RunFolder
from pipelines.run.opening import open_run
from shards.stats import Stats


class Stopped(Exception):
    pass


def make(folder: Path, *, stop_at: str | None = None) -> tuple[Path, list[str]]:
    """(the run's folder, what each progress saw of the partial report's phase)."""
    for name in "ab":
        crawl = Crawl()
        for i in range(4):
            crawl.page(f"https://{name}.example/{i}", article(f"Page {i}", sentences(ord(name) + i)[: 2 * i + 1]))
        crawl.write(folder / "crawl" / f"{name}.warc.gz")
    (folder / "recipe.toml").write_text(RECIPE)
    seen: list[str] = []
    run = open_run(load_recipe(str(folder / "recipe.toml"), [f'source.paths="{folder}/crawl"']), folder / "run")

    def report(progress: Progress) -> None:
        if progress.phase == stop_at:
            raise Stopped
        partial = read_partial(run.folder)
        seen.append("" if partial is None else partial.phase)

    try:
        execute(run, InProcess(), report)
    except Stopped:
        assert stop_at is not None
    return folder / "run", seen


def test_a_run_that_goes_on_has_one_and_a_finished_one_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, seen = make(tmp_path)
    assert set(seen) == {""}
    quiet = digest(run)
    shutil.rmtree(run)
    monkeypatch.setattr(live, "_LEAST_S", 0.0)
    monkeypatch.setattr(live, "_SHARE", 1e9)
    run, seen = make(tmp_path)
    assert {"pass 0", "near"} <= set(seen)
    assert not [*run.glob("report-partial*")]
    assert digest(run) == quiet


def test_its_figures_are_those_of_finished_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_LEAST_S", 0.0)
    monkeypatch.setattr(live, "_SHARE", 1e9)
    run, _ = make(tmp_path, stop_at="finish")
    partial = read_partial(RunFolder(run))
    assert partial is not None
    make(tmp_path)
    whole = json.loads((run / "report.json").read_text())
    local = {reason: count for reason, count in whole["dropped"].items() if not reason.startswith("dedup.")}
    assert partial.dropped == local != {}
    assert partial.documents == whole["documents"]["input"] == 8
    assert partial.left == 8 - sum(local.values())
    funnel = {stage["stage"]: stage["documents"] for stage in whole["funnel"]}
    assert {stage.stage: stage.documents for stage in partial.stages} == {
        s.stage: funnel[s.stage] for s in partial.stages
    }
    assert not [*run.glob("report-partial*")]


def test_the_page_says_that_it_is_a_part_and_reads_itself_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_LEAST_S", 0.0)
    monkeypatch.setattr(live, "_SHARE", 1e9)
    run, _ = make(tmp_path, stop_at="finish")
    page = (run / RunFolder.PARTIAL_PAGE).read_text()
    assert '<meta http-equiv="refresh"' in page
    assert "gopher_quality.too_few_words" in page
    assert "<script" not in page


def test_it_takes_a_hundredth_of_the_time_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, written = [0.0], []

    def slow(*_: object) -> str:
        written.append(now[0])
        now[0] += 2.0
        return ""

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(live, "render_partial", slow)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    report = live.LiveReport(RunFolder(tmp_path), load_recipe(str(tmp_path / "recipe.toml")), "0" * 64)
    report._first_pass = _Nothing()  # type: ignore[assignment]
    while now[0] < 600:
        report(Progress("pass 0", 1, 1, 1, 1, 2))
        now[0] += 1.0
    assert written == [30.0, 232.0, 434.0]


def test_what_is_wrong_with_it_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> str:
        raise ValueError("no page")

    monkeypatch.setattr(live, "_LEAST_S", 0.0)
    monkeypatch.setattr(live, "render_partial", broken)
    with caplog.at_level(logging.WARNING):
        run, _ = make(tmp_path)
    assert "event=no_partial_report" in caplog.text
    assert (run / "report.json").exists()


class _Nothing:
    """The counts of a pass that has made nothing."""

    def __init__(self) -> None:
        self.stats, self.damage = Stats(), list[object]()
