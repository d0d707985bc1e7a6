"""Features of the second forest: what the first one thinks of the blocks around a block. `CONTEXT` maps their names to
their meanings, in the order of the columns.

    row   p | p of 6 neighbours | p of 3 windows | 6 × Container | OfPage
              NEIGHBOURS_AT       WINDOWS_AT       CONTAINERS_AT

All means are weighted by words; `p` is the first forest's share of main text, from 0 to 1.
"""

from enum import nonmember

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.features.columns import Column, end_of, meanings
from cleaners.extraction.features.page import next_container
from cleaners.extraction.features.template_counts import first_equal
from cleaners.extraction.html.tags import HEADING, RULES
from shards.compiled import kernel

OFFSETS = (-3, -2, -1, 1, 2, 3)  # of the neighbours, in blocks
_RADII = (2, 5, 12)  # of the windows, in blocks
_NUM_CONTAINERS = 6


class Container(Column):
    """One container of the block, in columns from the first of a repetition."""

    first = nonmember(0)
    P = "mean of the others in it, -1 without"
    MAIN = "main words in it by those of the page"
    MOST = "greatest p in it"


P, NEIGHBOURS_AT = 0, 1
WINDOWS_AT = NEIGHBOURS_AT + len(OFFSETS)
CONTAINERS_AT = WINDOWS_AT + len(_RADII)
CONTAINER_WIDTH = len(Container)


class OfPage(Column):
    """The rest of the page, as seen from the block."""

    first = nonmember(CONTAINERS_AT + _NUM_CONTAINERS * CONTAINER_WIDTH)
    ALIKE_P = "mean of the others whose element has its signature (tag, class, parent's), -1 without"
    ALIKE_WORDS = "words of it and these"
    P_BEFORE = "mean of the blocks before, by a weight that falls by e every 30 words"
    P_BEHIND = "the same of the blocks after it"
    HEADING_P = "p of the last heading, -1 without"
    HEADING_DISTANCE = "blocks since it, at most 99"
    MAIN_BEFORE = "main words before it by those of the page"
    MAIN_WORDS = "main words of the page"
    MAIN_SHARE = "main words of the page by its words"
    MOST = "greatest p of the page"
    P_BY_MOST = "p by the greatest p of the page"
    IN_BEST = "1 if it stands in the element that alone would have the greatest expected F1"
    BEST_F1 = "that F1"
    SINCE_FIRST = "blocks since the first of 9 words with p > .6, negative before, -999 without"
    TO_LAST = "blocks to the last such"


CONTEXT: dict[str, str] = {"p": "share of main text by the first forest"}
CONTEXT |= {f"p{offset:+}": f"p of block {offset:+}, -1 without" for offset in OFFSETS}
CONTEXT |= {f"p_within_{radius}": f"mean of it and {radius} blocks each side" for radius in _RADII}
for _k in range(1, _NUM_CONTAINERS + 1):
    CONTEXT |= meanings(Container, f"container{_k}_", f"container {_k}: ")
CONTEXT |= meanings(OfPage)
NUM_CONTEXT = len(CONTEXT)
assert end_of(OfPage) == NUM_CONTEXT  # no name stands twice, and no group is missing

_SURE, _SURE_WORDS = np.float32(0.6), 8
_FADE_WORDS, _MOST_FADE = np.float32(30), np.float32(40)


@kernel
def weight_of(words):
    """The weight of a block by its words. A line without words weighs something, too."""
    return words + np.float32(0.5)


@kernel
def context_of(page, containers, signatures, p):
    """float32[blocks, NUM_CONTEXT]. `signatures` are those of `signatures_with_parents`, `p` is float32[blocks]."""
    x = np.zeros((len(p), NUM_CONTEXT), np.float32)
    write_context(page, containers, signatures, p, x)
    return x


@kernel
def write_context(page, containers, signatures, p, x):
    """As `context_of`, to `x`."""
    page, containers, signatures = borrowed(page), borrowed(containers), borrowed(signatures)
    p, x = borrowed(p), borrowed(x)
    nodes, blocks, measures = page.tree.nodes, page.blocks, page.measured.measures
    number = len(p)
    if number == 0:
        return
    weight, main = np.empty(number, np.float32), np.empty(number, np.float32)
    held, held_main = np.zeros(len(nodes), np.float32), np.zeros(len(nodes), np.float32)
    held_most = np.zeros(len(nodes), np.float32)
    first = last = -1
    for b in range(number):
        weight[b] = weight_of(measures[b].words)
        main[b] = weight[b] * p[b]
        i = blocks[b].element
        held[i] += weight[b]
        held_main[i] += main[b]
        held_most[i] = max(held_most[i], p[b])
        if p[b] > _SURE and measures[b].words > _SURE_WORDS:
            first = b if first < 0 else first
            last = b
    for i in range(len(nodes) - 1, 0, -1):
        parent = nodes[i].parent
        held[parent] += held[i]
        held_main[parent] += held_main[i]
        held_most[parent] = max(held_most[parent], held_most[i])
    all_words, all_main, most = held[0], held_main[0], held_most[0]
    best, best_f1 = 0, np.float32(0)
    for i in range(len(nodes)):
        f1 = 2 * held_main[i] / (held[i] + all_main + np.float32(1e-6))
        if f1 >= best_f1 and held[i] > 0:
            best, best_f1 = i, f1

    alike, alike_main = _sums_by_signature(signatures, blocks, weight, main)
    before, after = _faded(p, weight)
    heading_p, heading = np.float32(-1), -99
    main_before = np.float32(0)
    for b in range(number):
        row = x[b]
        row[P] = p[b]
        for k, offset in enumerate(OFFSETS):
            row[NEIGHBOURS_AT + k] = p[b + offset] if 0 <= b + offset < number else -1
        for k, radius in enumerate(_RADII):
            total = total_main = np.float32(0)
            for o in range(max(0, b - radius), min(number, b + radius + 1)):
                total += weight[o]
                total_main += main[o]
            row[WINDOWS_AT + k] = total_main / total
        i = np.int64(blocks[b].element)
        for k in range(_NUM_CONTAINERS):
            at = CONTAINERS_AT + k * CONTAINER_WIDTH
            row[at + Container.P] = _mean_of_others(held_main[i] - main[b], held[i] - weight[b])
            row[at + Container.MAIN] = held_main[i] / max(all_main, np.float32(1e-6))
            row[at + Container.MOST] = held_most[i]
            i = next_container(nodes, containers.blocks, i)
        row[OfPage.ALIKE_P] = _mean_of_others(alike_main[b] - main[b], alike[b] - weight[b])
        row[OfPage.ALIKE_WORDS] = alike[b]
        row[OfPage.P_BEFORE] = before[b]
        row[OfPage.P_BEHIND] = after[b]
        row[OfPage.HEADING_P] = heading_p
        row[OfPage.HEADING_DISTANCE] = min(b - heading, 99)
        if RULES[nodes[blocks[b].element].tag] & HEADING:
            heading_p, heading = p[b], b
        row[OfPage.MAIN_BEFORE] = main_before / max(all_main, np.float32(1e-6))
        main_before += main[b]
        row[OfPage.MAIN_WORDS] = all_main
        row[OfPage.MAIN_SHARE] = all_main / all_words
        row[OfPage.MOST] = most
        row[OfPage.P_BY_MOST] = p[b] / max(most, np.float32(1e-6))
        row[OfPage.IN_BEST] = best <= blocks[b].element < nodes[best].after
        row[OfPage.BEST_F1] = best_f1
        row[OfPage.SINCE_FIRST] = b - first if first >= 0 else -999
        row[OfPage.TO_LAST] = last - b if last >= 0 else -999


@kernel(inline="always")
def _mean_of_others(main, weight):
    return main / weight if weight > np.float32(0.25) else np.float32(-1)


@kernel
def _faded(p, weight):
    """(before, after) float32[blocks]: exponentially weighted means of p on each side of a block, without its own."""
    number = len(p)
    before, after = np.empty(number, np.float32), np.empty(number, np.float32)
    for out, first, end, step in ((before, 0, number, 1), (after, number - 1, -1, -1)):
        total_main, total = np.float32(0), np.float32(1e-3)
        for b in range(first, end, step):
            out[b] = total_main / total
            fade = np.exp(-min(weight[b], _MOST_FADE) / _FADE_WORDS)
            total_main = total_main * fade + weight[b] * p[b]
            total = total * fade + weight[b]
    return before, after


@kernel
def _sums_by_signature(signatures, blocks, weight, main):
    """(words, main words) float32[blocks]: sums over all blocks whose elements have the signature of the block's."""
    number = len(blocks)
    firsts = first_equal(signatures[blocks["element"]])
    words, mains = np.zeros(number, np.float32), np.zeros(number, np.float32)
    for b in range(number):
        words[firsts[b]] += weight[b]
        mains[firsts[b]] += main[b]
    for b in range(number):
        words[b], mains[b] = words[firsts[b]], mains[firsts[b]]
    return words, mains
