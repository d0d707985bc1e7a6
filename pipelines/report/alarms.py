"""Alarms: what a person should look at before using the shards. Nothing is kept or removed because of one.

    group    a cluster has more than `max_group` documents: seldom an article, often what all pages of a site share
    source   a source loses more than `max_source_lost_fraction` of its documents or characters to deduplication
    domain   a domain does
    stage    a global stage wrote one into dedup/<stage>/alarms.json
    rule     a rule drops more than `max_rule_dropped_fraction` of the documents in a language: it may not suit it

Marin lost 76 % of a source and one cluster of 859,091 documents before anyone looked (marin#6854).
"""

from collections.abc import Iterable, Iterator, Sequence

from pipelines.numbers import counted
from pipelines.recipe import AlarmsConfig
from pipelines.report.model import Alarm, DedupStage, DomainLoss, Duplicates, LargeCluster, Loss, StageAlarm
from pipelines.report.rule_losses import RuleLoss

_NAMED = 5  # alarms of one sort that get a line of their own


def alarms(
    config: AlarmsConfig, duplicates: Duplicates, domains: Sequence[DomainLoss], rules: Iterable[RuleLoss] = ()
) -> tuple[Alarm, ...]:
    """The alarms of a run. `domains` and `rules` are all of them, not only the worst.

    RUN in a line stands for the folder of the run: a report names no path of the machine.
    """
    large = [_cluster(cluster, config) for cluster in duplicates.largest if cluster.size > config.max_group]
    return (
        *_limited("group", "cluster", large, duplicates.groups_above_max),
        *_limited("source", "source", list(_losses("source", duplicates.sources, config))),
        *_limited("domain", "domain", list(_losses("domain", domains, config))),
        *(Alarm("stage", line) for stage in duplicates.stages for line in _stage(stage)),
        *_limited("rule", "rule", list(_rules(rules, config))),
    )


def _limited(sort: str, noun: str, lines: list[str], number: int | None = None) -> Iterator[Alarm]:
    """The first lines, and how many more alarms there are. `number` counts alarms, where `lines` do not hold all."""
    yield from (Alarm(sort, line) for line in lines[:_NAMED])
    if (more := (number or len(lines)) - _NAMED) > 0:
        rest = counted(more, f"more {noun}")
        yield Alarm(sort, f"{rest} above the same limit; the worst are in the report: gristmill report RUN")


def _cluster(cluster: LargeCluster, config: AlarmsConfig) -> str:
    return (
        f"{cluster.size:,} documents are one cluster, that of {cluster.url or cluster.twin}, above "
        f"alarms.max_group = {config.max_group:,}; are they copies? gristmill explain RUN {cluster.twin}"
    )


def _losses(sort: str, losses: Sequence[Loss], config: AlarmsConfig) -> Iterator[str]:
    for loss in losses:
        shares = {}
        if loss.documents_before:
            shares["documents"] = loss.lost_documents / loss.documents_before
        if loss.characters_before:
            shares["characters"] = loss.lost_characters / loss.characters_before
        unit = max(shares, key=lambda unit: shares[unit], default="")
        if loss.documents_before < config.min_source_documents or not unit:
            continue
        if shares[unit] > config.max_source_lost_fraction:
            by_documents = unit == "documents"
            worst = max(loss.stages, key=lambda stage: stage.lost_documents if by_documents else stage.lost_characters)
            yield (
                f"{sort} {loss.name} loses {shares[unit]:.1%} of its {unit} to deduplication, most to {worst.reason}, "
                f"above alarms.max_source_lost_fraction = {config.max_source_lost_fraction:g}; see which: "
                "gristmill pairs RUN --out pairs.csv"
            )


def _rules(losses: Iterable[RuleLoss], config: AlarmsConfig) -> Iterator[str]:
    for loss in losses:
        share = loss.dropped / loss.documents if loss.documents else 0.0
        if loss.documents < config.min_language_documents or share <= config.max_rule_dropped_fraction:
            continue
        of = f" in {loss.language}" if loss.language else ", whose language no stage identifies"
        setting = f"{loss.stage}.{loss.rule.setting}" if loss.rule.setting else loss.stage
        yield (
            f"{loss.rule.reason} drops {loss.dropped:,} of {loss.documents:,} documents{of} ({share:.1%}), above "
            f"alarms.max_rule_dropped_fraction = {config.max_rule_dropped_fraction:g}; if the rule does not suit them, "
            f"change {setting}; see which: gristmill report RUN"
        )


def _stage(stage: DedupStage) -> Iterator[str]:
    """A line for each sort of alarm that the stage raised, with the first example."""
    sorts: dict[str, list[StageAlarm]] = {}
    for alarm in stage.alarms:
        sorts.setdefault(str(alarm.get("alarm", "alarm")), []).append(alarm)
    for sort, raised in sorts.items():
        facts = ", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in raised[0].items())
        example = raised[0].get("example") or raised[0].get("id")
        look = f"gristmill explain RUN {example}" if example else "gristmill report RUN"
        times = f" ({counted(len(raised), 'time')})" if len(raised) > 1 else ""
        yield f"{stage.stage}: {sort}{times}, the first: {facts.partition(', ')[2]}; see it: {look}"
