"""Forests as flat arrays against a walk over trees of tuples in plain Python."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.forest import MAX_LEAVES, MAX_THRESHOLDS, Trees, forest_of, predict

NUM_FEATURES = 5
# Few values, so that features often equal a threshold.
values = st.sampled_from([-1.5, -1.0, 0.0, 0.25, 1.0, 2.0])
leaves = st.floats(-3, 3, width=32)
Tree = Any  # a leaf's value, or (feature, threshold, left, right)
trees = st.recursive(
    leaves, lambda inner: st.tuples(st.integers(0, NUM_FEATURES - 1), values, inner, inner), max_leaves=20
)


def plain_leaf(tree: Tree, row: list[float]) -> float:
    while isinstance(tree, tuple):
        feature, threshold, left, right = tree
        tree = right if row[feature] > threshold else left
    return float(tree)


def flat(forest: list[Tree]) -> Trees:
    sizes, features, thresholds, found = [], [], [], []
    for tree in forest:
        level, size = [tree], 0
        while level:
            size += len(level)
            features += [node[0] if isinstance(node, tuple) else -1 for node in level]
            thresholds += [node[1] for node in level if isinstance(node, tuple)]
            found += [node for node in level if not isinstance(node, tuple)]
            level = [child for node in level if isinstance(node, tuple) for child in node[2:]]
        sizes.append(size)
    return Trees(
        np.array(sizes, np.uint16),
        np.array(features, np.int16),
        np.array(thresholds, np.float32),
        np.array(found, np.float32),
    )


@settings(max_examples=200)
@given(
    st.lists(trees, max_size=6),
    st.lists(st.lists(values, min_size=NUM_FEATURES, max_size=NUM_FEATURES), max_size=20),
)
def test_predictions_are_those_of_trees_that_plain_python_walks(forest: list[Tree], rows: list[list[float]]) -> None:
    made = forest_of(flat(forest))
    found = predict(made, np.array(rows, np.float32).reshape(-1, NUM_FEATURES))
    sums = [sum(plain_leaf(tree, row) for tree in forest) for row in rows]
    assert found.dtype == np.float32
    assert np.allclose(found, [1 / (1 + math.exp(-total)) for total in sums], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("number", [1, 31, 32, 33, 64, 65, 150])
def test_a_prediction_does_not_depend_on_other_rows(number: int) -> None:
    rng = np.random.default_rng(number)
    forest = forest_of(flat([(k, 0.0, (k, -1.0, 0.1, 0.2), (4 - k, 1.0, -0.3, 0.5)) for k in range(NUM_FEATURES)]))
    x = rng.normal(size=(number, NUM_FEATURES)).astype(np.float32)
    alone = [predict(forest, x[k : k + 1])[0] for k in range(number)]
    assert predict(forest, x).tolist() == alone
    assert predict(forest, x[::-1].copy()).tolist() == alone[::-1]


def test_a_value_that_equals_the_threshold_goes_left() -> None:
    forest = forest_of(flat([(0, 0.25, -1.0, 1.0)]))
    p = predict(forest, np.array([[0.25], [np.nextafter(np.float32(0.25), np.float32(1))]], np.float32))
    assert p[0] < 0.5 < p[1]


def chain(leaves: int) -> Tree:
    """A tree of one side."""
    tree: Tree = 2.0
    for _ in range(leaves - 1):
        tree = (0, 0.0, -2.0, tree)
    return tree


def test_a_deep_tree_of_one_side_ends_in_its_last_leaf() -> None:
    forest = forest_of(flat([chain(MAX_LEAVES)]))
    assert predict(forest, np.ones((9, 1), np.float32)).tolist() == pytest.approx([1 / (1 + math.exp(-2))] * 9)


def test_a_tree_of_more_leaves_than_a_byte_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves"):
        forest_of(flat([chain(MAX_LEAVES + 1)]))


def stumps(number: int) -> list[Tree]:
    """A tree for each threshold from 0 to `number` - 1; p says how many a feature is above."""
    return [(0, float(k), 0.0, 0.01) for k in range(number)]


def test_every_threshold_of_a_feature_counts_up_to_the_most() -> None:
    x = np.arange(-1, MAX_THRESHOLDS + 1, dtype=np.float32)[:, None]
    p = predict(forest_of(flat(stumps(MAX_THRESHOLDS))), x)
    above = np.clip(x[:, 0], 0, MAX_THRESHOLDS)
    assert np.allclose(p, 1 / (1 + np.exp(-0.01 * above)), rtol=1e-5)


def test_a_feature_of_more_thresholds_than_a_rank_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="thresholds"):
        forest_of(flat(stumps(MAX_THRESHOLDS + 1)))


def test_fewer_columns_than_the_trees_ask_for_are_refused() -> None:
    with pytest.raises(AssertionError):
        predict(forest_of(flat([(3, 0.0, -1.0, 1.0)])), np.zeros((2, 3), np.float32))


def test_what_is_not_a_number_goes_left() -> None:
    forest = forest_of(flat([(0, 0.25, -1.0, 1.0)]))
    p = predict(forest, np.array([[np.nan], [np.inf], [-np.inf]], np.float32))
    assert [value > 0.5 for value in p] == [False, True, False]
