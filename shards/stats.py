"""Counts that add up: a commutative monoid of integers, so any order of shards and workers gives the same totals.

Keys are paths, such as "funnel/gopher_quality/documents". Means and shares are computed by the report: a sum of
integers survives merging and JSON exactly, and a mean does not.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Self


class Stats:
    """Counts by key: `Stats()` is zero, `+` adds, `to_json` and `from_json` are exact inverses."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._counts = Counter({k: v for k, v in (counts or {}).items() if v})

    def add(self, key: str, amount: int = 1) -> None:
        self._counts[key] += int(amount)

    def __add__(self, other: Self) -> "Stats":
        total = Stats(self._counts)
        total._counts.update(other._counts)
        return total

    @staticmethod
    def sum(parts: Iterable["Stats"]) -> "Stats":
        total = Stats()
        for part in parts:
            total._counts.update(part._counts)
        return total

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stats) and self.to_json() == other.to_json()

    def __getitem__(self, key: str) -> int:
        return self._counts[key]

    def below(self, prefix: str) -> dict[str, int]:
        """The counts under `prefix/`, keyed by what follows it, in key order."""
        start = prefix + "/"
        return {k[len(start) :]: v for k, v in sorted(self._counts.items()) if k.startswith(start) and v}

    def to_json(self) -> dict[str, int]:
        return {k: v for k, v in sorted(self._counts.items()) if v}

    @classmethod
    def from_json(cls, counts: Mapping[str, Any]) -> Self:
        return cls(counts)
