"""Curves of a training from its records, one a step: at most `MAX_POINTS` points each, in memory that does not grow.

metrics.jsonl ──line by line──▶ bins of equally many steps: sum, count, least and largest of each figure
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson

from shards.limits import check_limits

MAX_POINTS = 1000
_SMOOTHED_SHARE = 0.02  # of all points in the window of a smoothed curve
_TABLES = ("loss_by_source", "loss_by_bucket")  # keys of records whose values are figures by name
_TAIL_BYTES = 1 << 16  # in which the last record lies


@dataclass
class Bins:
    """A figure in bins of steps."""

    sums: np.ndarray  # float64[bins]
    counts: np.ndarray  # int64[bins]
    least: np.ndarray  # float64[bins]; inf where there is none
    largest: np.ndarray  # float64[bins]; -inf where there is none

    @classmethod
    def empty(cls, num_bins: int) -> Self:
        infinite = np.full(num_bins, np.inf)
        return cls(np.zeros(num_bins), np.zeros(num_bins, np.int64), infinite, -infinite)

    def add(self, bin: int, values: Sequence[float]) -> None:
        self.sums[bin] += sum(values)
        self.counts[bin] += len(values)
        self.least[bin] = min(self.least[bin], *values)
        self.largest[bin] = max(self.largest[bin], *values)


@dataclass(frozen=True)
class Curve:
    """The means of a figure over bins that have it, with their least and largest values."""

    steps: np.ndarray  # float64[points]: the middle of each bin
    values: np.ndarray
    least: np.ndarray
    largest: np.ndarray

    def smoothed(self) -> np.ndarray:
        """The running mean by `smoothed`, at each point."""
        return smoothed(self.values)


@dataclass
class Curves:
    """All figures of a training by name; of a table by (its key, name)."""

    last_step: int = 0
    last: dict[str, Any] = field(default_factory=dict)  # the last record
    steps_per_point: int = 1
    _bins: dict[tuple[str, str], Bins] = field(default_factory=dict)
    _open: dict[tuple[str, str], list[float]] = field(default_factory=dict)  # the values of one bin
    _open_bin: int = 0

    @classmethod
    def read(cls, path: Path) -> Self:
        """The curves of a file of records; lines that are none, such as one that is being written, are left out."""
        last_step = max((record["step"] for record in _records(path, tail=True)), default=0)
        curves = cls(last_step, steps_per_point=max(1, -(-last_step // MAX_POINTS)))
        for record in _records(path):
            if 1 <= record["step"] <= last_step:
                curves._add(record)
        curves._close_bin()
        return curves

    def curve(self, key: str, name: str = "") -> Curve | None:
        """The curve of a figure; None where no record has it."""
        bins = self._bins.get((key, name))
        if bins is None:
            return None
        (at,) = np.nonzero(bins.counts)
        ends = np.minimum((at + 1) * self.steps_per_point, self.last_step)
        middles = (at * self.steps_per_point + 1 + ends) / 2
        return Curve(middles, bins.sums[at] / bins.counts[at], bins.least[at], bins.largest[at])

    def total(self, key: str) -> float:
        """The sum of a figure over all steps."""
        bins = self._bins.get((key, ""))
        return 0.0 if bins is None else float(bins.sums.sum())

    def table(self, key: str) -> dict[str, Curve]:
        """The curves of a table by name, in the order in which they first appeared."""
        curves = {name: self.curve(key, name) for of, name in self._bins if of == key}
        return {name: curve for name, curve in curves.items() if curve is not None}

    def _add(self, record: dict[str, Any]) -> None:
        bin = (record["step"] - 1) // self.steps_per_point
        if bin != self._open_bin:
            self._close_bin()
            self._open_bin = bin
        for key, value in record.items():
            if isinstance(value, float | int):
                self._open.setdefault((key, ""), []).append(value)
            elif key in _TABLES and isinstance(value, dict):
                for name, one in value.items():
                    if isinstance(one, float | int):
                        self._open.setdefault((key, name), []).append(one)
        self.last = record

    def _close_bin(self) -> None:
        num_bins = -(-self.last_step // self.steps_per_point)
        for key, values in self._open.items():
            if key not in self._bins:
                self._bins[key] = Bins.empty(num_bins)
            self._bins[key].add(self._open_bin, values)
        self._open.clear()


def smoothed(values: np.ndarray) -> np.ndarray:
    """An exponential mean of the values so far, whose weights sum to 1 from the first point on.

    The window grows from one point to a fiftieth of all, so that a steep beginning is not dragged along.
    """
    means = np.empty(len(values))
    mean = 0.0
    longest = max(1.0, _SMOOTHED_SHARE * len(values))
    for i, value in enumerate(values):
        mean += (value - mean) / min(i + 1, longest)
        means[i] = mean
    return means


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a short file, none if it does not exist; lines that are none are left out."""
    return list(_records(path))


def _records(path: Path, *, tail: bool = False) -> Iterator[dict[str, Any]]:
    """The objects of a file that have a step, or those of its end alone."""
    return (record for record in read_objects(path, tail=tail) if isinstance(record.get("step"), int))


def read_objects(path: Path, *, tail: bool = False) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, or those of its end alone; none if it does not exist."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    except OSError as error:
        check_limits(path, error)
        raise
    with file:
        if tail:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        for line in file:
            try:
                one = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(one, dict):
                yield one
