"""report --against and --history: pages without script, JSON beside them, and lines that say what differs."""

import json
import re
import shutil
from pathlib import Path

import pytest
from command import gristmill
from ledger_runs import make_crawl, make_run

from pipelines.report.several.figures import Row, figures_of
from pipelines.report.several.pages import lines, sparkline, write_against, write_history
from shards.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three snapshots of a crawl, the second with stricter rules; and what is no finished run."""
    folder = tmp_path_factory.mktemp("history")
    crawl = make_crawl(folder / "crawl")
    make_run(folder / "2024-10", crawl, ["gopher_quality.min_words=100"])
    make_run(folder / "2024-9", crawl)
    shutil.copytree(folder / "2024-9", folder / "2024-11")
    (folder / "begun").mkdir()
    shutil.copy(folder / "2024-9" / "run.json", folder / "begun")
    (folder / "notes").mkdir()
    return folder


def test_runs_side_by_side(folder: Path) -> None:
    page, runs = write_against(folder / "2024-9", [folder / "2024-10"])
    assert page == folder / "2024-9" / "report-against.html"
    text = page.read_text()
    assert "<script" not in text
    assert "http" not in re.sub(r"http-equiv", "", text)
    assert text.index("gopher_quality.min_words") < text.index("gopher_quality.too_few_words")
    assert "other rows: the same share in all runs" in text
    assert json.loads(page.with_suffix(".json").read_text())["runs"][1]["name"] == "2024-10"
    told = list(lines(runs))
    assert told[0].startswith("[1] 2024-9: 18 of ")
    assert any(re.fullmatch(r" +\d.\d\d % +\d+.\d\d %  gopher_quality.too_few_words", line) for line in told)
    assert told[-1] == "gopher_quality.min_words: 50 | 100"


def test_runs_over_time_are_in_the_order_of_their_names(folder: Path) -> None:
    page, runs, skipped = write_history(folder)
    assert [run.name for run in runs.runs] == ["2024-9", "2024-10", "2024-11"]
    assert [line.split(" ")[0] for line in skipped] == ["begun"]
    text = page.read_text()
    assert "<script" not in text
    assert text.count('<svg class="spark"') >= 1
    assert "begun is left out: " in text
    assert [run["kept"] for run in json.loads((folder / "history.json").read_text())["runs"]] == [18, 16, 18]


def test_the_same_runs_give_the_same_bytes(folder: Path) -> None:
    first = write_history(folder)[0].read_bytes()
    assert write_history(folder)[0].read_bytes() == first


def test_a_line_over_the_runs_has_a_dot_for_each_that_has_the_figure() -> None:
    line = sparkline(Row("<x>", (1, None, 3), (0.1, None, 0.3)), ["a", "b", "<c>"])
    assert line.count("<circle") == 2
    assert "&lt;c&gt;: 30.00 %" in line
    assert "<x>" not in line
    (points,) = re.findall(r'points="([^"]*)"', line)
    (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in points.split())
    assert x1 < x2
    assert y1 > y2
    assert "<circle" in sparkline(Row("x", (1,), (0.1,)), ["a"])


def test_the_commands(folder: Path, tmp_path: Path) -> None:
    done = gristmill("report", folder / "2024-9", "--against", folder / "2024-10", "--against", folder / "2024-11")
    assert done.stdout.splitlines()[2].startswith("[3] 2024-11: 18 of ")
    assert "wrote " in done.stdout
    assert "begun is left out" in gristmill("report", "--history", folder).stdout
    for words, says in (
        (("report",), "name a run"),
        (("report", folder / "2024-9", "--history", folder), "alone"),
        (("report", "--history", tmp_path), "holds no finished run"),
        (("report", "--history", tmp_path / "none"), "no such folder"),
    ):
        refused = gristmill(*words)
        assert (refused.returncode, says in refused.stderr, "Traceback" in refused.stderr) == (2, True, False)


def test_a_run_named_twice_differs_in_nothing(folder: Path) -> None:
    told = list(lines(figures_of([folder / "2024-9", folder / "2024-9"])))
    assert re.fullmatch(r"\d+ other reasons: the same share in all runs", told[-1])
    with pytest.raises(UserError):
        write_against(folder / "notes", [folder / "2024-9"])
