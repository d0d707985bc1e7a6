"""The duplicates of a run in `report.json`: by stage, by size of group, the largest, and what each source loses."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.ledger.clusters import Shown
from pipelines.ledger.rules import stages_of
from pipelines.ledger.sketch import Sketch
from pipelines.recipe import Recipe
from pipelines.report.aggregate import Tally
from shards.sink import open_arrow

_DOMAINS = 20  # that lose most, and are named


def duplicates(run: Path, recipe: Recipe, dropped: dict[str, int], tally: Tally) -> dict[str, Any]:
    """`dropped` are documents by first reason."""
    groups, sources = tally.groups, tally.lost_by_source.rows("source")
    stages = []
    for name, kind, reason in stages_of(recipe):
        if reason is not None and reason.startswith("dedup."):
            folder = run / "dedup" / name
            edges, raised = folder / "edges.arrow", folder / "alarms.json"
            parts = [part for row in sources for part in row["stages"] if part["reason"] == reason]
            stages.append(
                {
                    "stage": name,
                    "kind": kind,
                    "reason": reason,
                    "removed": dropped.get(reason, 0),
                    "lost_characters": sum(part["lost_characters"] for part in parts),
                    "verified_pairs": open_arrow(edges).count_rows() if edges.exists() else None,
                    "sizes": groups.sizes(reason, *_left(recipe, tally, name)) if reason in groups.reasons else None,
                    "alarms": json.loads(raised.read_bytes()) if raised.exists() else [],
                }
            )
    return {
        "stages": stages,
        "groups": len(groups),
        "groups_above_max": groups.above(recipe.alarms.max_group),
        "sizes": groups.sizes(None, tally.fates[""], tally.chars[""]) if groups.reasons else None,
        "largest": [_largest(shown) for shown in tally.largest],
        "similarity": {
            r: _similarity(s) for r, s in sorted(tally.similarities.items()) if s.count() and s.quantile(0) < 1
        },
        "sources": sources,
        "domains": tally.lost_by_host.rows("domain")[:_DOMAINS],
        "domain_counts_miss_at_most": tally.lost_by_host.missed,
    }


def _left(recipe: Recipe, tally: Tally, stage: str) -> tuple[int, int]:
    """(documents, their characters as the ledger has them) that passed a global stage, whatever came after."""
    ended: set[str] = set()
    for name, _, reason in stages_of(recipe):
        ended |= {rule.reason for of, rule in tally.rules if of == name} | ({reason} if reason else set())
        if name == stage:
            break
    fates = [fate for fate in tally.fates if fate not in ended]
    return sum(tally.fates[fate] for fate in fates), sum(tally.chars[fate] for fate in fates)


def _largest(shown: Shown) -> dict[str, Any]:
    group = shown.group
    return {
        "twin": group.id,
        "url": shown.url,
        "fate": group.fate,
        "size": group.size,
        "removed": group.size - 1,
        "characters": group.chars,
        "members": [asdict(member) for member in shown.members],
    }


def _similarity(sketch: Sketch) -> dict[str, Any]:
    """Documents by similarity to their twin, in steps of .02 from a little below the least; 1.0 is in the last bin."""
    values, counts = sketch.values()
    first = max(0, int(np.floor(values[0] * 50)) - 3)
    bins = np.clip((values * 50).astype(np.int64), first, 49) - first
    return {
        "edges": [round(k / 50, 2) for k in range(first, 51)],
        "documents": np.bincount(bins, counts, 50 - first).astype(np.int64).tolist(),
    }
