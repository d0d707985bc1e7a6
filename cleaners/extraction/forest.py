"""Gradient-boosted trees as masks of leaves, for 64 blocks at a time. LightGBM trains them and is not needed to use
them.

             a > 3                  A row for which a node is true goes right, and reaches no leaf on the node's left:
         b > 1     c > 0            "a > 3" rules out the leaves 0 and 1, "b > 1" 0, and "c > 0" 2. The row reaches the
        0     1   2     3           first leaf that no node rules out.

So every node of a tree is looked at, and not only those on the way of a row. Still it takes a third of the time of a
walk down the tree, where each step waits for the one before: a node is one comparison and two operations on bits for 32
rows (Lucchese et al. 2015, "QuickScorer"; Ye et al. 2018, "RapidScorer"). Time grows with the leaves of a forest, and
their depth costs nothing. Before, each feature becomes its rank, the number of the forest's thresholds below it: rows
fall to the same sides as by the features themselves, and a rank is one byte.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cleaners.extraction.borrowed import borrowed
from shards.compiled import kernel

LANES = 64  # rows at a time: two registers of AVX2
_FLOATS = 32  # rows whose features are ranked at a time: four
_APART = 16  # floats
_LEAVES = 8  # of a plane: bits of a byte
MAX_LEAVES = 256  # of a tree: their numbers are bytes
MAX_THRESHOLDS = 127  # of a feature: ranks are signed bytes, which is what processors compare; LightGBM has `max_bin`
STEP = np.dtype(
    [
        ("feature", np.uint16),
        ("rank", np.int8),  # of the threshold among those of its feature; a row with a greater one goes right
        ("mask", np.uint8),  # leaves of the plane that are on the left
    ],
    align=True,
)


class Forest(NamedTuple):
    """Trees as `predict` uses them. Leaves are numbered from left to right; eight of a tree are a plane."""

    thresholds: np.ndarray  # float32, ascending within each feature
    features: np.ndarray  # int64[features + 1]: offsets into `thresholds`
    steps: np.ndarray  # STEP
    planes: np.ndarray  # int64[planes + 1]: offsets into `steps`
    trees: np.ndarray  # int64[trees + 1]: offsets into `planes`
    values: np.ndarray  # float32[8 × planes] of the leaves


class Trees(NamedTuple):
    """The arrays of a forest that a file holds, the nodes of a tree by depth; the others follow from them."""

    sizes: np.ndarray  # uint16[trees]: nodes
    features: np.ndarray  # int16[nodes]; -1 in leaves
    thresholds: np.ndarray  # float32[inner nodes]
    leaves: np.ndarray  # float32[leaves]


def forest_of(trees: Trees) -> Forest:
    """ValueError for more than `MAX_LEAVES` leaves of a tree or `MAX_THRESHOLDS` thresholds of a feature."""
    is_inner = trees.features >= 0
    features = trees.features[is_inner].astype(np.int64)
    thresholds = [np.unique(trees.thresholds[features == feature]) for feature in range(features.max(initial=-1) + 1)]
    if max(map(len, thresholds), default=0) > MAX_THRESHOLDS:
        raise ValueError(f"more than {MAX_THRESHOLDS} thresholds of a feature")
    ranks = np.zeros(len(features), np.int64)
    for feature, own in enumerate(thresholds):
        ranks[features == feature] = np.searchsorted(own, trees.thresholds[features == feature])

    num_leaves = trees.sizes.astype(np.int64) // 2 + 1
    if num_leaves.max(initial=0) > MAX_LEAVES:
        raise ValueError(f"a tree of more than {MAX_LEAVES} leaves")
    firsts = np.cumsum([0, *-(-num_leaves // _LEAVES)])  # planes of trees
    ends = np.cumsum(trees.sizes, dtype=np.int64)
    spans = [_lefts(own) for own in np.split(is_inner, ends[:-1])] if len(ends) else [np.zeros((0, 2), np.int64)]
    # Leaves by their number in the whole forest, where each tree begins with a plane of its own.
    spans = np.concatenate(spans) + _LEAVES * np.repeat(firsts[:-1], trees.sizes)[:, None]
    values = np.zeros(_LEAVES * firsts[-1], np.float32)
    values[spans[~is_inner, 0]] = trees.leaves

    begins, ends = spans[is_inner].T
    widths = (ends - 1) // _LEAVES - begins // _LEAVES + 1  # planes that a node touches
    nodes = np.repeat(np.arange(len(features)), widths)
    planes = np.arange(len(nodes)) - np.repeat(np.cumsum(widths) - widths, widths) + begins[nodes] // _LEAVES
    order = np.argsort(planes, kind="stable")
    nodes, planes = nodes[order], planes[order]
    low = np.clip(begins[nodes] - _LEAVES * planes, 0, _LEAVES)
    high = np.clip(ends[nodes] - _LEAVES * planes, 0, _LEAVES)
    steps = np.zeros(len(nodes), STEP)
    steps["feature"], steps["rank"], steps["mask"] = features[nodes], ranks[nodes], (1 << high) - (1 << low)
    return Forest(
        np.concatenate([*thresholds, np.zeros(0, np.float32)]),
        np.cumsum([0, *map(len, thresholds)]),
        steps,
        np.searchsorted(planes, np.arange(firsts[-1] + 1)),
        firsts,
        values,
    )


def _lefts(is_inner: np.ndarray) -> np.ndarray:
    """int64[nodes, 2]: first leaf and end of the leaves on the left of each node of a tree; a leaf's own number."""
    child = 2 * np.cumsum(is_inner) - 1  # the children of the j-th inner node are the j-th pair after the root
    num_leaves = np.ones(len(is_inner), np.int64)
    inner = np.flatnonzero(is_inner).tolist()
    for k in reversed(inner):
        num_leaves[k] = num_leaves[child[k]] + num_leaves[child[k] + 1]
    out = np.zeros((len(is_inner), 2), np.int64)
    for k in inner:
        left = child[k]
        out[k, 1] = out[k, 0] + num_leaves[left]
        out[left, 0], out[left + 1, 0] = out[k, 0], out[k, 1]
    return out


@kernel
def blank_columns(number, num_features):
    """float32[num_features, number and a few more] of zeros, the features of `number` rows as they are read.

    The end of each column is no row: 64 are read at a time, and lengths of powers of two would share few cache lines.
    """
    return np.zeros((num_features, -(-number // LANES) * LANES + _APART), np.float32)


@kernel
def predict(forest, x):
    """float32[rows]: the logistic function of the sum of the leaves that each row of `x` reaches."""
    columns = blank_columns(len(x), x.shape[1])
    columns[:, : len(x)] = x.T
    return predict_columns(forest, columns, len(x))


@kernel
def predict_columns(forest, columns, number):
    """As `predict`, of the first `number` rows of `blank_columns`."""
    forest, columns = borrowed(forest), borrowed(columns)
    assert columns.shape[0] >= len(forest.features) - 1
    ranks = np.zeros((max(len(forest.features) - 1, 1), LANES), np.int8)
    reached = np.zeros(LANES, np.uint8)
    out = np.empty(number, np.float32)
    for first in range(0, number, LANES):
        for feature in range(len(forest.features) - 1):
            begin, end = forest.features[feature], forest.features[feature + 1]
            if begin < end:
                for k in range(0, min(LANES, number - first), _FLOATS):
                    at = feature * columns.shape[1] + first + k
                    _rank(columns, at, forest.thresholds, begin, end, ranks, feature * LANES + k)  # type: ignore[call-arg]
        sums = np.zeros(LANES, np.float64)
        for tree in range(len(forest.trees) - 1):
            begin, end = forest.trees[tree], forest.trees[tree + 1]
            _reach(ranks, forest.steps, forest.planes, begin, end, reached)  # type: ignore[call-arg]
            leaves = forest.values[_LEAVES * begin :]
            for lane in range(LANES):
                sums[lane] += leaves[reached[lane]]
        for lane in range(min(LANES, number - first)):
            out[first + lane] = 1 / (1 + np.exp(-sums[lane]))
    return out


_BYTE, _INDEX = ir.IntType(8), ir.IntType(64)
_BYTES = ir.VectorType(_BYTE, LANES)
_VALUES, _COUNTS = ir.VectorType(ir.FloatType(), _FLOATS), ir.VectorType(ir.IntType(32), _FLOATS)


def _generate_rank(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    columns, thresholds, ranks = (_address(context, builder, signature, arguments, k) for k in (0, 2, 5))
    values = _load(builder, builder.gep(columns, [arguments[1]]), _VALUES)
    count = cgutils.alloca_once_value(builder, ir.Constant(_COUNTS, None))
    builder.store(ir.Constant(_COUNTS, None), count)
    with cgutils.for_range_slice(builder, arguments[3], arguments[4], _INDEX(1)) as (k, _):
        threshold = _all(builder, builder.load(builder.gep(thresholds, [k])), _VALUES)
        above = builder.zext(builder.fcmp_ordered(">", values, threshold), _COUNTS)
        builder.store(builder.add(builder.load(count), above), count)
    # Without this LLVM would count in bytes, and shuffle the comparisons in every step.
    total, most = builder.load(count), ir.Constant(_COUNTS, [MAX_THRESHOLDS] * _FLOATS)
    total = builder.select(builder.icmp_unsigned("<", total, most), total, most)
    _store(builder, builder.trunc(total, ir.VectorType(_BYTE, _FLOATS)), builder.gep(ranks, [arguments[6]]))
    return context.get_dummy_value()


def _generate_reach(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    ranks, steps, planes, out = (_address(context, builder, signature, arguments, k) for k in (0, 1, 2, 5))
    ranks, steps = (builder.bitcast(a, _BYTE.as_pointer()) for a in (ranks, steps))
    begin, end = arguments[3], arguments[4]
    none = ir.Constant(_BYTES, None)
    first_plane, first_bits, bits = (cgutils.alloca_once(builder, _BYTES) for _ in range(3))
    builder.store(none, first_plane)
    builder.store(none, first_bits)
    # From the last plane to the first, so that the first one with a leaf left is the one that stays.
    with cgutils.for_range(builder, builder.sub(end, begin)) as loop:
        plane = builder.sub(builder.sub(end, loop.index), _INDEX(1))
        first_step = builder.load(builder.gep(planes, [plane]))
        end_step = builder.load(builder.gep(planes, [builder.add(plane, _INDEX(1))]))
        builder.store(none, bits)
        with cgutils.for_range_slice(builder, first_step, end_step, _INDEX(1)) as (k, _):
            step = builder.gep(steps, [builder.shl(k, _INDEX(2))])
            feature = builder.load(builder.bitcast(step, ir.IntType(16).as_pointer()))
            rank, mask = (_all(builder, builder.load(builder.gep(step, [_INDEX(at)])), _BYTES) for at in (2, 3))
            row = builder.gep(ranks, [builder.mul(builder.zext(feature, _INDEX), _INDEX(LANES))])
            goes_right = builder.sext(builder.icmp_signed(">", _load(builder, row, _BYTES), rank), _BYTES)
            builder.store(builder.or_(builder.load(bits), builder.and_(goes_right, mask)), bits)
        found = builder.not_(builder.load(bits))
        is_left = builder.icmp_unsigned("!=", found, none)
        here = builder.trunc(builder.shl(builder.sub(plane, begin), _INDEX(3)), _BYTE)
        builder.store(builder.select(is_left, found, builder.load(first_bits)), first_bits)
        builder.store(builder.select(is_left, _all(builder, here, _BYTES), builder.load(first_plane)), first_plane)
    kind = ir.FunctionType(_BYTES, [_BYTES, ir.IntType(1)])
    lowest_bit = cgutils.get_or_insert_function(builder.module, kind, f"llvm.cttz.v{LANES}i8")
    lowest = builder.call(lowest_bit, [builder.load(first_bits), ir.Constant(ir.IntType(1), 1)])
    _store(builder, builder.add(builder.load(first_plane), lowest), out)
    return context.get_dummy_value()


def _address(context: Any, builder: Any, signature: Any, arguments: Any, k: int) -> Any:
    return context.make_array(signature.args[k])(context, builder, arguments[k]).data


def _load(builder: Any, address: Any, vector: Any) -> Any:
    loaded = builder.load(builder.bitcast(address, vector.as_pointer()))
    loaded.align = 1
    return loaded


def _store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, builder.bitcast(address, value.type.as_pointer())).align = 1


def _all(builder: Any, value: Any, vector: Any) -> Any:
    """A vector whose lanes all hold `value`."""
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
    return builder.shuffle_vector(one, undefined, zeros)


@intrinsic
def _rank(_context, columns, at, thresholds, begin, end, ranks, to):
    """Write how many of thresholds[begin:end] are below each of 32 values from `at` on to `ranks` from `to` on.

    Both positions count in the flat arrays.
    """
    number = types.int64
    return types.none(columns, number, thresholds, number, number, ranks, number), _generate_rank


@intrinsic
def _reach(_context, ranks, steps, planes, begin, end, out):
    """Write the numbers of the leaves that 64 rows reach in the tree of planes[begin:end]."""
    return types.none(ranks, steps, planes, types.int64, types.int64, out), _generate_reach
