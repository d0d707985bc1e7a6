"""Alarms from made-up losses, clusters and stages."""

from collections.abc import Sequence

import pytest

from pipelines.recipe import AlarmsConfig
from pipelines.report.alarms import alarms
from pipelines.report.model import DedupStage, Duplicates, LargeCluster, SourceLoss, StageAlarm, StageLoss

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


def raised(
    sources: Sequence[SourceLoss] = (), sizes: Sequence[int] = (), stage_alarms: Sequence[StageAlarm] = ()
) -> list[str]:
    found = Duplicates(
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
