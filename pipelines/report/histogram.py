"""Bins of a metric for people: round edges, the threshold on an edge, and a last bar for the long tail.

│▇                    ┊
│█▇▆▅▄▃▃▂▂▂▁▁▁▁▁▁▁    ┊▁▁  ▁   ▏▃        counts span orders of magnitude: logarithmic, else linear
0                max_kept      more
"""

import math
from dataclasses import dataclass

import numpy as np

from pipelines.ledger.sketch import Outcome, Sketch
from shards.stage import Rule

_BINS = 40
_TAIL = 0.005  # this share of the values at either end may go to the bars for what lies outside


@dataclass(frozen=True)
class Histogram:
    """Counts by bin: first what lies below edges[0], then [edges[i], edges[i + 1]), last what lies above the last."""

    log: bool
    edges: list[float]
    kept: list[int]
    other: list[int]  # pass this metric's rules, dropped by others
    failing: list[int]


def histogram(sketch: Sketch, rule: Rule, *, integers: bool) -> Histogram:
    """Bins for the values of one metric; `rule` has all bounds on it. There must be a value."""
    log, edges = _edges(sketch, rule, integers)
    counts = {group: np.zeros(len(edges) + 1, np.int64) for group in Outcome}
    # A bound is an edge. Rounded values next to it go to the side on which the true ones were.
    half = 0.5 if integers else 0.0
    low = _bin_of(None if rule.min_kept is None else rule.min_kept - half, edges)
    high = _bin_of(None if rule.max_kept is None else rule.max_kept + half, edges)
    for group, into in counts.items():
        values, numbers = sketch.values(group)
        bins = np.searchsorted(edges, values, side="right")
        bins[values == edges[-1]] = len(edges) - 1
        if group in (Outcome.KEPT, Outcome.OTHER):
            bins = np.clip(bins, low or 0, len(edges) if high is None else high - 1)
        elif group == Outcome.BELOW and low is not None:
            bins = np.minimum(bins, low - 1)
        elif group == Outcome.ABOVE and high is not None:
            bins = np.maximum(bins, high)
        np.add.at(into, bins, numbers)
    failing = counts[Outcome.BELOW] + counts[Outcome.ABOVE]
    return Histogram(log, edges, counts[Outcome.KEPT].tolist(), counts[Outcome.OTHER].tolist(), failing.tolist())


def _bin_of(bound: float | None, edges: list[float]) -> int | None:
    """The bin that begins at `bound`; None where it is no edge."""
    if bound is None:
        return None
    at = int(np.argmin(np.abs(np.array(edges) - bound)))
    return at + 1 if math.isclose(edges[at], bound, rel_tol=1e-9, abs_tol=1e-12) else None


def _edges(sketch: Sketch, rule: Rule, integers: bool) -> tuple[bool, list[float]]:
    values, _ = sketch.values()
    bounds = [b for b in (rule.min_kept, rule.max_kept) if b is not None]
    low = min(sketch.quantile(_TAIL), *bounds)
    high = max(sketch.quantile(1 - _TAIL), *bounds)
    half = 0.5 if integers else 0.0
    anchor = rule.min_kept - half if rule.min_kept is not None else bounds[0] + half
    if integers and high - low > _BINS and high > 10 * max(low, 1):
        return True, _log_edges(max(low, 1) - half, high + half, anchor)
    if low >= 0 and (low < high / 3 or integers):
        low = 0.0 if not integers or low < high / 3 else low
    room = 0.1 * (high - low) or 1.0
    if min(bounds) <= low and values[0] < low:
        low = max(low - room, float(values[0]))
    if max(bounds) >= high:
        high = max(bounds) + room if integers or high > 1 or values[-1] > 1 else min(1.0, max(bounds) + 2 * room)
    step = _nice((high - low) / _BINS)
    if not integers and low == 0 < anchor and anchor / step >= 1:
        step = anchor / round(anchor / step)  # bins of equal width from zero, one of which ends at the bound
    if integers:
        step = max(1.0, math.ceil(step))
        low, high = low - half, high + half
    first = math.floor((low - anchor) / step + 1e-9)
    last = math.ceil((high - anchor) / step - 1e-9)
    edges = [round(anchor + k * step, 10) for k in range(first, last + 1)]
    if not integers:  # no further than there can be values
        least, most = min(float(values[0]), *bounds, low), max(float(values[-1]), *bounds)
        edges = [max(edges[0], least) + 0.0, *edges[1:-1], min(edges[-1], most)]
    return False, edges


def _log_edges(low: float, high: float, anchor: float) -> list[float]:
    step = math.log(high / low) / _BINS
    anchor = max(anchor, low)
    first = math.floor(math.log(low / anchor) / step + 1e-9)
    last = math.ceil(math.log(high / anchor) / step - 1e-9)
    return [float(f"{anchor * math.exp(k * step):.6g}") if k else anchor for k in range(first, last + 1)]


def _nice(width: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is at least `width`."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= width * (1 - 1e-9))
