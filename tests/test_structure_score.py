"""The scorer of Markdown by values worked out by hand, and our Markdown of pages written for it."""

import numpy as np
import pytest
from extraction_soup import sample_page, written

from benchmarks.structure.own import own_pages
from benchmarks.structure.score import distance, normal_tex, scores, structure_of, teds
from cleaners.extraction.html.tags import TAGS

TRUTH = "# Bread\n\n- a\n  1. b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```py\ncode\n```\n\nLet $x^{2}$ be.\n"


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "abc", 0), ("ab", "ba", 2), ("中文", "中国文", 1)],
)
def test_distance_counts_edits(a: str, b: str, edits: int) -> None:
    assert distance(a, b) == distance(b, a) == edits


def test_markdown_scores_one_against_itself_in_another_style() -> None:
    other = "Bread\n=====\n\n* a\n    1) b\n\n|x|y|\n|-|-|\n|1|2|\n\n~~~ python3\ncode\n~~~\n\nLet \\(x^2\\) be.\n"
    assert set(scores(other, TRUTH).values()) == {1.0}


def test_scores_of_nothing_are_zero() -> None:
    found = scores("", TRUTH)
    assert found.pop("language") is None  # of listings that were found
    assert set(found.values()) == {0.0}


def test_teds_counts_cells_rows_and_what_cells_differ_by() -> None:
    table = [["a", "b"], ["c", "d"]]  # 1 + 2 + 4 nodes
    assert teds(table, table) == 1
    assert teds([["a", "b"]], table) == pytest.approx(1 - 3 / 7)
    assert teds([["a", "b"], ["c"]], table) == pytest.approx(1 - 1 / 7)
    assert teds([["a", "b"], ["c", "x"]], table) == pytest.approx(1 - 1 / 7)
    assert teds([], table) == pytest.approx(1 - 6 / 7)


def test_a_table_too_many_halves_what_the_other_is_worth() -> None:
    table = "| x | y |\n|---|---|\n| 1 | 2 |\n"
    assert scores(f"{table}\n| q |\n|---|\n", table)["tables"] == pytest.approx(2 / 3)


def test_lists_count_depth_numbers_and_first_lines() -> None:
    assert structure_of(TRUTH).lists == [(1, False, "a"), (2, True, "b")]
    assert scores("- a\n- b\n", "- a\n  1. b\n")["lists"] == pytest.approx(0.5)


def test_tex_is_compared_without_what_means_nothing() -> None:
    assert normal_tex(r"\displaystyle x^{2} ") == normal_tex("x ^ 2")
    assert normal_tex(r"\begin{split}a &= b\end{split}") == normal_tex("a&=b")
    assert normal_tex(r"\alpha x") != normal_tex(r"\alphax")


def test_escaped_brackets_and_prices_are_no_formulas() -> None:
    assert structure_of(r"A note \[1\] costs \$5 or $6 and $7.").formulas == []


def test_our_markdown_of_the_main_elements_of_own_pages_is_right() -> None:
    for page in own_pages():
        sample = sample_page(page.html)
        nodes, elements, measures = sample.page.tree.nodes, sample.page.blocks["element"], sample.page.measured.measures
        (main,) = np.flatnonzero(nodes["tag"] == TAGS["main"])
        inside = (elements >= main) & (elements < nodes["after"][main])
        _, ours = written(page.html, inside & (measures["chars"] > 0) & (measures["hidden"] == 0))
        wrong = {part: value for part, value in scores(ours, page.markdown).items() if value not in (1, None)}
        assert wrong == {}, page.name
