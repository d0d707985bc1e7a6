"""The duplicates of a run: by stage, by size of cluster, the largest clusters, and what each source loses."""

from dataclasses import asdict

import numpy as np

from pipelines.ledger.clusters import ShownCluster
from pipelines.ledger.rules import RunStage, stages_of
from pipelines.ledger.sketch import Sketch
from pipelines.recipe import Recipe
from pipelines.report.aggregate import Aggregates
from pipelines.report.model import (
    ClusterMember,
    DedupStage,
    DomainLoss,
    Duplicates,
    LargeCluster,
    SimilarityHistogram,
    SizeClass,
    SourceLoss,
    StageAlarm,
    Summary,
)
from pipelines.run.folder import RunFolder
from shards import mirror
from shards.exchange import ALARMS_FILE, EDGES_FILE
from shards.sink import open_arrow

_DOMAINS_SHOWN = 20
_STEPS = 50  # of similarity between 0 and 1
_EMPTY_STEPS = 3  # below the smallest similarity


def duplicates(run: RunFolder, recipe: Recipe, summary: Summary, aggregates: Aggregates) -> Duplicates:
    clusters, sources = aggregates.clusters, aggregates.lost_by_source.rows(SourceLoss)
    return Duplicates(
        stages=tuple(
            _stage(run, recipe, stage, stage.reason, summary, aggregates, sources)
            for stage in stages_of(recipe)
            if stage.reason is not None and stage.reason.startswith("dedup.")
        ),
        groups=len(clusters),
        groups_above_max=clusters.above(recipe.alarms.max_group),
        sizes=_sizes(aggregates, None, aggregates.fates[""], aggregates.chars[""]) if clusters.reasons else None,
        largest=tuple(map(_large_cluster, aggregates.largest)),
        similarity={
            reason: _similarity(sketch)
            for reason, sketch in sorted(aggregates.similarities.items())
            if sketch.count() and sketch.quantile(0) < 1
        },
        sources=sources,
        domains=aggregates.lost_by_host.rows(DomainLoss)[:_DOMAINS_SHOWN],
        domain_counts_miss_at_most=aggregates.lost_by_host.missed,
    )


def _stage(
    run: RunFolder,
    recipe: Recipe,
    stage: RunStage,
    reason: str,
    summary: Summary,
    aggregates: Aggregates,
    sources: tuple[SourceLoss, ...],
) -> DedupStage:
    edges, alarms = run.path(run.dedup(stage.name, EDGES_FILE)), run.dedup(stage.name, ALARMS_FILE)
    lost = [part.lost_characters for source in sources for part in source.stages if part.reason == reason]
    has_clusters = reason in aggregates.clusters.reasons
    return DedupStage(
        stage=stage.name,
        kind=stage.kind,
        reason=reason,
        removed=summary.dropped.get(reason, 0),
        lost_characters=sum(lost),
        verified_pairs=open_arrow(edges).count_rows() if mirror.exists(edges) else None,
        sizes=_sizes(aggregates, reason, *_left_after(stage.name, recipe, aggregates)) if has_clusters else None,
        alarms=tuple(run.read_json(alarms, list[StageAlarm])) if run.has(alarms) else (),
    )


def _left_after(stage: str, recipe: Recipe, aggregates: Aggregates) -> tuple[int, int]:
    """(documents, their characters as the ledger has them) that passed a global stage, whatever came later."""
    dropped_so_far: set[str] = set()
    for name, _, reason in stages_of(recipe):
        dropped_so_far |= {rule.reason for other, rule in aggregates.rules if other == name}
        dropped_so_far |= {reason} if reason else set()
        if name == stage:
            break
    fates = [fate for fate in aggregates.fates if fate not in dropped_so_far]
    return sum(aggregates.fates[fate] for fate in fates), sum(aggregates.chars[fate] for fate in fates)


def _sizes(aggregates: Aggregates, reason: str | None, documents: int, chars: int) -> tuple[SizeClass, ...]:
    return tuple(SizeClass(*counts) for counts in aggregates.clusters.sizes(reason, documents, chars))


def _large_cluster(shown: ShownCluster) -> LargeCluster:
    cluster = shown.cluster
    return LargeCluster(
        twin=cluster.id,
        url=shown.url,
        fate=cluster.fate,
        size=cluster.size,
        removed=cluster.size - 1,
        characters=cluster.chars,
        members=tuple(ClusterMember(**asdict(member)) for member in shown.members),
    )


def _similarity(sketch: Sketch) -> SimilarityHistogram:
    """Documents by similarity to their twin, from a little below the smallest; 1.0 is in the last bin."""
    values, counts = sketch.values()
    first = max(0, int(np.floor(values[0] * _STEPS)) - _EMPTY_STEPS)
    bins = np.clip((values * _STEPS).astype(np.int64), first, _STEPS - 1) - first
    return SimilarityHistogram(
        edges=tuple(round(step / _STEPS, 2) for step in range(first, _STEPS + 1)),
        documents=tuple(np.bincount(bins, counts, _STEPS - first).astype(np.int64).tolist()),
    )
