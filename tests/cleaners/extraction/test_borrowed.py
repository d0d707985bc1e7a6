"""Borrowed arrays are the ones that they were made of."""

from typing import Any, NamedTuple

import numpy as np

from cleaners.extraction.borrowed import borrowed
from shards.compiled import kernel


class Pair(NamedTuple):
    values: np.ndarray
    more: tuple[np.ndarray, int]


@kernel
def _add(pair: Pair, k: int) -> None:
    pair.values[k] += pair.more[0][k] + pair.more[1]


@kernel
def _add_all(pair: Pair) -> None:
    pair = borrowed(pair)
    for k in range(len(pair.values)):
        _add(pair, k)


@kernel
def _added(number: int) -> np.ndarray:
    pair = Pair(np.zeros(number, np.int64), (np.arange(number), 2))
    _add_all(pair)
    return pair.values


def test_arrays_in_tuples_are_read_and_written() -> None:
    values = np.zeros(6, np.int64)
    _add_all(Pair(values, (np.arange(6), 2)))
    assert values.tolist() == [2, 3, 4, 5, 6, 7]


def test_slices_keep_their_steps() -> None:
    values = np.zeros(6, np.int64)
    _add_all(Pair(values[::-2], (np.arange(12)[::4], 0)))
    assert values.tolist() == [0, 8, 0, 4, 0, 0]


def test_arrays_outlive_the_call_that_borrows_them() -> None:
    kept = [_added(100) for _ in range(1_000)]
    assert all(np.array_equal(one, np.arange(100) + 2) for one in kept)


def test_numbers_stay_what_they_are() -> None:
    @kernel
    def third(values: tuple[int, float, int]) -> Any:
        return borrowed(values)[2]

    assert third((1, 2.5, 3)) == 3
