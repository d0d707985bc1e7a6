"""Effects as a chart: intervals lie where their values are, and names are escaped."""

import math
import re

from pipelines.worth.effects import Effect, Interval
from pipelines.worth.interval_svg import interval_chart


def effect(mean: float, whole: Interval) -> Effect:
    return Effect(("<a>", "b"), mean, (mean,), Interval(mean - 0.1, mean + 0.1), whole, whole, 0.1)


def test_intervals_stand_in_order_of_their_values() -> None:
    svg = interval_chart("<title>", [effect(-0.5, Interval(-0.7, -0.3)), effect(0.5, Interval(0.2, 0.8))])
    assert "<a>" not in svg
    assert svg.count("minus &lt;a&gt;") == 2
    whole = re.findall(r'interval whole( shown)?" x1="([\d.]+)" x2="([\d.]+)"', svg)
    assert all(shown for shown, *_ in whole)
    (a, b), (c, d) = ((float(low), float(high)) for _, low, high in whole)
    assert a < b < c < d


def test_an_unbounded_interval_is_not_drawn() -> None:
    svg = interval_chart("one seed", [effect(0.1, Interval(-math.inf, math.inf))])
    assert "interval whole" not in svg
    assert 'class="mean"' in svg
