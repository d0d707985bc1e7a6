"""Forests as flat arrays against a walk over trees of tuples in plain Python."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.forest import Trees, forest_of, predict

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


def depth_of(tree: Tree) -> int:
    return 1 + max(map(depth_of, tree[2:])) if isinstance(tree, tuple) else 0


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
    assert made.depths.tolist() == [depth_of(tree) for tree in forest]
    found = predict(made, np.array(rows, np.float32).reshape(-1, NUM_FEATURES))
    sums = [sum(plain_leaf(tree, row) for tree in forest) for row in rows]
    assert found.dtype == np.float32
    assert np.allclose(found, [1 / (1 + math.exp(-total)) for total in sums], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("number", [1, 7, 8, 9, 16, 23])
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


def test_a_deep_tree_of_one_side_ends_in_its_last_leaf() -> None:
    tree: Tree = 2.0
    for _ in range(300):
        tree = (0, 0.0, -2.0, tree)
    assert predict(forest_of(flat([tree])), np.ones((9, 1), np.float32)).tolist() == pytest.approx(
        [1 / (1 + math.exp(-2))] * 9
    )
