"""Gradient-boosted trees as flat arrays, walked without branches. LightGBM trains them and is not needed to use them.

    node k of a tree: feature, threshold, child c;  the next node is c + (x[feature] > threshold)

The nodes of a tree are ordered by depth, the two children of a node side by side. A leaf leads to itself, so that every
walk has the tree's depth. Eight blocks walk in parallel, and the processor overlaps their reads: 1.2 ns a step.
"""

from typing import NamedTuple

import numpy as np
from numba import uint32, uint64

from shards.compiled import kernel

_LANES = 8
NODE = np.dtype(
    [
        ("threshold", np.float32),  # infinite in leaves
        ("feature", np.uint16),
        ("child", np.uint16),  # number of the left child within the tree, of a leaf its own
    ],
    align=True,
)


class Forest(NamedTuple):
    """Trees as `predict` walks them."""

    nodes: np.ndarray  # NODE[nodes]
    values: np.ndarray  # float32[nodes]; 0 in inner nodes
    roots: np.ndarray  # int64[trees]
    depths: np.ndarray  # int64[trees]


class Trees(NamedTuple):
    """The arrays of a forest that a file holds; the others follow from them."""

    sizes: np.ndarray  # uint16[trees]: nodes
    features: np.ndarray  # int16[nodes]; -1 in leaves
    thresholds: np.ndarray  # float32[inner nodes]
    leaves: np.ndarray  # float32[leaves]


def forest_of(trees: Trees) -> Forest:
    is_leaf = trees.features < 0
    nodes, values = np.zeros(len(is_leaf), NODE), np.zeros(len(is_leaf), np.float32)
    nodes["feature"][~is_leaf] = trees.features[~is_leaf]
    nodes["threshold"] = np.inf
    nodes["threshold"][~is_leaf] = trees.thresholds
    values[is_leaf] = trees.leaves
    roots = np.cumsum([0, *trees.sizes.tolist()])[:-1]
    depths = np.zeros(len(roots), np.int64)
    for tree, (root, size) in enumerate(zip(roots.tolist(), trees.sizes.tolist(), strict=True)):
        own = is_leaf[root : root + size]
        # The children of the j-th inner node are the j-th pair after the root.
        child = np.where(own, np.arange(size), 2 * np.cumsum(~own) - 1)
        nodes["child"][root : root + size] = child
        depth = np.zeros(size, np.int64)
        for node in np.flatnonzero(~own).tolist():
            depth[child[node] : child[node] + 2] = depth[node] + 1
        depths[tree] = depth.max()
    return Forest(nodes, values, roots.astype(np.int64), depths)


@kernel
def predict(forest, x):
    """float32[rows]: the logistic function of the sum of the leaves that each row of `x` reaches."""
    nodes, values, roots, depths = forest
    number = len(x)
    sums = np.zeros(number, np.float64)
    for t in range(len(roots)):
        tree, leaves, depth = nodes[roots[t] :], values[roots[t] :], depths[t]
        for first in range(0, number, _LANES):
            if first + _LANES <= number:
                _walk8(tree, leaves, depth, x, uint64(first), sums)
            else:
                for row in range(first, number):
                    k = uint32(0)
                    for _ in range(depth):
                        n = tree[k]
                        k = uint32(n.child) + uint32(x[row, uint64(n.feature)] > n.threshold)
                    sums[row] += leaves[k]
    out = np.empty(number, np.float32)
    for row in range(number):
        out[row] = 1 / (1 + np.exp(-sums[row]))
    return out


@kernel(inline="always")
def _walk8(tree, leaves, depth, x, i, sums):
    # Written out and with unsigned indices: an array of lanes, or an index that may be negative, doubles the time.
    k0 = k1 = k2 = k3 = k4 = k5 = k6 = k7 = uint32(0)
    i1, i2, i3 = i + uint64(1), i + uint64(2), i + uint64(3)
    i4, i5, i6, i7 = i + uint64(4), i + uint64(5), i + uint64(6), i + uint64(7)
    for _ in range(depth):
        n = tree[k0]
        k0 = uint32(n.child) + uint32(x[i, uint64(n.feature)] > n.threshold)
        n = tree[k1]
        k1 = uint32(n.child) + uint32(x[i1, uint64(n.feature)] > n.threshold)
        n = tree[k2]
        k2 = uint32(n.child) + uint32(x[i2, uint64(n.feature)] > n.threshold)
        n = tree[k3]
        k3 = uint32(n.child) + uint32(x[i3, uint64(n.feature)] > n.threshold)
        n = tree[k4]
        k4 = uint32(n.child) + uint32(x[i4, uint64(n.feature)] > n.threshold)
        n = tree[k5]
        k5 = uint32(n.child) + uint32(x[i5, uint64(n.feature)] > n.threshold)
        n = tree[k6]
        k6 = uint32(n.child) + uint32(x[i6, uint64(n.feature)] > n.threshold)
        n = tree[k7]
        k7 = uint32(n.child) + uint32(x[i7, uint64(n.feature)] > n.threshold)
    sums[i] += leaves[k0]
    sums[i1] += leaves[k1]
    sums[i2] += leaves[k2]
    sums[i3] += leaves[k3]
    sums[i4] += leaves[k4]
    sums[i5] += leaves[k5]
    sums[i6] += leaves[k6]
    sums[i7] += leaves[k7]
