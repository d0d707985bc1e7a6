"""A threshold moved in the table of a report against `whatif`, which decides the whole ledger again."""

from pathlib import Path

import pytest
from ledger_runs import make_crawl, make_run
from report_run import write_warc

from pipelines.replay.whatif import whatif
from pipelines.report.model import Report, Sweep, read_report_file
from pipelines.report.moved import Between, Moved, Outlook, moved
from pipelines.run.folder import RunFolder

RECIPES = {
    "nothing follows": """
        source.web.kind = "warc"
        stage = [
            { kind = "page" },
            { kind = "extract", engine = "resiliparse" },
            { kind = "gopher_quality", max_words = 130 },
        ]
    """,
    "a pass follows": """
        source.web.kind = "warc"
        stage = [
            { kind = "extract", engine = "resiliparse" },
            { kind = "exact" },
            { kind = "minhash", name = "near", bands = 20, rows = 5 },
            { kind = "gopher_quality", max_words = 250 },
            { kind = "url_dedup" },
        ]
    """,
    "passages are cut": """
        source.web.kind = "warc"
        stage = [
            { kind = "extract", engine = "resiliparse" },
            { kind = "gopher_quality", max_words = 250 },
            { kind = "substring", length = 20, keep = "first" },
        ]
    """,
}


@pytest.fixture(scope="module", params=RECIPES)
def run_of_recipe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The crawl of the first recipe has no record twice, of the others it has."""
    folder = tmp_path_factory.mktemp("moved")
    if request.param == "nothing follows":
        crawl = folder / "small.warc.gz"
        write_warc(crawl)
    else:
        crawl = make_crawl(folder)
    return request.param, make_run(folder / "run", crawl, recipe=RECIPES[request.param])


def moves(report: Report) -> list[tuple[str, Sweep, Moved]]:
    """(what `--set` takes, table, outcome) of each position at which the rule drops others than it did."""
    outlook, found = Outlook.of(report), []
    for sweep in report.sweeps:
        for edge in sweep.edges:
            for setting, limits in (
                (sweep.min_setting, (edge, sweep.max_kept)),
                (sweep.max_setting, (sweep.min_kept, edge)),
            ):
                if setting is None:
                    continue
                outcome = moved(outlook, sweep, *limits)
                if outcome.dropped != report.dropped.get(sweep.reason, 0):
                    found.append((f"{setting}={edge}", sweep, outcome))
    return found


def test_the_runs_own_thresholds_give_the_runs_own_numbers(run_of_recipe: tuple[str, Path]) -> None:
    report = read_report_file(RunFolder(run_of_recipe[1]))
    outlook = Outlook.of(report)
    assert len(report.sweeps) > 5
    for sweep in report.sweeps:
        outcome = moved(outlook, sweep, sweep.min_kept, sweep.max_kept)
        assert outcome.dropped == report.dropped.get(sweep.reason, 0)
        assert [(left.least, left.most) for left in outcome.funnel] == [(n, n) for n in outlook.left]
        assert outcome.characters == Between(outlook.characters, outlook.characters)


def test_the_range_holds_that_of_whatif_and_is_it_where_nothing_follows(run_of_recipe: tuple[str, Path]) -> None:
    name, run = run_of_recipe
    found = moves(read_report_file(RunFolder(run)))
    assert len(found) > 20
    for setting, sweep, outcome in found[:: max(1, len(found) // 40)]:
        forecast = whatif(run, [setting])
        after = {rule.reason: rule.after.documents for rule in forecast.rules}
        assert outcome.dropped == after.get(sweep.reason, 0), setting
        for left, stage in zip(outcome.funnel, forecast.funnel, strict=True):
            assert left.least <= stage.least <= stage.most <= left.most, (setting, stage)
        characters = outcome.characters
        assert characters.least <= forecast.least.characters <= forecast.most.characters <= characters.most, setting
        if name == "nothing follows":
            assert outcome.kept == Between(forecast.least.documents, forecast.most.documents), setting
            assert characters == Between(forecast.least.characters, forecast.most.characters), setting
