"""Rows over several runs: shares are of the right whole, and what differs most comes first."""

import json
from pathlib import Path

import pytest
from ledger_runs import make_crawl, make_run, report_of

from pipelines.recipe import load_recipe
from pipelines.report.several.figures import Row, figures_of
from pipelines.report.several.settings import differing_settings
from shards.errors import UserError


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("several")
    crawl = make_crawl(folder / "crawl")
    settings = ["gopher_quality.min_words=100", "gopher_quality.max_words=250"]
    return make_run(folder / "one", crawl), make_run(folder / "two", crawl, settings)


def test_every_figure_is_that_of_its_report(runs: tuple[Path, Path]) -> None:
    found, reports = figures_of(runs), [report_of(run) for run in runs]
    assert [run.name for run in found.runs] == ["one", "two"]
    assert [(run.documents, run.kept) for run in found.runs] == [
        (report["documents"]["input"], report["documents"]["kept"]) for report in reports
    ]
    for row in found.reasons:
        assert row.documents == tuple(report["dropped"].get(row.name, 0) for report in reports)
        assert row.shares == tuple(n / r["documents"]["input"] for n, r in zip(row.documents, reports, strict=True))
    stages = {stage["stage"]: stage["documents"] for stage in reports[1]["funnel"]}
    assert {row.name: row.documents[1] for row in found.stages} == stages
    (source,) = found.sources_kept
    assert source.shares[0] == reports[0]["documents"]["kept"] / reports[0]["documents"]["input"]


def test_what_differs_most_comes_first(runs: tuple[Path, Path]) -> None:
    found = figures_of(runs)
    spreads = [row.spread for row in found.reasons]
    assert spreads == sorted(spreads, reverse=True)
    first = found.reasons[0]
    assert first.name == "gopher_quality.too_many_words"
    assert first.change == first.spread > 0
    assert figures_of(runs[::-1]).reasons[0].change == -first.change
    assert {row.spread for row in figures_of([runs[0], runs[0]]).reasons} == {0.0}


def test_a_figure_that_a_run_has_not_is_none_and_counts_as_nothing() -> None:
    row = Row("x", (None, 5), (None, 0.25))
    assert (row.spread, row.change) == (0.25, 0.25)


def test_settings_that_differ_are_named_once(runs: tuple[Path, Path]) -> None:
    found = {setting.name: setting.values for setting in figures_of(runs).settings}
    assert found == {"gopher_quality.min_words": (50, 100), "gopher_quality.max_words": (100_000, 250)}
    recipe = load_recipe("gopher", ['source.paths=["x"]'])
    more = load_recipe("fineweb", ['source.paths=["x"]'])
    rows = {setting.name: setting.values for setting in differing_settings([recipe, more, recipe])}
    assert any(values[0] is None and values[1] is not None for values in rows.values())
    assert differing_settings([recipe, recipe]) == []


def test_names_tell_the_runs_apart(runs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in "ab":
        (tmp_path / name / "run").symlink_to(runs[0])
    assert [run.name for run in figures_of([runs[0], runs[1]]).runs] == ["one", "two"]
    assert len({run.name for run in figures_of([runs[0], runs[0]]).runs}) == 2


def test_an_unfinished_run_is_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"digest": "d", "version": "1", "library": {}, "input": {}}))
    with pytest.raises(UserError):
        figures_of([runs[0], tmp_path])
