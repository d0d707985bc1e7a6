"""Features of runs of like elements: rows of a list, teasers, posts, paragraphs.

A group is the elements with the same tag and class in one parent that hold text. Cards of other articles are many, with
a link each and little text, and posts of a thread are as many with few links. Two groups around a block tell them
apart, the largest and the outermost (`ItemGroup`).
"""

import numpy as np

from cleaners.extraction.features.columns import ITEM_GROUP_WIDTH, ITEM_GROUPS_AT, ItemGroup
from cleaners.extraction.features.template_counts import first_equal
from cleaners.extraction.html.tags import TEXT, VERBATIM
from shards.compiled import kernel

_MIN_LARGEST, _MIN_OUTERMOST = 2, 3  # elements of a group


@kernel
def write_item_groups(page, containers, x):
    nodes, signatures = page.tree.nodes, page.signatures
    number = len(nodes)
    keys = np.empty(number, np.uint64)
    for i in range(number):
        is_text = nodes[i].tag == TEXT or nodes[i].tag == VERBATIM
        signature = np.uint64(i) | np.uint64(1 << 32) if is_text else np.uint64(signatures[i])
        keys[i] = signature << np.uint64(31) | np.uint64(max(nodes[i].parent, 0))
    groups = first_equal(keys)
    items, chars = np.zeros(number, np.float32), np.zeros(number, np.float32)
    link_chars, prose = np.zeros(number, np.float32), np.zeros(number, np.float32)
    for i in range(number):
        if containers.chars[i] > 0:
            group = groups[i]
            items[group] += 1
            chars[group] += containers.chars[i]
            link_chars[group] += containers.link_chars[i]
            prose[group] += containers.prose[i]
    largest, outermost = np.full(number, -1, np.int32), np.full(number, -1, np.int32)
    for i in range(1, number):
        if nodes[i].tag == TEXT or nodes[i].tag == VERBATIM:
            continue
        largest[i], outermost[i] = largest[nodes[i].parent], outermost[nodes[i].parent]
        here = items[groups[i]]
        if here >= _MIN_LARGEST and (largest[i] < 0 or here >= items[largest[i]]):
            largest[i] = groups[i]
        if here >= _MIN_OUTERMOST and outermost[i] < 0:
            outermost[i] = groups[i]
    total = max(containers.chars[0], np.float32(1))
    for b in range(len(x)):
        element = page.blocks[b].element
        for k, group in enumerate((largest[element], outermost[element])):
            at = ITEM_GROUPS_AT + k * ITEM_GROUP_WIDTH
            if group < 0:
                x[b, at : at + ITEM_GROUP_WIDTH] = -1
                continue
            own = max(chars[group], np.float32(1))
            x[b, at + ItemGroup.ITEMS] = items[group]
            x[b, at + ItemGroup.CHARS] = chars[group] / items[group]
            x[b, at + ItemGroup.LINK_SHARE] = link_chars[group] / own
            x[b, at + ItemGroup.SHARE] = chars[group] / total
            x[b, at + ItemGroup.PROSE_SHARE] = prose[group] / own
