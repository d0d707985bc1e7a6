"""What a person should look at before using the shards, a line each: nothing is removed or kept for it.

    group    more documents than `max_group` are copies of one: seldom an article, often what all pages of a site share
    source   loses more than `max_source_lost_fraction` of its documents or characters to dedup, or a domain does
    stage    what a global stage saw itself, from dedup/<stage>/alarms.json

Marin lost 76 % of a source and one cluster of 859,091 documents before anyone looked (marin#6854).
"""

from collections.abc import Iterator
from typing import Any

from pipelines.recipe import AlarmsConfig

_NAMED = 5  # alarms of one sort that get a line of their own


def alarms(config: AlarmsConfig, duplicates: dict[str, Any], domains: list[dict[str, Any]]) -> list[dict[str, str]]:
    """(`alarm`: its sort, `text`: a line that ends with what to do) of `report.json`'s `duplicates`.

    `domains` are all of them, not only the worst. The line says RUN where the run's folder belongs: a report names no
    path of the machine.
    """
    giants = [row for row in duplicates["largest"] if row["size"] > config.max_group]
    found = [
        *_few("group", [_group(row, config) for row in giants], duplicates["groups_above_max"]),
        *_few("source", list(_losers("source", duplicates["sources"], config))),
        *_few("domain", list(_losers("domain", domains, config))),
        *(line for stage in duplicates["stages"] for line in _stage(stage)),
    ]
    return [{"alarm": sort, "text": text} for sort, text in found]


def _few(sort: str, texts: list[str], number: int | None = None) -> Iterator[tuple[str, str]]:
    """`number` of them, if they are more than `texts`."""
    yield from ((sort, text) for text in texts[:_NAMED])
    if (more := (number or len(texts)) - _NAMED) > 0:
        s = "" if more == 1 else "s"
        yield sort, f"{more:,} more {sort}{s} above the same limit; the worst are in the report: gristmill report RUN"


def _group(row: dict[str, Any], config: AlarmsConfig) -> str:
    return (
        f"{row['size']:,} documents are one group, that of {row['url'] or row['twin']}, above "
        f"alarms.max_group = {config.max_group:,}; are they copies? gristmill explain RUN {row['twin']}"
    )


def _losers(sort: str, rows: list[dict[str, Any]], config: AlarmsConfig) -> Iterator[str]:
    for row in rows:
        lost = {
            name: row[f"lost_{name}"] / row[f"{name}_before"] for name in ("documents", "characters")
            if row[f"{name}_before"]
        }  # fmt: skip
        most = max(lost, key=lambda name: lost[name], default="")
        if row["documents_before"] < config.min_source_documents or not most:
            continue
        if lost[most] > config.max_source_lost_fraction:
            worst = max(row["stages"], key=lambda stage: stage[f"lost_{most}"])["reason"]
            yield (
                f"{sort} {row[sort]} loses {lost[most]:.1%} of its {most} to deduplication, most to {worst}, above "
                f"alarms.max_source_lost_fraction = {config.max_source_lost_fraction:g}; see which: "
                "gristmill pairs RUN --out pairs.csv"
            )


def _stage(stage: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """One line for each sort that the stage raised, with its first example."""
    sorts: dict[str, list[dict[str, Any]]] = {}
    for entry in stage["alarms"]:
        sorts.setdefault(str(entry.get("alarm", "alarm")), []).append(entry)
    for sort, entries in sorts.items():
        first = ", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in entries[0].items())
        example = entries[0].get("example") or entries[0].get("id")
        look = f"gristmill explain RUN {example}" if example else "gristmill report RUN"
        times = f" ({len(entries):,} times)" if len(entries) > 1 else ""
        yield "stage", f"{stage['stage']}: {sort}{times}, the first: {first.partition(', ')[2]}; see it: {look}"
