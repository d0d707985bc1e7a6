"""32-bit hashes (FNV-1a) of words and of the tokens of `class`, `id`, `role` and `itemprop`, the linear models' input.

    class="article-body2 storyText"  ──▶  article, body, article-body (marked), story, text, storytext (marked)

Digits are dropped, since they number things of a kind. A token that has parts is marked, so that it is not mistaken for
a part of the same name.
"""

import numpy as np
from numba import uint32

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.html import attributes
from cleaners.extraction.html.search import word_of
from cleaners.extraction.html.tags import TEXT, VERBATIM
from cleaners.extraction.html.tokenizer import is_space
from shards.compiled import kernel
from shards.hash_table import first_slot, next_slot, table_size

EMPTY = uint32(2166136261)
_PRIME = uint32(16777619)
_WHOLE = uint32(0x9E3779B9)
_MAX_CLASSES = 40  # of an element: Tailwind writes as many, and the first are the most telling
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MAX_PROBES = 16
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
def hash_small(data, start, end):
    """The hash of data[start:end], with ASCII in lower case: `hash_of` of its text in ASCII."""
    state = EMPTY
    for k in range(start, end):
        state = step(state, data[k] + 32 if 65 <= data[k] <= 90 else data[k])
    return state


@kernel
def first_alike(data, tree):
    """int32[nodes]: the first element with the tag, class, id, role and itemprop of each, or the node itself.

    Pages repeat their elements, so that what follows from these is computed once. Where many elements would share a
    place of the table, an equal one is not found, which costs time alone.
    """
    data, tree = borrowed(data), borrowed(tree)
    nodes, kept = tree
    out = np.arange(len(nodes)).astype(np.int32)
    by_tag = np.full(256, -1, np.int32)  # elements without names
    slots = np.full(table_size(len(nodes)), -1, np.int32)
    for i in range(len(nodes)):
        tag = np.int64(nodes[i].tag)
        if tag in (TEXT, VERBATIM):
            continue
        state, has_names = np.uint64(tag), False
        for k in range(nodes[i].first_attribute, nodes[i].end_attribute):
            if _names_its_element(kept[k].name):
                has_names = True
                state = _mix(state, np.uint64(kept[k].name) | np.uint64(kept[k].end - kept[k].start) << np.uint64(8))
                for at in range(kept[k].start, kept[k].end, 8):
                    state = _mix(state, word_of(data, at, kept[k].end))
        if not has_names:
            if by_tag[tag] < 0:
                by_tag[tag] = i
            out[i] = by_tag[tag]
            continue
        slot = first_slot(slots, state)
        for _ in range(_MAX_PROBES):
            if slots[slot] < 0:
                slots[slot] = i
                break
            if nodes[slots[slot]].tag == tag and _same_names(data, tree, slots[slot], i):
                out[i] = slots[slot]
                break
            slot = next_slot(slots, slot)
    return out


@kernel(inline="always")
def _mix(state, word):
    state = (state ^ word) * _MIX
    return state ^ (state >> np.uint64(29))


@kernel
def _same_names(data, tree, one, other):
    nodes, kept = tree
    k, end = nodes[one].first_attribute, nodes[one].end_attribute
    for j in range(nodes[other].first_attribute, nodes[other].end_attribute):
        if not _names_its_element(kept[j].name):
            continue
        while k < end and not _names_its_element(kept[k].name):
            k += 1
        length = kept[j].end - kept[j].start
        if k == end or kept[k].name != kept[j].name or kept[k].end - kept[k].start != length:
            return False
        for at in range(0, length, 8):
            word = word_of(data, kept[k].start + at, kept[k].end)
            if word != word_of(data, kept[j].start + at, kept[j].end):
                return False
        k += 1
    while k < end and not _names_its_element(kept[k].name):
        k += 1
    return k == end


@kernel
def path_tokens(data, tree, alike):
    """(hashes, offsets[nodes + 1]) of the tokens of each element's class, id, role and itemprop.

    Text nodes have none. `alike` is that of `first_alike`.
    """
    kept = tree.attributes
    room = 0
    for k in range(len(kept)):
        if _names_its_element(kept[k].name):
            # A token of two letters gives at most one hash, and each of its letters but the first a part.
            room += kept[k].end - kept[k].start + 1
    out = np.empty(room, np.uint32)
    offsets = np.zeros(len(tree.nodes) + 1, np.int32)
    at = _write_path_tokens(data, tree, alike, out, offsets)
    return out[:at].copy(), offsets


@kernel
def _write_path_tokens(data, tree, alike, out, offsets):
    """As `path_tokens`, to `out` and `offsets`; return the number of hashes."""
    data, tree, alike, out, offsets = borrowed(data), borrowed(tree), borrowed(alike), borrowed(out), borrowed(offsets)
    nodes, kept = tree
    at = 0
    for i in range(len(nodes)):
        if alike[i] < i:
            for k in range(offsets[alike[i]], offsets[alike[i] + 1]):
                out[at] = out[k]
                at += 1
        elif nodes[i].tag != TEXT and nodes[i].tag != VERBATIM:
            for k in range(nodes[i].first_attribute, nodes[i].end_attribute):
                if _names_its_element(kept[k].name):
                    start, end = kept[k].start, kept[k].end
                    if kept[k].name != attributes.CLASS:
                        end = min(end, start + _MAX_VALUE_BYTES)
                    at = _tokens(data, start, end, out, at)
        offsets[i + 1] = at
    return at


@kernel(inline="always")
def _names_its_element(name):
    return name in (attributes.CLASS, attributes.ID, attributes.ROLE, attributes.ITEMPROP)


@kernel(inline="always")
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
def element_signatures(data, tree, alike):
    """uint32[nodes]: hashes of tag and class without digits.

    Elements that one template made have the same signature. `alike` is that of `first_alike`.
    """
    nodes, kept = tree
    out = np.zeros(len(nodes), np.uint32)
    for i in range(len(nodes)):
        if alike[i] < i:
            out[i] = out[alike[i]]
            continue
        state = step(EMPTY, nodes[i].tag)
        for k in range(nodes[i].first_attribute, nodes[i].end_attribute):
            if kept[k].name == attributes.CLASS:
                for j in range(kept[k].start, kept[k].end):
                    if not 48 <= data[j] <= 57:
                        state = step(state, data[j])
        out[i] = state
    return out
