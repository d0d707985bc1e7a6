"""What a run would keep with one rule's thresholds elsewhere, from the table of `pipelines.report.sweeps` alone.

    bins that fail now and would pass    come back: to their fate without the rule, or to stages that have not seen them
    bins that pass now and would fail    are dropped by the rule

A document that comes back may be kept or dropped by a stage that has not seen it; and where global stages get others
than before, what they removed may come back. So the answer is a range, which holds that of `whatif`, and one number
where nothing unknown follows. `page/report.js` computes the same from `Outlook`, for the slider.
"""

from dataclasses import dataclass
from typing import Self

from pipelines.report.model import Number, Report, Sweep, num_removed
from shards.schema import KEPT

_RECORDS_GIVEN_TWICE = "same_record"
_REMOVES_COPIES = ("exact", "minhash", "url_dedup", "substring")  # kinds that remove a document for another one
_REMOVES_MORE = ("substring",)  # of them, kinds that new documents let remove less


@dataclass(frozen=True)
class Outlook:
    """What follows each stage, from a report; stages are numbered in their order."""

    stages: tuple[str, ...]
    left: tuple[int, ...]  # documents after each stage
    stage_of: dict[str, int]  # by drop reason
    removed: dict[int, int]  # documents that each global stage removed, but for records given twice
    lost_characters: dict[int, int]  # by these stages
    back: frozenset[int]  # stages that may remove fewer documents where new ones reach them
    unknown: frozenset[int]  # stages of which nothing is known where they get other documents
    twice: int | None  # `same_record`, where it removed something
    kept: int
    characters: int

    @classmethod
    def of(cls, report: Report) -> Self:
        names = tuple(stage.stage for stage in report.funnel)
        kinds = {number: stage.kind for number, stage in enumerate(report.funnel)}
        stage_of = {row.reason: names.index(row.stage) for row in report.rules}
        global_ = {stage_of[row.reason] for row in report.rules if row.metric is None}
        twice = next((number for number in global_ if kinds[number] == _RECORDS_GIVEN_TWICE), None)
        others = global_ - {twice}
        return cls(
            stages=names,
            left=tuple(stage.documents for stage in report.funnel),
            stage_of=stage_of,
            removed={n: num_removed(report, names[n]) for n in others},
            lost_characters={names.index(s.stage): s.lost_characters for s in report.duplicates.stages},
            back=frozenset(n for n in others if kinds[n] in _REMOVES_MORE),
            unknown=frozenset(n for n in others if kinds[n] not in _REMOVES_COPIES),
            twice=twice if twice is not None and num_removed(report, names[twice]) else None,
            kept=report.documents.kept,
            characters=(report.funnel[-1].characters or 0) if report.funnel else 0,
        )

    def ends(self, fate: str) -> tuple[int, bool]:
        """(stage that drops a document of this fate, whether that is known). Kept: after the last stage."""
        if fate == KEPT:
            return len(self.stages), True
        if not fate.startswith("?"):
            return self.stage_of[fate], True
        number = self.stages.index(fate[1:])
        if self.twice is None and number == self.stage_of.get("dedup.same_record"):
            number += 1  # it passes what is given once
        return number, number == len(self.stages)


@dataclass(frozen=True)
class Between:
    """A number of which two ends are known."""

    least: int
    most: int


@dataclass(frozen=True)
class Moved:
    """The run with other thresholds of one rule."""

    dropped: int  # by the rule, as the first of their reasons
    funnel: tuple[Between, ...]  # documents left after each stage
    kept: Between
    characters: Between  # of kept documents, as long as the run left them


def moved(outlook: Outlook, sweep: Sweep, low: Number | None, high: Number | None) -> Moved:
    """The run with the thresholds `low` and `high` of a rule, both among its edges or None."""
    passes_now, passes_then = (_passing(sweep, *limits) for limits in ((sweep.min_kept, sweep.max_kept), (low, high)))
    num_stages = len(outlook.stages)
    left = [[*outlook.left, outlook.characters] for _ in range(2)]  # least and most; the last is of characters
    gone, come = [0] * (num_stages + 1), [0] * (num_stages + 1)  # documents that reach each stage no more, or newly
    dropped = 0
    own = outlook.stages.index(sweep.stage)
    back = dict(outlook.removed)
    for bin, fate, documents, characters in _cells(sweep):
        dropped += documents * (not passes_then[bin])
        if passes_now[bin] == passes_then[bin]:
            continue
        end, is_known = outlook.ends(sweep.fates[fate])
        sign = 1 if passes_then[bin] else -1
        for stage in range(own, num_stages):
            reaches = come if passes_then[bin] else gone
            if stage < end or not is_known:
                left[1][stage] += sign * documents
                left[0][stage] += sign * documents * (stage < end)
            if stage <= end or not is_known:
                reaches[stage] += documents
        left[1][-1] += sign * characters * (end == num_stages or not is_known)
        left[0][-1] += sign * characters * (end == num_stages)
        if not passes_then[bin] and is_known and end in back:
            back[end] -= documents
    for stage, removed in back.items():
        if gone[stage] or (come[stage] and (stage in outlook.back or stage in outlook.unknown)):
            for after in range(stage, num_stages):
                left[1][after] += removed
            left[1][-1] += outlook.lost_characters.get(stage, 0)
            if stage in outlook.unknown:
                left[0][stage:] = [0] * (num_stages + 1 - stage)
    least, most = left
    ends = [Between(max(0, a), b) for a, b in zip(least, most, strict=True)]
    *funnel, of_characters = ends
    return Moved(dropped, tuple(funnel), funnel[-1] if funnel else Between(0, 0), of_characters)


def kept_by_threshold(outlook: Outlook, sweep: Sweep, *, minimum: bool) -> list[Between]:
    """The kept documents with the minimum, or else the maximum, at each edge in turn: the curve of the rule."""
    return [
        (moved(outlook, sweep, edge, sweep.max_kept) if minimum else moved(outlook, sweep, sweep.min_kept, edge)).kept
        for edge in sweep.edges
    ]


def _passing(sweep: Sweep, low: Number | None, high: Number | None) -> list[bool]:
    """Whether the values of each bin pass the thresholds."""
    first = 0 if low is None else 2 * sweep.edges.index(low) + 1
    last = 2 * len(sweep.edges) if high is None else 2 * sweep.edges.index(high) + 1
    return [first <= bin <= last for bin in range(2 * len(sweep.edges) + 1)]


def _cells(sweep: Sweep) -> list[tuple[int, int, int, int]]:
    cells = iter(sweep.cells)
    return list(zip(cells, cells, cells, cells, strict=True))
