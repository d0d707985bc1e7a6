"""Bins of metrics hold every value, on the side of the threshold on which it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ledger.sketch import Outcome, Sketch
from pipelines.report.histogram import histogram, nice_step
from shards.stage import Rule


@given(st.lists(st.floats(0, 2) | st.sampled_from([0.15, 0.1500001]), min_size=1))
def test_bars_on_either_side_of_a_threshold_hold_what_passes_and_what_fails(values: list[float]) -> None:
    array = np.array(values)
    sketch = Sketch()
    sketch.add(array, np.where(array > 0.15, Outcome.ABOVE, Outcome.KEPT))
    bins = histogram(sketch, Rule("r", "m", "max_m", max_kept=0.15), integers=False)
    edge = int(np.argmin(np.abs(np.array(bins.edges) - 0.15)))
    assert bins.edges[edge] == pytest.approx(0.15)
    assert sum(bins.kept[: edge + 1]) == int((array <= 0.15).sum())
    assert sum(bins.failing[edge + 1 :]) == int((array > 0.15).sum())


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_bars_of_counts_hold_every_value(values: list[int]) -> None:
    array = np.array(values)
    sketch = Sketch()
    sketch.add(array, np.where(array < 50, Outcome.BELOW, np.where(array > 100_000, Outcome.ABOVE, Outcome.OTHER)))
    bins = histogram(sketch, Rule("r", "m", "min_m", 50, 100_000), integers=True)
    assert list(bins.edges) == sorted(bins.edges)
    assert sum(bins.other) == int(((array >= 50) & (array <= 100_000)).sum())
    assert sum(bins.failing) == int(((array < 50) | (array > 100_000)).sum())


@pytest.mark.parametrize(
    ("width", "step"), [(0.0011, 0.002), (0.02, 0.02), (2.1, 2.5), (26.0, 50.0), (1.0, 1.0), (7.0, 10.0)]
)
def test_steps_are_round(width: float, step: float) -> None:
    assert nice_step(width) == pytest.approx(step)


@given(st.lists(st.floats(0, 100), min_size=1), st.booleans())
def test_a_metric_without_thresholds_has_bars_too(values: list[float], integers: bool) -> None:
    array = np.round(np.array(values)) if integers else np.array(values)
    sketch = Sketch()
    sketch.add(array, np.full(len(array), Outcome.KEPT))
    bins = histogram(sketch, Rule("r", "m", "min_m"), integers=integers)
    assert list(bins.edges) == sorted(bins.edges)
    assert sum(bins.kept) == len(values)


def test_documents_with_tighter_thresholds_fail_between_the_loosest() -> None:
    """A mean length of 2 fails in English, where it must be 3, and is kept in Chinese, where it must be 1."""
    sketch = Sketch()
    sketch.add(np.array([2.0, 2.0, 4.0]), np.array([Outcome.BELOW, Outcome.KEPT, Outcome.KEPT]))
    bins = histogram(sketch, Rule("r", "m", "min_m", 1.0), integers=False, is_strict=False)
    assert [n for n, count in enumerate(bins.failing) if count] == [n for n, count in enumerate(bins.kept) if count][:1]
