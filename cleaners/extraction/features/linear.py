"""Two linear models over hashes: what the classes around a block say of it, and what its words say.

Each is a logistic regression whose weights stand in a table by hash, 2^18 of them; the log odds are features of the
trees. Class names and words like "nav", "comment", "related", "share" are told from "entry", "content" this way, in any
language that the training had, and new ones of a template count for nothing.
"""

import numpy as np
from numba import uint32

from shards.compiled import kernel

SLOTS = 1 << 18


@kernel(inline="always")
def slot_of(state):
    return (state ^ (state >> uint32(15))) & uint32(SLOTS - 1)


@kernel(inline="always")
def pair_of(first, second):
    return uint32(uint32(first) * uint32(31)) ^ uint32(second)


@kernel
def score_of_path(page, node, weights):
    """The part of one element in the log odds of blocks in it. Slots below 256 are those of tags too."""
    score = weights[page.tree.nodes[node].tag]
    for k in range(page.token_offsets[node], page.token_offsets[node + 1]):
        score += weights[slot_of(page.tokens[k])]
    return score


@kernel
def score_of_words(measured, b, weights):
    """(log odds by the words and pairs of words of block `b`, weight of its most telling word). By sqrt(words), so that
    long blocks are not surer for their length alone."""
    first, behind = measured.offsets[b], measured.offsets[b + 1]
    score = weights[0]
    strongest = np.float32(0)
    if behind > first:
        by = np.float32(1 / np.sqrt(behind - first))
        for k in range(first, behind):
            weight = weights[slot_of(measured.words[k])]
            if abs(weight) > abs(strongest):
                strongest = weight
            score += weight * by
            if k + 1 < behind:
                score += weights[slot_of(pair_of(measured.words[k], measured.words[k + 1]))] * by
    return score, strongest


@kernel
def learn_paths(page, wanted, weight, weights, squares, rate, decay):
    """One pass of AdaGrad (Duchi et al. 2011) over a page: `wanted` float32[blocks] shares of main text, `weight`
    float32[blocks]."""
    nodes = page.tree.nodes
    for b in range(len(wanted)):
        if weight[b] <= 0:
            continue
        score = np.float32(0)
        i = page.blocks[b].element
        while i > 0:
            score += score_of_path(page, i, weights)
            i = nodes[i].parent
        error = _error(score, wanted[b]) * weight[b]
        i = page.blocks[b].element
        while i > 0:
            _move(weights, squares, np.int64(nodes[i].tag), error, rate, decay)
            for k in range(page.token_offsets[i], page.token_offsets[i + 1]):
                _move(weights, squares, np.int64(slot_of(page.tokens[k])), error, rate, decay)
            i = nodes[i].parent


@kernel
def learn_words(measured, wanted, weight, weights, squares, rate, decay):
    for b in range(len(wanted)):
        first, behind = measured.offsets[b], measured.offsets[b + 1]
        if weight[b] <= 0 or behind == first:
            continue
        by = np.float32(1 / np.sqrt(behind - first))
        error = _error(score_of_words(measured, b, weights)[0], wanted[b]) * weight[b]
        _move(weights, squares, 0, error, rate, np.float32(0))
        for k in range(first, behind):
            _move(weights, squares, np.int64(slot_of(measured.words[k])), error * by, rate, decay)
            if k + 1 < behind:
                pair = pair_of(measured.words[k], measured.words[k + 1])
                _move(weights, squares, np.int64(slot_of(pair)), error * by, rate, decay)


@kernel(inline="always")
def _error(score, wanted):
    return np.float32(1 / (1 + np.exp(-min(max(score, np.float32(-12)), np.float32(12))))) - wanted


@kernel(inline="always")
def _move(weights, squares, slot, gradient, rate, decay):
    gradient += decay * weights[slot]
    squares[slot] += gradient * gradient
    weights[slot] -= rate * gradient / np.sqrt(squares[slot])
