"""The F1 that a choice of blocks reaches on pages like it, from the F1 that the model expects of it.

The model is too sure: a page that it misreads has blocks of p near 1 all over. So pages of all folds, each by a model
that saw none of its host, are sorted by expected F1 and cut into groups of equal numbers, and a rising line through the
means of the groups says what was reached.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from shards.compiled import kernel

_GROUPS, _MIN_PAGES = 12, 20  # at most, and of a group at least


class Calibration(NamedTuple):
    """Points of the line, float32[points] each. Beyond the first and the last it is level."""

    expected: np.ndarray  # rises
    reached: np.ndarray  # does not fall


@kernel
def calibrated(line, expected):
    """The F1 that pages with this expected F1 reach, from 0 to 1."""
    return np.interp(expected, line.expected, line.reached)


def fit_calibration(expected: Sequence[float], reached: Sequence[float]) -> Calibration:
    """The line by the expected and the reached F1 of pages; with fewer than 20 pages it is y = x."""
    number = min(_GROUPS, len(expected) // _MIN_PAGES)
    if not number:
        return Calibration(np.array([0, 1], np.float32), np.array([0, 1], np.float32))
    order = np.argsort(expected, kind="stable")
    groups = [
        (float(np.mean(x)), float(np.mean(y)), len(x))
        for x, y in zip(
            np.array_split(np.asarray(expected)[order], number),
            np.array_split(np.asarray(reached)[order], number),
            strict=True,
        )
    ]
    line: list[tuple[float, float, int]] = []
    for group in groups:  # neighbours that would fall, or have one x, become one point (pool adjacent violators)
        line.append(group)
        while len(line) > 1 and (line[-2][1] > line[-1][1] or line[-2][0] >= line[-1][0]):
            line[-2:] = [_pooled(line[-2], line[-1])]
    points = np.array([(x, y) for x, y, _ in line], np.float32)
    return Calibration(np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1]))


def _pooled(one: tuple[float, float, int], other: tuple[float, float, int]) -> tuple[float, float, int]:
    pages = one[2] + other[2]
    return (
        (one[0] * one[2] + other[0] * other[2]) / pages,
        (one[1] * one[2] + other[1] * other[2]) / pages,
        pages,
    )
