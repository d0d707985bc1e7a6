"""Losses far from those of like documents: pure functions over bits per byte.

    z = (ln(bits per byte) - median) / (1.4826 · median absolute deviation)        among documents of one language

The median and the deviation about it stay where they are however bad a tenth of the documents is. A document is
suspected from |z| = 3.5 on, by Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993. Logarithms make a
loss of half the median as far away as one of twice the median.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LIMIT = 3.5
MIN_GROUP = 20  # documents of a language that are compared among themselves; others are compared with all
_NORMAL = 1.4826  # median absolute deviation to standard deviation, of a normal distribution
LOW, HIGH = "low", "high"  # missed duplicates and boilerplate; mojibake and gibberish


def robust_z(bits_per_byte: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """float64[documents]: how far each is from the median of its group, in deviations."""
    logs = np.log(np.maximum(bits_per_byte, 1e-6))
    z = _z(logs, logs)
    names = np.array(groups, str)
    for name in np.unique(names):
        own = names == name
        if own.sum() >= MIN_GROUP:
            z[own] = _z(logs[own], logs[own])
    return z


def _z(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    if not len(of):
        return np.zeros(len(values))
    median = np.median(of)
    deviation = _NORMAL * np.median(np.abs(of - median))
    result: np.ndarray = (values - median) / max(float(deviation), 1e-9)
    return result


@dataclass(frozen=True)
class Group:
    """Documents of one host or of one template of addresses."""

    name: str
    num_documents: int
    num_low: int
    num_high: int
    median_z: float

    @property
    def num_suspects(self) -> int:
        return self.num_low + self.num_high


def grouped(names: Sequence[str], z: np.ndarray, *, min_documents: int = 3) -> list[Group]:
    """The groups in which documents are suspected, those with most of them first."""
    members: dict[str, list[float]] = defaultdict(list)
    for name, value in zip(names, z.tolist(), strict=True):
        members[name].append(value)
    found = [
        Group(name, len(of), sum(v <= -LIMIT for v in of), sum(v >= LIMIT for v in of), float(np.median(of)))
        for name, of in members.items()
        if name and len(of) >= min_documents
    ]
    return sorted((g for g in found if g.num_suspects), key=lambda g: (-g.num_suspects, g.num_documents, g.name))


def precision_interval(num_right: int, num_judged: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score (1927)."""
    if not num_judged:
        return 0.0, 1.0
    z, n, p = 1.959964, num_judged, num_right / num_judged
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
