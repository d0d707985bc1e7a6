"""The line from expected F1 to reached F1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.extraction.calibration import calibrated, fit_calibration


def test_few_pages_leave_the_expected_f1_as_it_is() -> None:
    line = fit_calibration([0.9] * 19, [0.1] * 19)
    assert [calibrated(line, x) for x in (0.0, 0.25, 1.0)] == [0.0, 0.25, 1.0]


def test_a_model_that_is_too_sure_is_corrected() -> None:
    expected = np.linspace(0.5, 1, 1200)
    line = fit_calibration(expected, expected - 0.1)
    assert len(line.expected) == 12
    for x in (0.6, 0.75, 0.9):
        assert calibrated(line, x) == pytest.approx(x - 0.1, abs=1e-5)
    assert calibrated(line, 0.0) == pytest.approx(line.reached[0])
    assert calibrated(line, 1.0) == pytest.approx(line.reached[-1])


def test_groups_that_would_fall_are_one_point() -> None:
    line = fit_calibration([0.2] * 20 + [0.4] * 20 + [0.6] * 20, [0.5] * 20 + [0.3] * 20 + [0.9] * 20)
    assert line.expected.tolist() == pytest.approx([0.3, 0.6])
    assert line.reached.tolist() == pytest.approx([0.4, 0.9])


def test_pages_of_one_expected_f1_are_one_point() -> None:
    line = fit_calibration([0.8] * 100, [0.5, 0.7] * 50)
    assert line.expected.tolist() == pytest.approx([0.8])
    assert line.reached.tolist() == pytest.approx([0.6])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=20, max_size=300))
def test_the_line_rises_and_its_mean_over_the_pages_is_near_theirs(pages: list[tuple[float, float]]) -> None:
    expected, reached = zip(*pages, strict=True)
    line = fit_calibration(expected, reached)
    assert np.all(np.diff(line.expected) > 0)
    assert np.all(np.diff(line.reached) >= 0)
    assert min(reached) - 1e-6 <= line.reached[0] <= line.reached[-1] <= max(reached) + 1e-6
