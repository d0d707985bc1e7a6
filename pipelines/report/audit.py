"""What guesses before extraction cost: of the audit sample, how many that a guess would have dropped were kept.

dropped by the guess: n      audited at the same bound: k      of these kept in the end: m
estimated loss = n · m / k, and the 95 % interval of Wilson (1927) for m / k, times n
"""

import math
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from cleaners.language_guess import LanguageGuessConfig
from pipelines.recipe import Recipe
from shards.sink import read_batches

_Z = 1.959964  # 95 % of a normal distribution lie within so many standard deviations


def audits(run: Path, recipe: Recipe, dropped: dict[str, int], kept: int) -> list[dict[str, Any]]:
    """One entry for each guess of the recipe; shares are of the kept and the lost together."""
    found = []
    for _, stage in recipe.stages:
        if isinstance(stage, LanguageGuessConfig) and stage.min_wanted_score is not None:
            num_dropped = dropped.get(stage.rules()[0].reason, 0)
            audited, rescued = _count(run, f"{stage.name}.audited_score", stage.min_wanted_score)
            losses = [num_dropped * share for share in wilson(rescued, audited)]
            found.append(
                {
                    "stage": stage.name,
                    "guessed_out": num_dropped,
                    "audited": audited,
                    "audited_kept": rescued,
                    "lost": round(num_dropped * rescued / audited, 1) if audited else None,
                    "lost_least": round(losses[0], 1),
                    "lost_most": round(losses[1], 1),
                    "lost_share": _share(num_dropped * rescued / audited, kept) if audited else None,
                    "lost_share_least": _share(losses[0], kept),
                    "lost_share_most": _share(losses[1], kept),
                }
            )
    return found


def sentence(entry: dict[str, Any]) -> str:
    """One line for people."""
    line = f"{entry['stage']}: {entry['guessed_out']:,} pages guessed out; {entry['audited']:,} such were audited"
    if not entry["audited"]:
        return line + ", so nothing is known of the loss; raise audit_fraction"
    shares = [f"{100 * entry[key]:.2f} %" for key in ("lost_share", "lost_share_least", "lost_share_most")]
    return (
        f"{line}, {entry['audited_kept']:,} of them kept: about {entry['lost']:,.0f} kept pages lost "
        f"({shares[0]} of what would be kept; 95 % interval {shares[1]} to {shares[2]})"
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share; all of [0, 1] where nothing was tried."""
    if not trials:
        return 0.0, 1.0
    p, zz = successes / trials, _Z * _Z / trials
    middle, half = p + zz / 2, _Z * math.sqrt(p * (1 - p) / trials + zz / (4 * trials))
    return max(0.0, (middle - half) / (1 + zz)), min(1.0, (middle + half) / (1 + zz))


def _count(run: Path, column: str, bound: float) -> tuple[int, int]:
    """(audited rows that the bound would have dropped, those of them that were kept)."""
    audited = rescued = 0
    for path in sorted((run / "ledger").glob("*.arrow")):
        for batch in read_batches(path, [column, "drop_reasons"]):
            below = batch.filter(pc.fill_null(pc.less(batch[column], bound), False))
            audited += below.num_rows
            rescued += pc.sum(pc.equal(pc.list_value_length(below["drop_reasons"]), 0)).as_py() or 0
    return audited, rescued


def _share(lost: float, kept: int) -> float | None:
    return round(lost / (kept + lost), 6) if kept + lost else None
