"""Bins of a metric for people: round edges, the threshold on an edge, and a last bar for the long tail.

│▇                    ┊
│█▇▆▅▄▃▃▂▂▂▁▁▁▁▁▁▁    ┊▁▁  ▁   ▏▃        counts span orders of magnitude: logarithmic, else linear
0                max_kept      more
"""

import math

import numpy as np

from pipelines.ledger.sketch import Outcome, Sketch
from pipelines.report.model import Histogram
from shards.stage import Rule

_BINS = 40
_LEAST_WIDTH = 1e-6  # of all bins together
_TAIL = 0.005  # share of the values at either end that may go to the bars for what lies outside


def histogram(sketch: Sketch, rule: Rule, *, integers: bool, is_strict: bool = True) -> Histogram:
    """Bins for the values of one metric, of which there must be one. `rule` has all thresholds on it.

    Without `is_strict` some documents have tighter thresholds, and so fail between those of `rule`.
    """
    log, edges = _edges(sketch, rule, integers)
    counts = {outcome: np.zeros(len(edges) + 1, np.int64) for outcome in Outcome}
    # A threshold is an edge. Rounded values next to it go to the side on which the true ones were.
    half = 0.5 if integers else 0.0
    low = _bin_of(None if rule.min_kept is None else rule.min_kept - half, edges)
    high = _bin_of(None if rule.max_kept is None else rule.max_kept + half, edges)
    for outcome, into in counts.items():
        values, numbers = sketch.values(outcome)
        bins = np.searchsorted(edges, values, side="right")
        bins[values == edges[-1]] = len(edges) - 1
        if outcome in (Outcome.KEPT, Outcome.OTHER):
            bins = np.clip(bins, low or 0, len(edges) if high is None else high - 1)
        elif is_strict and outcome == Outcome.BELOW and low is not None:
            bins = np.minimum(bins, low - 1)
        elif is_strict and outcome == Outcome.ABOVE and high is not None:
            bins = np.maximum(bins, high)
        np.add.at(into, bins, numbers)
    failing = counts[Outcome.BELOW] + counts[Outcome.ABOVE]
    kept, other = counts[Outcome.KEPT].tolist(), counts[Outcome.OTHER].tolist()
    return Histogram(log, tuple(edges), tuple(kept), tuple(other), tuple(failing.tolist()))


def _bin_of(threshold: float | None, edges: list[float]) -> int | None:
    """The bin that begins at `threshold`; None where it is no edge."""
    if threshold is None:
        return None
    index = int(np.argmin(np.abs(np.array(edges) - threshold)))
    return index + 1 if math.isclose(edges[index], threshold, rel_tol=1e-9, abs_tol=1e-12) else None


def _edges(sketch: Sketch, rule: Rule, integers: bool) -> tuple[bool, list[float]]:
    """(whether they are logarithmic, edges). Between integers, edges stand half way."""
    values, _ = sketch.values()
    thresholds = [threshold for threshold in (rule.min_kept, rule.max_kept) if threshold is not None]
    low = min([sketch.quantile(_TAIL), *thresholds])
    high = max([sketch.quantile(1 - _TAIL), *thresholds])
    if not thresholds and high - low < _LEAST_WIDTH:  # equal values
        high = low + 1.0
    half = 0.5 if integers else 0.0
    anchor = rule.min_kept - half if rule.min_kept is not None else thresholds[0] + half if thresholds else low - half
    if integers and high - low > _BINS and high > 10 * max(low, 1):
        return True, _log_edges(max(low, 1) - half, high + half, anchor)
    if low >= 0 and (low < high / 3 or integers):
        low = 0.0 if not integers or low < high / 3 else low
    room = 0.1 * (high - low) or 1.0
    if min(thresholds, default=low) <= low and values[0] < low:
        low = max(low - room, float(values[0]))
    if thresholds and (largest := max(thresholds)) >= high:
        high = largest + room if integers or high > 1 or values[-1] > 1 else min(1.0, largest + 2 * room)
    step = nice_step((high - low) / _BINS)
    if not integers and low == 0 < anchor and anchor / step >= 1:
        step = anchor / round(anchor / step)  # bins of equal width from zero, one of which ends at the threshold
    if integers:
        step = max(1.0, math.ceil(step))
        low, high = low - half, high + half
    first = math.floor((low - anchor) / step + 1e-9)
    last = math.ceil((high - anchor) / step - 1e-9)
    edges = [round(anchor + k * step, 10) for k in range(first, last + 1)]
    if not integers:  # no edge lies where there can be no value
        least, most = min(float(values[0]), *thresholds, low), max([float(values[-1]), *(thresholds or [high])])
        edges = [max(edges[0], least) + 0.0, *edges[1:-1], min(edges[-1], most)]
    return False, edges


def _log_edges(low: float, high: float, anchor: float) -> list[float]:
    step = math.log(high / low) / _BINS
    anchor = max(anchor, low)
    first = math.floor(math.log(low / anchor) / step + 1e-9)
    last = math.ceil(math.log(high / anchor) / step - 1e-9)
    return [float(f"{anchor * math.exp(k * step):.6g}") if k else anchor for k in range(first, last + 1)]


def nice_step(width: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `width`."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= width * (1 - 1e-9))
