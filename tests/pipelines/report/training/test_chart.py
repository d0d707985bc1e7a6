"""Charts: lines within their frame, round ticks, marked steps, values under the pointer, foreign text escaped."""

import re

import numpy as np

from pipelines.report.training.chart import Mark, Series, line_chart


def series(values: list[float], name: str = "loss") -> Series:
    return Series(name, np.arange(1, len(values) + 1, dtype=float), np.array(values))


def test_a_chart_without_values_is_nothing() -> None:
    assert line_chart("t", [series([])], last_step=10) == ""


def test_points_go_from_left_to_right_and_large_values_stand_high() -> None:
    drawn = line_chart("t", [series([1.0, 3.0, 2.0])], last_step=3)
    path = re.search(r'class="curve c0" d="M([^"]+)"', drawn)
    assert path is not None
    points = [tuple(map(float, point.split())) for point in path[1].split("L")]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    low, high, middle = (y for _, y in points)
    assert high < middle < low


def test_the_axis_is_that_of_the_settled_part() -> None:
    drawn = line_chart("t", [series([100.0] * 4 + [2.0] * 95 + [1.0])], last_step=100)
    ticks = [float(value) for value in re.findall(r'text-anchor="end">([\d.]+)</text>', drawn)]
    assert ticks == [1, 1.25, 1.5, 1.75, 2, 100], "and the last step"
    assert "loss 100" in drawn, "the pointer shows all values"


def test_one_value_and_equal_values_are_drawn_too() -> None:
    assert "<circle" in line_chart("t", [series([5.0])], last_step=1)
    assert 'class="curve' in line_chart("t", [series([0.0, 0.0])], last_step=2, from_zero=True)
    assert 'class="curve' in line_chart("t", [series([1e-9, 1e-9])], last_step=2)


def test_steps_are_marked_and_names_escaped() -> None:
    drawn = line_chart("<t>", [series([1.0, 2.0], "<b>")], last_step=2, marks=[Mark(1, "a & b", "spike")])
    assert '<line class="mark spike"' in drawn
    assert "<title>a &amp; b</title>" in drawn
    assert "&lt;b&gt; 1" in drawn
    assert "<b>" not in drawn
    assert drawn.startswith('<svg class="chart"')
    assert "<title>&lt;t&gt;</title>" in drawn


def test_a_long_curve_has_as_many_columns_under_the_pointer_as_a_person_can_hit() -> None:
    assert line_chart("t", [series([1.0] * 1000)], last_step=1000).count('class="hover"') == 120
