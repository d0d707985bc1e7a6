"""Figures: bars are as wide as their shares, thresholds are labelled, and foreign text is escaped."""

import re

import pytest

from pipelines.report.model import Histogram
from pipelines.report.page.svg import bar, histogram_svg
from shards.stage import Rule


def test_parts_of_a_bar_stand_side_by_side_and_end_with_it() -> None:
    drawn = re.findall(r'class="(\w+)" style="width:([\d.]+)%"', bar(("kept", 0.25), ("lost", 0.9)))
    assert drawn == [("kept", "25.00"), ("lost", "75.00")]


def histogram(kept: tuple[int, ...], edges: tuple[float, ...] = (0.0, 1.0, 2.0), *, log: bool = False) -> Histogram:
    nothing = (0,) * len(kept)
    return Histogram(log=log, edges=edges, kept=kept, other=nothing, failing=nothing)


@pytest.mark.parametrize(
    ("rule", "labels"),
    [
        (Rule("r", "m", "min_m", min_kept=1), ["min 1"]),
        (Rule("r", "m", "max_m", max_kept=1.5), ["max 1.5"]),
        (Rule("r", "m", "min_m, max_m", min_kept=0.5, max_kept=1.5), ["min 0.5", "max 1.5"]),
    ],
)
def test_each_threshold_is_a_labelled_line_with_a_shade_outside(rule: Rule, labels: list[str]) -> None:
    drawn = histogram_svg("t", histogram((0, 3, 4, 0)), rule, integers=False)
    assert re.findall(r'class="threshold-label"[^>]*>([^<]+)<', drawn) == labels
    assert drawn.count('class="threshold"') == drawn.count('class="shade"') == len(labels)


def test_a_bar_that_dwarfs_the_others_is_cut_and_labelled() -> None:
    rule = Rule("r", "m", "min_m", min_kept=1)
    assert 'class="break"' not in histogram_svg("t", histogram((0, 30, 10, 0)), rule, integers=False)
    cut = histogram_svg("t", histogram((0, 31_000, 10, 0)), rule, integers=False)
    assert 'class="break"' in cut
    assert ">31,000</text>" in cut


def test_values_beyond_the_last_edge_stand_apart() -> None:
    rule = Rule("r", "m", "min_m", min_kept=1)
    assert ">more</text>" in histogram_svg("t", histogram((0, 3, 4, 1)), rule, integers=False)
    assert ">more</text>" not in histogram_svg("t", histogram((0, 3, 4, 0)), rule, integers=False)


def test_counts_over_many_orders_have_ticks_at_powers_of_ten() -> None:
    edges = (0.5, 9.5, 99.5, 1000.5)
    drawn = histogram_svg("t", histogram((0, 1, 1, 1, 0), edges, log=True), Rule("r", "m", "min_m", 10), integers=True)
    assert re.findall(r'class="tick"[^>]*>([^<]+)<', drawn) == ["1", "10", "100", "1k"]


def test_titles_are_escaped() -> None:
    drawn = histogram_svg("<b>", histogram((0, 1, 1, 0)), Rule("r", "m", "min_m", min_kept=1), integers=False)
    assert "<title>&lt;b&gt;</title>" in drawn
