"""Two linear models over hashes, one of the classes around a block and one of its words; `page_kinds` has a third.

Each is a logistic regression with a table of 2^18 weights by hash; its log odds are features of the forests. This way
"nav", "comment", "related" and "share" are told from "entry" and "content", in any language of the training data. Names
that training did not see count for nothing.
"""

from typing import NamedTuple

import numpy as np
from numba import uint32

from cleaners.extraction.features.page_kinds import KindModel
from shards.compiled import kernel

SLOTS = 1 << 18


class LinearModels(NamedTuple):
    """All linear models of the features."""

    paths: np.ndarray  # float32[SLOTS]
    words: np.ndarray  # float32[SLOTS]
    kinds: KindModel


class AdaGrad(NamedTuple):
    """A linear model in training (Duchi et al. 2011)."""

    weights: np.ndarray  # float32[SLOTS]
    squares: np.ndarray  # float32[SLOTS]: sums of squared gradients
    rate: np.float32
    decay: np.float32


@kernel(inline="always")
def slot_of(state):
    return (state ^ (state >> uint32(15))) & uint32(SLOTS - 1)


@kernel(inline="always")
def pair_of(first, second):
    return uint32(uint32(first) * uint32(31)) ^ uint32(second)


@kernel(inline="always")
def score_of_path(page, node, weights):
    """The part of one element in the log odds of the blocks in it. The weights of tags are in the slots below 256."""
    score = weights[page.tree.nodes[node].tag]
    for k in range(page.token_offsets[node], page.token_offsets[node + 1]):
        score += weights[slot_of(page.tokens[k])]
    return score


@kernel(inline="always")
def score_of_words(measured, b, weights):
    """(log odds by the words and pairs of words of block `b`, weight of its most telling word).

    The sum is divided by sqrt(words), so that long blocks are not surer for their length alone.
    """
    first, end = measured.offsets[b], measured.offsets[b + 1]
    score = weights[0]
    strongest = np.float32(0)
    if end > first:
        by = np.float32(1 / np.sqrt(end - first))
        for k in range(first, end):
            weight = weights[slot_of(measured.words[k])]
            if abs(weight) > abs(strongest):
                strongest = weight
            score += weight * by
            if k + 1 < end:
                score += weights[slot_of(pair_of(measured.words[k], measured.words[k + 1]))] * by
    return score, strongest


@kernel
def learn_paths(page, wanted, weight, model):
    """One pass of AdaGrad over a page; `wanted` are shares of main text, both arrays are float32[blocks].

    The path of a block begins with the inline elements around its first text: <span class=author> tells more than the
    <p> that holds it.
    """
    nodes = page.tree.nodes
    for b in range(len(wanted)):
        if weight[b] <= 0:
            continue
        innermost = nodes[page.texts[page.blocks[b].first]].parent
        score = np.float32(0)
        i = innermost
        while i > 0:
            score += score_of_path(page, i, model.weights)
            i = nodes[i].parent
        error = _error(score, wanted[b]) * weight[b]
        i = innermost
        while i > 0:
            _move(model, np.int64(nodes[i].tag), error, model.decay)
            for k in range(page.token_offsets[i], page.token_offsets[i + 1]):
                _move(model, np.int64(slot_of(page.tokens[k])), error, model.decay)
            i = nodes[i].parent


@kernel
def learn_words(measured, wanted, weight, model):
    """As `learn_paths`, by the words of the blocks."""
    for b in range(len(wanted)):
        first, end = measured.offsets[b], measured.offsets[b + 1]
        if weight[b] <= 0 or end == first:
            continue
        by = np.float32(1 / np.sqrt(end - first))
        error = _error(score_of_words(measured, b, model.weights)[0], wanted[b]) * weight[b]
        _move(model, 0, error, np.float32(0))
        for k in range(first, end):
            _move(model, np.int64(slot_of(measured.words[k])), error * by, model.decay)
            if k + 1 < end:
                pair = pair_of(measured.words[k], measured.words[k + 1])
                _move(model, np.int64(slot_of(pair)), error * by, model.decay)


@kernel(inline="always")
def _error(score, wanted):
    return np.float32(1 / (1 + np.exp(-min(max(score, np.float32(-12)), np.float32(12))))) - wanted


@kernel(inline="always")
def _move(model, slot, gradient, decay):
    gradient += decay * model.weights[slot]
    model.squares[slot] += gradient * gradient
    model.weights[slot] -= model.rate * gradient / np.sqrt(model.squares[slot])
