"""The loss by guesses before extraction, estimated from a sample of documents that a guess must not drop.

dropped by the guess: n      audited, and below the same threshold: k      of these kept in the end: m
estimated loss = n · m / k, and the 95 % interval of Wilson (1927) for m / k, times n
"""

import math

import pyarrow.compute as pc

from pipelines.ledger.batches import ledger_batches
from pipelines.recipe import Recipe
from pipelines.report.model import GuessAudit, Summary, rounded_share
from pipelines.run.folder import RunFolder
from shards.stage import Audit

_Z = 1.959964  # 95 % of a normal distribution lie within this many standard deviations


def audits(run: RunFolder, recipe: Recipe, summary: Summary) -> tuple[GuessAudit, ...]:
    """An entry for each stage that guesses."""
    guesses = ((stage.name, stage.audit()) for stage in recipe.local_stages())
    return tuple(_audit(run, name, audit, summary) for name, audit in guesses if audit is not None)


def _audit(run: RunFolder, stage: str, audit: Audit, summary: Summary) -> GuessAudit:
    guessed_out = summary.dropped.get(audit.reason, 0)
    audited, audited_kept = _counts(run, audit)
    least, most = (guessed_out * share for share in wilson(audited_kept, audited))
    lost = guessed_out * audited_kept / audited if audited else None
    return GuessAudit(
        stage=stage,
        guessed_out=guessed_out,
        audited=audited,
        audited_kept=audited_kept,
        lost=None if lost is None else round(lost, 1),
        lost_least=round(least, 1),
        lost_most=round(most, 1),
        lost_share=None if lost is None else _lost_share(lost, summary),
        lost_share_least=_lost_share(least, summary),
        lost_share_most=_lost_share(most, summary),
    )


def _lost_share(lost: float, summary: Summary) -> float | None:
    return rounded_share(lost, summary.documents.kept + lost)


def sentence(audit: GuessAudit) -> str:
    """One line for people."""
    line = f"{audit.stage}: {audit.guessed_out:,} pages guessed out; {audit.audited:,} such were audited"
    if audit.lost is None:
        return line + ", so nothing is known of the loss; raise audit_fraction"
    share, least, most = (
        f"{100 * (part or 0):.2f} %" for part in (audit.lost_share, audit.lost_share_least, audit.lost_share_most)
    )
    return (
        f"{line}, {audit.audited_kept:,} of them kept: about {audit.lost:,.0f} kept pages lost "
        f"({share} of what would be kept; 95 % interval {least} to {most})"
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share; [0, 1] without trials."""
    if not trials:
        return 0.0, 1.0
    p, zz = successes / trials, _Z * _Z / trials
    middle, half = p + zz / 2, _Z * math.sqrt(p * (1 - p) / trials + zz / (4 * trials))
    return max(0.0, (middle - half) / (1 + zz)), min(1.0, (middle + half) / (1 + zz))


def _counts(run: RunFolder, audit: Audit) -> tuple[int, int]:
    """(audited documents that the guess would have dropped, those of them that were kept)."""
    audited = kept = 0
    for part in ledger_batches(run, [audit.metric, "drop_reasons"]):
        below = part.rows.filter(pc.fill_null(pc.less(part.rows[audit.metric], audit.min_kept), False))
        audited += below.num_rows
        kept += pc.sum(pc.equal(pc.list_value_length(below["drop_reasons"]), 0)).as_py() or 0
    return audited, kept
