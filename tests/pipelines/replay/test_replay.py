"""A finished run is decided again: rows are sure, only possible, or dropped, and a real run agrees."""

from pathlib import Path

import numpy as np
import pytest
from ledger_runs import make_crawl, make_run, report_of

from pipelines.ledger.table import NOT_DROPPED, Ledger
from pipelines.recipe import load_recipe
from pipelines.replay.replay import Replay, Step, steps_of
from pipelines.replay.whatif import Forecast, whatif
from pipelines.run.folder import RunFolder
from shards.errors import RunError, UserError


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_crawl(tmp_path_factory.mktemp("crawl"))


@pytest.fixture(scope="module")
def run(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("replay") / "run", crawl)


def steps(run: Path, *settings: str) -> tuple[Step, ...]:
    path = str(run / RunFolder.RECIPE)
    return steps_of(load_recipe(path), load_recipe(path, settings))


def decided(run: Path, *settings: str) -> tuple[Replay, Forecast]:
    replay = Replay(Ledger.open(run), steps(run, *settings))
    replay.decide()
    return replay, whatif(run, settings)


def ids(run: Path, mask: np.ndarray) -> set[str]:
    """The URLs and offsets of the rows of the mask: ids are not unique where a record is there twice."""
    ledger = Ledger.open(run)
    rows = ledger.rows(np.flatnonzero(mask).tolist(), ["id", "warc_file", "warc_offset"])
    return {f"{row['id']} {row['warc_file']} {row['warc_offset']}" for row in rows}


def kept(run: Path) -> np.ndarray:
    mask: np.ndarray = Ledger.open(run).fates()[0] == NOT_DROPPED
    return mask


def test_steps_are_the_stages_in_the_order_in_which_they_decide(run: Path) -> None:
    found = steps(run, "gopher_quality.min_words=99")
    assert [step.config.name for step in found if step.config.name != "same_record"] == [
        *("page", "extract", "gopher_quality", "refinedweb_lines"),
        *("exact", "near", "url_dedup"),
    ]
    assert [step.config.name for step in found if step.changed] == ["gopher_quality"]
    (quality,) = (step for step in found if step.changed)
    assert "gopher_quality.too_few_words" in quality.reasons
    assert {rule.reason for rule in quality.rules} == {*quality.reasons}
    (near,) = (step for step in found if step.config.name == "near")
    assert (near.rules, near.reasons) == ((), ("dedup.near",))


def test_without_a_change_every_row_is_sure_or_dropped_as_recorded(run: Path) -> None:
    replay, forecast = decided(run)
    assert np.array_equal(replay.sure, kept(run))
    assert np.array_equal(replay.possible, kept(run))
    report = report_of(run)
    assert {rule.reason: rule.after.documents for rule in forecast.rules} == report["dropped"]
    assert all(rule.before == rule.after for rule in forecast.rules)
    assert forecast.before == forecast.least == forecast.most
    assert (forecast.unmeasured, forecast.uncompared, forecast.cut_again) == (0, 0, False)


def test_the_funnel_counts_the_rows_after_each_stage_as_the_run_did(run: Path) -> None:
    _, forecast = decided(run)
    recorded = {step["stage"]: step["documents"] for step in report_of(run)["funnel"]}
    found = {stage.stage: stage.before for stage in forecast.funnel}
    assert {name: found[name] for name in recorded if name in found} == {
        n: c for n, c in recorded.items() if n in found
    }
    assert len(found.keys() & recorded.keys()) >= 7
    assert all(stage.before == stage.least == stage.most for stage in forecast.funnel)


def test_a_row_that_a_stricter_rule_drops_is_neither_sure_nor_possible(run: Path) -> None:
    replay, forecast = decided(run, "gopher_quality.min_words=150")
    ledger = Ledger.open(run)
    words = ledger.counts("gopher_quality.word_count")
    fewer = kept(run) & (words < 150)
    assert np.count_nonzero(fewer) > 1
    assert not (replay.possible & fewer).any()
    assert not (replay.sure & ~replay.possible).any()
    (rule,) = (rule for rule in forecast.rules if rule.reason == "gopher_quality.too_few_words")
    assert rule.after.documents > rule.before.documents


def test_a_row_that_comes_back_and_was_not_compared_is_only_possible(run: Path) -> None:
    replay, forecast = decided(run, "gopher_quality.min_words=10")
    back = replay.possible & ~kept(run)
    assert back.any()
    assert not (replay.sure & back).any()
    assert forecast.uncompared + forecast.unmeasured == np.count_nonzero(back)
    assert forecast.most.documents - forecast.least.documents == np.count_nonzero(replay.possible & ~replay.sure)
    last = forecast.funnel[-1]
    assert (last.least, last.most) == (forecast.least.documents, forecast.most.documents)


@pytest.mark.parametrize(
    "setting",
    [
        "gopher_quality.min_words=150",
        "gopher_quality.min_words=10",
        "gopher_quality.max_words=200",
        "near.threshold=0.95",
    ],
)
def test_a_run_keeps_what_is_sure_and_nothing_that_is_not_possible(
    run: Path, crawl: Path, tmp_path: Path, setting: str
) -> None:
    replay, forecast = decided(run, setting)
    again = make_run(tmp_path / "again", crawl, [setting])
    now = ids(again, kept(again))
    assert ids(run, replay.sure) <= now <= ids(run, replay.possible)
    after = {step["stage"]: step["documents"] for step in report_of(again)["funnel"]}
    checked = [stage for stage in forecast.funnel if stage.stage in after]
    assert len(checked) >= 7
    assert all(stage.least <= after[stage.stage] <= stage.most for stage in checked)


def test_reasons_that_cannot_be_told_apart_are_refused(run: Path) -> None:
    found = steps(run)
    with pytest.raises(UserError, match="two stages drop with one reason"):
        Replay(Ledger.open(run), (*found, found[-1]))


def test_a_reason_that_no_stage_has_is_an_error(run: Path) -> None:
    with pytest.raises(RunError, match=r"has reasons that its recipe has not: \['dedup.url'\]"):
        Replay(Ledger.open(run), steps(run)[:-1])
