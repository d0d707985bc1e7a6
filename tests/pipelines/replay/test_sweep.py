"""A setting with several values is a forecast for each, equal to that of the value by itself."""

import json
from pathlib import Path

import pytest
from command import gristmill
from ledger_runs import make_crawl, make_run

from pipelines.ledger.table import Ledger
from pipelines.replay.sweep import combinations, is_sweep
from pipelines.replay.whatif import forecast, whatif
from pipelines.replay.whatif_lines import sweep_lines


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    return make_run(folder / "run", make_crawl(folder / "crawl"))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["a.b=1"], [["a.b=1"]]),
        (["a.b=10,30, 100"], [["a.b=10"], ["a.b=30"], ["a.b=100"]]),
        (["a.b=.5"], [["a.b=.5"]]),
        (["a.b=-1.5,2e3", "c.d=1"], [["a.b=-1.5", "c.d=1"], ["a.b=2e3", "c.d=1"]]),
        (["a.b=1,2", "c.d=3,4"], [["a.b=1", "c.d=3"], ["a.b=1", "c.d=4"], ["a.b=2", "c.d=3"], ["a.b=2", "c.d=4"]]),
        (["a.b=[1,2]"], [["a.b=[1,2]"]]),
        (["a.b=en,ru"], [["a.b=en,ru"]]),
        ([], [[]]),
    ],
)
def test_numbers_with_commas_are_several_settings(settings: list[str], expected: list[list[str]]) -> None:
    assert list(combinations(settings)) == expected
    assert is_sweep(settings) == (len(expected) > 1)


def test_a_ledger_that_was_read_gives_the_forecasts_of_one_that_is_opened_anew(run: Path) -> None:
    ledger = Ledger.open(run)
    for settings in combinations(["gopher_quality.min_words=20,50,100", "near.threshold=0.8,0.9"]):
        assert forecast(ledger, settings, examples=2) == whatif(run, settings, examples=2)


def test_a_row_for_each_value_and_one_for_the_run(run: Path) -> None:
    words = ["whatif", run, "--set", "gopher_quality.min_words=20,50,100"]
    head, now, *rows = gristmill(*words).stdout.splitlines()
    assert head.split()[:3] == ["gopher_quality.min_words", "documents", "kept"]
    assert now.split()[:4] == ["as", "it", "is", "18"]
    assert [row.split()[0] for row in rows[:3]] == ["20", "50", "100"]
    assert rows[1].split()[1:5] == ["18", "0", "0", "0"]
    found = json.loads(gristmill(*words, "--json").stdout)["forecasts"]
    assert [one["settings"] for one in found] == [[f"gopher_quality.min_words={value}"] for value in (20, 50, 100)]
    assert rows == list(sweep_lines([whatif(run, one["settings"]) for one in found]))[2:]
