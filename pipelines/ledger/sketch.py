"""Distributions and frequent names in bounded memory.

Sketch      value ──rounded down to 10 binary places──▶ a count by outcome      1,024 counts for a factor of two
TopCounter  name ──▶ a count; the rarer half is forgotten when there are too many
"""

from collections import Counter
from collections.abc import Iterable
from enum import IntEnum

import numpy as np

_MANTISSA_BITS = 10
_SHIFT = 52 - _MANTISSA_BITS
_MAX_NAMES = 1 << 18  # that a `TopCounter` holds


class Outcome(IntEnum):
    """What became of the document of a value, and on which side of the metric's thresholds the value is."""

    KEPT = 0
    OTHER = 1  # the value passes, and the document was dropped for something else, or its fate does not matter
    BELOW = 2  # the value fails: it is too small
    ABOVE = 3  # the value fails: it is too large


class Sketch:
    """Counts of values by outcome; values are rounded down to 10 binary places, by at most 0.1 %.

    Integers from 0 to 2,048 are exact. NaN is ignored.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()  # by ordered bits of the rounded value × outcomes + outcome

    def add(self, values: np.ndarray, outcomes: np.ndarray | Outcome = Outcome.OTHER) -> None:
        """Count `values`. `outcomes` holds an `Outcome` for each, or is that of all."""
        real = ~np.isnan(values)
        bits = _ordered((values[real].astype(np.float64) + 0.0).view(np.int64))  # + 0.0: there is one zero
        chosen = np.broadcast_to(outcomes, len(values))[real]
        keys, counts = np.unique((bits >> _SHIFT) * len(Outcome) + chosen, return_counts=True)
        self._counts.update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))

    def values(self, *outcomes: Outcome) -> tuple[np.ndarray, np.ndarray]:
        """(values ascending, their counts) with one of `outcomes`; without any, all values."""
        size = len(Outcome)
        chosen = sorted((k // size, n) for k, n in self._counts.items() if not outcomes or k % size in outcomes)
        keys, counts = np.array(chosen, np.int64).reshape(-1, 2).T
        distinct, first = np.unique(keys, return_index=True)
        sums = np.add.reduceat(counts, first) if len(first) else counts
        return _ordered(distinct << _SHIFT).view(np.float64), sums

    def count(self, *outcomes: Outcome) -> int:
        return int(self.values(*outcomes)[1].sum())

    def quantile(self, share: float) -> float:
        """The smallest value that at least `share` of all values do not exceed."""
        values, counts = self.values()
        index = np.searchsorted(np.cumsum(counts), share * counts.sum(), side="left")
        return float(values[min(int(index), len(values) - 1)])


def _ordered(bits: np.ndarray) -> np.ndarray:
    """Bits of float64 as integers in the order of the numbers; its own inverse."""
    ordered: np.ndarray = bits ^ ((bits >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))
    return ordered


class TopCounter:
    """The most frequent names. Beyond `limit` distinct ones, the rarer half is forgotten.

    `missed` is the largest number by which a count can then be too small.
    """

    def __init__(self, limit: int = _MAX_NAMES) -> None:
        self._limit, self._counts = limit, Counter[str]()
        self.missed = 0

    def update(self, names: Iterable[str]) -> None:
        self._counts.update(names)
        if len(self._counts) > self._limit:
            ranked = sorted(self._counts.items(), key=_rank)
            self.missed += ranked[self._limit // 2][1]
            self._counts = Counter(dict(ranked[: self._limit // 2]))

    def top(self, number: int) -> list[tuple[str, int]]:
        """(name, count) of the most frequent names, ties by name."""
        return sorted(self._counts.items(), key=_rank)[:number]

    def count(self, name: str) -> int:
        """The count of a name; 0 where it was forgotten or never seen."""
        return self._counts[name]

    def __len__(self) -> int:
        """Distinct names that are still counted."""
        return len(self._counts)


def _rank(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
