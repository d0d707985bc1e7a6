"""The effect of training data on a score, with intervals: pure functions over the scores of items.

    values[side, seed, item] / weights[item]       nats and bytes · ln 2 of documents, or 1 for a right answer and 1
    score[side, seed]  = Σ values / Σ weights      bits per byte, or accuracy
    effect             = mean over seeds of score[b] - score[a]

Two things make an effect uncertain. Other items would have been scored: their part is measured by a paired bootstrap,
which draws items and takes the same ones for both sides. Other seeds would have been trained: their part is what
score = side + seed leaves over, of all sides, since a seed that gives all sides equal initial weights moves them
together. The whole interval adds both variances; its degrees of freedom are those of Welch and Satterthwaite. Only it
may name a winner.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from scipy import stats

LEVEL = 0.95  # of each interval by itself
POWER = 0.8  # of the smallest effect: how often one of that size is shown
_DRAWS = 4000
_CHUNK = 1 << 22  # draws times items at once


@dataclass(frozen=True)
class Interval:
    low: float
    high: float

    @property
    def covers_zero(self) -> bool:
        return self.low <= 0 <= self.high


@dataclass(frozen=True)
class Effect:
    """The difference of two sides, second minus first."""

    sides: tuple[str, str]
    mean: float
    by_seed: tuple[float, ...]
    over_documents: Interval  # were other items scored
    over_seeds: Interval  # were other seeds trained
    whole: Interval  # both
    smallest: float  # effect that so many items and seeds show with POWER

    @property
    def winner(self) -> str | None:
        """The side of the smaller score where the whole interval does not cover zero, and otherwise none."""
        if self.whole.covers_zero:
            return None
        return self.sides[1] if self.mean < 0 else self.sides[0]


@dataclass(frozen=True)
class Scores:
    """The scores of some items by the models of all sides and seeds; no item depends on another."""

    sides: tuple[str, ...]
    values: np.ndarray  # float64[sides, seeds, items]
    weights: np.ndarray  # float64[items]

    @cached_property
    def table(self) -> np.ndarray:
        """float64[sides, seeds]: the score of each model."""
        scores: np.ndarray = self.values.sum(axis=-1) / self.weights.sum()
        return scores

    @property
    def spread(self) -> tuple[float, int]:
        """(standard deviation over seeds of a difference of two sides, its degrees of freedom), by all sides."""
        table = self.table
        residual = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
        return (math.sqrt(2 * float((residual**2).sum()) / freedom) if freedom else math.inf), freedom

    def effects(self, seed: int = 0) -> Iterator[Effect]:
        """The effects of all pairs of sides, in their order; `seed` is of the bootstrap's draws."""
        for a, b in combinations(range(len(self.sides)), 2):
            yield self._effect(a, b, seed)

    def _effect(self, a: int, b: int, seed: int) -> Effect:
        by_seed = self.table[b] - self.table[a]
        mean, num_seeds = float(by_seed.mean()), len(by_seed)
        draws = bootstrap((self.values[b] - self.values[a]).mean(axis=0), self.weights, seed)
        tail = 100 * (1 - LEVEL) / 2
        low, high = np.percentile(draws, [tail, 100 - tail])
        deviation, freedom = self.spread
        of_seeds, of_items = deviation / math.sqrt(num_seeds), float(draws.std())
        whole, whole_freedom = added(of_seeds, freedom, of_items, len(self.weights) - 1)
        return Effect(
            sides=(self.sides[a], self.sides[b]),
            mean=mean,
            by_seed=tuple(by_seed.tolist()),
            over_documents=Interval(float(low), float(high)),
            over_seeds=_around(mean, of_seeds, freedom),
            whole=_around(mean, whole, whole_freedom),
            smallest=smallest_effect(whole, whole_freedom),
        )


def bootstrap(numerators: np.ndarray, weights: np.ndarray, seed: int) -> np.ndarray:
    """float64[_DRAWS]: Σ numerators / Σ weights over items drawn with replacement."""
    count, random = len(weights), np.random.default_rng(seed)
    ratios = []
    at_once = max(1, min(_DRAWS, _CHUNK // count))
    for first in range(0, _DRAWS, at_once):
        size = min(at_once, _DRAWS - first)
        drawn = random.multinomial(count, np.full(count, 1 / count), size=size)
        ratios.append((drawn @ numerators) / (drawn @ weights))
    return np.concatenate(ratios)


def added(of_seeds: float, freedom: int, of_items: float, item_freedom: int) -> tuple[float, float]:
    """(standard error, degrees of freedom) of the sum of two independent parts (Satterthwaite, 1946)."""
    if not freedom:
        return math.inf, 1.0
    error = math.hypot(of_seeds, of_items)
    below = of_seeds**4 / freedom + (of_items**4 / item_freedom if item_freedom else 0)
    return error, (error**4 / below if below else float(freedom))


def smallest_effect(error: float, freedom: float) -> float:
    """The effect that an interval of this standard error does not cover zero for, as often as POWER says."""
    if not math.isfinite(error):
        return math.inf
    return float(error * (stats.t.ppf((1 + LEVEL) / 2, freedom) + stats.t.ppf(POWER, freedom)))


def expected_smallest(deviation: float, of_items: float, *, num_sides: int, num_seeds: int) -> float:
    """The smallest effect of an ablation to be made, where a difference of two seeds deviates by so much.

    `of_items` is the standard error that the held-out documents will bring.
    """
    freedom = (num_sides - 1) * (num_seeds - 1)
    return smallest_effect(*added(deviation / math.sqrt(num_seeds), freedom, of_items, 10**6))


def joined(parts: list[Scores], keys: list[np.ndarray]) -> Scores:
    """The scores of several sets as one, in which each set has the same weight, whatever its size.

    `keys` name the items of each set. Those of one name, such as two texts of one page, are one item, since they are
    not independent.
    """
    names, item = np.unique(np.concatenate(keys), return_inverse=True)
    shares = [part.weights.sum() * len(parts) for part in parts]
    values = np.concatenate([part.values / share for part, share in zip(parts, shares, strict=True)], axis=-1)
    weights = np.concatenate([part.weights / share for part, share in zip(parts, shares, strict=True)])
    sums = np.zeros((len(names), *values.shape[:-1]))
    np.add.at(sums, item, np.moveaxis(values, -1, 0))
    return Scores(parts[0].sides, np.moveaxis(sums, 0, -1), np.bincount(item, weights, len(names)))


def _around(mean: float, error: float, freedom: float) -> Interval:
    if not math.isfinite(error):
        return Interval(-math.inf, math.inf)
    half = float(error * stats.t.ppf((1 + LEVEL) / 2, freedom))
    return Interval(mean - half, mean + half)
