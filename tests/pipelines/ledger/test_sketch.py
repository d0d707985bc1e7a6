"""Sketches and counts of names against plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ledger.sketch import Outcome, Sketch, TopCounter


@given(st.lists(st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9), min_size=1), st.floats(0, 1))
def test_a_sketch_gives_quantiles_within_a_thousandth(values: list[float], part: float) -> None:
    sketch = Sketch()
    sketch.add(np.array(values, np.float64))
    exact = sorted(map(float, values))[max(0, int(np.ceil(part * len(values))) - 1)]
    assert sketch.quantile(part) == pytest.approx(exact, rel=1 / 1024, abs=1e-300)
    assert sketch.quantile(part) <= exact


def test_small_integers_are_exact_in_a_sketch() -> None:
    sketch = Sketch()
    sketch.add(np.arange(2049))
    assert sketch.values()[0].tolist() == list(range(2049))


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from(list(Outcome))), min_size=1), st.integers(0, 20))
def test_counts_by_outcome_do_not_depend_on_how_values_come(pairs: list[tuple[int, Outcome]], cut: int) -> None:
    sketch = Sketch()
    for part in (pairs[:cut], pairs[cut:]):
        sketch.add(np.array([value for value, _ in part], np.float64), np.array([o for _, o in part], np.int64))
    for outcome in Outcome:
        values, counts = sketch.values(outcome)
        own = [value for value, other in pairs if other == outcome]
        assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {v: own.count(v) for v in own}
    assert sketch.count() == len(pairs)
    assert sketch.count(Outcome.BELOW, Outcome.ABOVE) == sum(outcome >= Outcome.BELOW for _, outcome in pairs)


def test_nan_is_not_counted_and_there_is_one_zero() -> None:
    sketch = Sketch()
    sketch.add(np.array([np.nan, 0.0, -0.0]))
    assert [array.tolist() for array in sketch.values()] == [[0.0], [2]]


def test_frequent_names_survive_pruning_and_the_error_is_known() -> None:
    counter = TopCounter(limit=10)
    for number in range(1000):
        counter.update(["often", "often", f"rare{number}"])
    (name, count), *_ = counter.top(1)
    assert name == "often"
    assert count <= 2000 <= count + counter.missed
    assert len(counter) <= 10


def test_equal_counts_are_in_the_order_of_names() -> None:
    counter = TopCounter()
    counter.update(["b", "a", "c", "c"])
    assert counter.top(3) == [("c", 2), ("a", 1), ("b", 1)]
