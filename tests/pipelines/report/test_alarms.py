"""Alarms from made-up losses, clusters and stages."""

from collections.abc import Sequence
from typing import Any

import pytest

from pipelines.recipe import AlarmsConfig
from pipelines.report.alarms import alarms
from pipelines.report.model import DedupStage, Duplicates, LargeCluster, SourceLoss, StageAlarm, StageLoss
from pipelines.report.rule_losses import RuleLoss
from shards.stage import Rule

REPRESENTATIVE = "f" * 32


def loss(documents: int, lost_documents: int, characters: int, lost_characters: int) -> SourceLoss:
    return SourceLoss(
        name="web",
        documents_before=documents,
        lost_documents=lost_documents,
        share_of_documents_before=None,
        share_of_documents_after=None,
        characters_before=characters,
        lost_characters=lost_characters,
        share_of_characters_before=None,
        share_of_characters_after=None,
        stages=(StageLoss("dedup.near", lost_documents, lost_characters),),
    )


def cluster(size: int) -> LargeCluster:
    return LargeCluster(REPRESENTATIVE, "http://a.example/", "kept", size, size - 1, 0, ())


def duplicates(
    sources: Sequence[SourceLoss] = (), sizes: Sequence[int] = (), stage_alarms: Sequence[StageAlarm] = ()
) -> Duplicates:
    return Duplicates(
        stages=(DedupStage("near", "minhash", "dedup.near", 0, 0, None, None, tuple(stage_alarms)),),
        groups=len(sizes),
        groups_above_max=sum(size > 1000 for size in sizes),
        sizes=None,
        largest=tuple(map(cluster, sizes[:20])),
        similarity={},
        sources=tuple(sources),
        domains=(),
        domain_counts_miss_at_most=0,
    )


def raised(
    sources: Sequence[SourceLoss] = (), sizes: Sequence[int] = (), stage_alarms: Sequence[StageAlarm] = ()
) -> list[str]:
    found = duplicates(sources, sizes, stage_alarms)
    return [f"{alarm.alarm}: {alarm.text}" for alarm in alarms(AlarmsConfig(), found, [])]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (loss(100, 50, 1000, 500), ""),
        (loss(100, 51, 1000, 500), "51.0% of its documents"),
        (loss(100, 2, 1000, 501), "50.1% of its characters"),
        (loss(99, 99, 1000, 999), ""),
        (loss(100, 0, 0, 0), ""),
    ],
)
def test_a_source_that_loses_more_than_half_is_an_alarm(source: SourceLoss, text: str) -> None:
    lines = raised([source])
    assert len(lines) == bool(text)
    assert all(text in line and "most to dedup.near" in line and "gristmill pairs RUN" in line for line in lines)


def test_clusters_above_the_limit_are_alarms() -> None:
    assert raised(sizes=[1000]) == []
    (line,) = raised(sizes=[1001, 1000])
    assert line.startswith("group: 1,001 documents are one cluster")
    assert line.endswith(f"gristmill explain RUN {REPRESENTATIVE}")


@pytest.mark.parametrize(("number", "last"), [(6, "1 more cluster above"), (30, "25 more clusters above")])
def test_many_alarms_of_one_sort_are_summed_up(number: int, last: str) -> None:
    lines = raised(sizes=[2000] * number)
    assert len(lines) == 6
    assert last in lines[-1]


def test_each_sort_of_a_stages_alarm_is_one_line() -> None:
    crowded: StageAlarm = {
        "alarm": "bucket with too many unlike documents",
        "band": 3,
        "documents": 5000,
        "example": "e" * 32,
    }
    (line,) = raised(stage_alarms=[crowded, crowded | {"band": 4}])
    assert line == (
        "stage: near: bucket with too many unlike documents (2 times), the first: band 3, documents 5,000, "
        f"example {'e' * 32}; see it: gristmill explain RUN {'e' * 32}"
    )


def rule_alarms(*losses: tuple[str | None, int, int], **limits: Any) -> list[str]:
    rule = Rule("quality.too_few_words", "quality.word_count", "min_words", 50)
    rows = [RuleLoss(rule, "quality", language, documents, dropped) for language, documents, dropped in losses]
    return [alarm.text for alarm in alarms(AlarmsConfig(**limits), duplicates(), [], rows)]


@pytest.mark.parametrize(("documents", "dropped", "is_raised"), [(20, 16, False), (20, 17, True), (19, 19, False)])
def test_a_rule_that_drops_more_than_four_fifths_of_twenty_documents_is_an_alarm(
    documents: int, dropped: int, is_raised: bool
) -> None:
    assert bool(rule_alarms(("zh", documents, dropped))) == is_raised


def test_the_alarm_of_a_rule_names_rule_language_share_and_setting() -> None:
    (line,) = rule_alarms(("zh", 30, 27), ("ru", 30, 3))
    assert line == (
        "quality.too_few_words drops 27 of 30 documents in zh (90.0%), above alarms.max_rule_dropped_fraction = 0.8; "
        "if the rule does not suit them, change quality.min_words; see which: gristmill report RUN"
    )


def test_a_run_without_languages_is_one_group() -> None:
    (line,) = rule_alarms((None, 30, 30))
    assert "30 of 30 documents, whose language no stage identifies (100.0%)" in line


def test_limits_of_rule_alarms_are_settings() -> None:
    assert rule_alarms(("zh", 5, 4), min_language_documents=5, max_rule_dropped_fraction=0.75)
