"""Rows that are left out, against a plain count of places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.order.left_out import Windows, skipped_places, trained_places
from pretrain.order.mixture import Mixture, MixtureSource, Phase
from shards.errors import UserError


def order(num_rows: list[int]) -> Mixture:
    sources = tuple(MixtureSource(f"s{i}", n, 1e9) for i, n in enumerate(num_rows))
    return Mixture(sources, (Phase(0, (1.0,) * len(sources)), Phase(40, (3.0,) + (1.0,) * (len(sources) - 1))), 3)


@settings(deadline=None, max_examples=30)
@given(
    num_rows=st.lists(st.integers(30, 50), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 60), min_size=2, max_size=4, unique=True),
)
def test_what_is_left_out_never_comes_again(num_rows: list[int], cuts: list[int]) -> None:
    mixture, ends = order(num_rows), sorted(cuts)
    windows = tuple((a, min(b, a + 5)) for a, b in zip(ends[::2], ends[1::2], strict=False))
    skipped = skipped_places(mixture, windows, 300)
    expected, gone, place = [], set(), 0
    while len(expected) < 300:
        source, _, row = (array.item() for array in mixture.sample(np.array([place])))
        if any(first <= place < end for first, end in windows):
            gone.add((source, row))
        if (source, row) not in gone:
            expected.append(place)
        place += 1
    assert trained_places(np.arange(300), skipped).tolist() == expected


def test_without_windows_the_order_is_as_it_was() -> None:
    skipped = skipped_places(order([9]), (), 10**15)
    assert len(skipped) == 0
    assert trained_places(np.array([0, 7, 10**15]), skipped).tolist() == [0, 7, 10**15]


def test_an_order_of_which_nothing_is_left_is_refused() -> None:
    windows: Windows = ((0, 20),)
    with pytest.raises(UserError, match=r"spikes: more than half of the rows are left out; begin again in another out"):
        skipped_places(order([12]), windows, 100)
