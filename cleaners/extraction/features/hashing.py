"""32-bit hashes (FNV-1a) of words and of the tokens of `class`, `id`, `role` and `itemprop`, the linear models' input.

    class="article-body2 storyText"  ──▶  article, body, article-body (marked), story, text, storytext (marked)

Digits are dropped, since they number things of a kind. A token that has parts is marked, so that it is not mistaken for
a part of the same name.
"""

import numpy as np
from numba import uint32

from cleaners.extraction.html import attributes
from cleaners.extraction.html.tags import TEXT, VERBATIM
from cleaners.extraction.html.tokenizer import is_space
from shards.compiled import kernel

EMPTY = uint32(2166136261)
_PRIME = uint32(16777619)
_WHOLE = uint32(0x9E3779B9)
_MAX_CLASSES = 40  # of an element: Tailwind writes as many, and the first are the most telling
_MAX_VALUE_BYTES = 60  # of an id, role or itemprop; programs make longer ones


@kernel(inline="always")
def step(state, value):
    return uint32((state ^ uint32(value)) * _PRIME)


def hash_of(word: str) -> int:
    """The hash of a word in lower case: `step` over its code points."""
    state = 2166136261
    for character in word:
        state = ((state ^ ord(character)) * 16777619) & 0xFFFFFFFF
    return state


@kernel
def path_tokens(data, tree):
    """(hashes, offsets[nodes + 1]) of the tokens of each element's class, id, role and itemprop.

    Text nodes have none.
    """
    nodes, kept = tree
    room = 0
    for k in range(len(kept)):
        if _names_its_element(kept[k].name):
            # A token of two letters gives at most one hash, and each of its letters but the first a part.
            room += kept[k].end - kept[k].start + 1
    out = np.empty(room, np.uint32)
    offsets = np.zeros(len(nodes) + 1, np.int32)
    at = 0
    for i in range(len(nodes)):
        if nodes[i].tag != TEXT and nodes[i].tag != VERBATIM:
            for k in range(nodes[i].first_attribute, nodes[i].end_attribute):
                if kept[k].name == attributes.CLASS:
                    at = _tokens(data, kept[k].start, kept[k].end, out, at)
                elif _names_its_element(kept[k].name):
                    at = _tokens(data, kept[k].start, min(kept[k].end, kept[k].start + _MAX_VALUE_BYTES), out, at)
        offsets[i + 1] = at
    return out[:at].copy(), offsets


@kernel(inline="always")
def _names_its_element(name):
    return name in (attributes.CLASS, attributes.ID, attributes.ROLE, attributes.ITEMPROP)


@kernel
def _tokens(data, i, end, out, at):
    for _ in range(_MAX_CLASSES):
        while i < end and is_space(data[i]):
            i += 1
        if i >= end:
            break
        whole = part = EMPTY
        whole_length = part_length = num_parts = 0
        after_small = False
        while i < end and not is_space(data[i]):
            c = data[i]
            i += 1
            if 48 <= c <= 57:
                after_small = False
                continue
            is_capital = 65 <= c <= 90
            small = c + 32 if is_capital else c
            whole = step(whole, small)
            whole_length += 1
            is_separator = c in (45, 95, 58, 47)  # - _ : /
            if is_separator or (is_capital and after_small):
                if part_length > 1:
                    out[at] = part
                    at += 1
                    num_parts += 1
                part, part_length = EMPTY, 0
            if not is_separator:
                part = step(part, small)
                part_length += 1
            after_small = 97 <= c <= 122
        if num_parts and part_length > 1:
            out[at] = part
            at += 1
        if whole_length > 1:
            out[at] = whole ^ _WHOLE if num_parts else whole
            at += 1
    return at


@kernel
def element_signatures(data, tree):
    """uint32[nodes]: hashes of tag and class without digits.

    Elements that one template made have the same signature.
    """
    nodes, kept = tree
    out = np.zeros(len(nodes), np.uint32)
    for i in range(len(nodes)):
        state = step(EMPTY, nodes[i].tag)
        for k in range(nodes[i].first_attribute, nodes[i].end_attribute):
            if kept[k].name == attributes.CLASS:
                for j in range(kept[k].start, kept[k].end):
                    if not 48 <= data[j] <= 57:
                        state = step(state, data[j])
        out[i] = state
    return out
