"""Snippets that overrule the labels of blocks."""

import numpy as np

from cleaners.extraction.training.silver import correct

LINES = ["Home", "The mill stands by the river.", "It was built of stone.", "Comment: nice mill", "x"]


def corrected(inside: list[str], outside: list[str]) -> tuple[list[float], list[float]]:
    wanted, weight = np.full(5, 0.5, np.float32), np.full(5, 0.25, np.float32)
    correct(LINES, wanted, weight, np.ones(5, np.float32), inside, outside)
    return wanted.tolist(), weight.tolist()


def test_snippets_overrule_the_blocks_that_hold_them() -> None:
    wanted, weight = corrected(["stands  by\nthe"], ["Comment:", "Home"])
    assert wanted == [0, 1, 0.5, 0, 0.5]
    assert weight == [3, 3, 0.25, 3, 0.25]


def test_a_long_snippet_finds_the_blocks_that_are_part_of_it() -> None:
    wanted, _ = corrected(["The mill stands by the river. It was built of stone. Home x"], [])
    assert wanted == [0.5, 1, 1, 0.5, 0.5]


def test_blocks_of_both_kinds_of_snippets_and_short_snippets_change_nothing() -> None:
    assert corrected(["mill stands"], ["the river"]) == ([0.5] * 5, [0.25] * 5)
    assert corrected(["x", "  "], ["", "It"]) == ([0.5] * 5, [0.25] * 5)
