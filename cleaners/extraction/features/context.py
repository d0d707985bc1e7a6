"""Second look: what the first model thinks of the blocks around a block. `CONTEXT`, a column each.

All means are weighted by words; `p` is the first model's share of main text, from 0 to 1.
"""

import numpy as np

from cleaners.extraction.features.page import next_container
from cleaners.extraction.html.tags import HEADING, RULES
from shards.compiled import kernel
from shards.hash_table import first_slot, next_slot, table_size

_OFFSETS = (-3, -2, -1, 1, 2, 3)
_RADII = (2, 5, 12)
_LEVELS = 6

_OWN = {"p": "of the block"}
_OWN |= {f"p{d:+}": f"of block {d:+}, -1 none" for d in _OFFSETS}
_OWN |= {f"p_within_{r}": f"mean of it and {r} blocks each side" for r in _RADII}
for _k in range(1, _LEVELS + 1):
    _OWN |= {
        f"container{_k}_p": f"mean of the others in container {_k}, -1 if there are none",
        f"container{_k}_main": "main words in it by those of the page",
        f"container{_k}_most": "greatest p in it",
    }
CONTEXT: dict[str, str] = _OWN | {
    "alike_p": "mean of the others whose element has its signature (tag, class, parent's), -1 none",
    "alike_words": "words of it and these",
    "p_before": "mean of the blocks before, by a weight that falls by e every 30 words",
    "p_behind": "the same of the blocks behind",
    "heading_p": "of the last heading, -1 none",
    "heading_distance": "blocks since it, at most 99",
    "main_before": "main words before it by those of the page",
    "main_words": "main words of the page",
    "main_share": "these by its words",
    "most": "greatest p of the page",
    "p_by_most": "p by that",
    "in_best": "1 if it stands in the element that alone would have the greatest expected F1",
    "best_f1": "that F1",
    "since_first": "blocks since the first of 9 words with p > .6, negative before, -999 none",
    "to_last": "blocks to the last such",
}
NUM_CONTEXT = len(CONTEXT)
_SURE, _SURE_WORDS = np.float32(0.6), 8
_FADE_WORDS, _MOST_FADE = np.float32(30), np.float32(40)


@kernel
def weight_of(words):
    """What a block weighs: a line without words is not nothing."""
    return words + np.float32(0.5)


@kernel
def context_of(page, containers, signatures, p):
    """float32[blocks, NUM_CONTEXT]; `signatures` of `signatures_with_parents`, `p` float32[blocks]."""
    nodes, blocks, measures = page.tree.nodes, page.blocks, page.measured.measures
    number = len(p)
    x = np.zeros((number, NUM_CONTEXT), np.float32)
    if number == 0:
        return x
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

    alike, alike_main = _sums_by(signatures, blocks, weight, main)
    before, behind = _faded(p, weight)
    heading_p, heading = np.float32(-1), -99
    main_before = np.float32(0)
    for b in range(number):
        row, at = x[b], 0
        row[at] = p[b]
        at += 1
        for offset in _OFFSETS:
            row[at] = p[b + offset] if 0 <= b + offset < number else -1
            at += 1
        for radius in _RADII:
            total = total_main = np.float32(0)
            for o in range(max(0, b - radius), min(number, b + radius + 1)):
                total += weight[o]
                total_main += main[o]
            row[at] = total_main / total
            at += 1
        i = np.int64(blocks[b].element)
        for _ in range(_LEVELS):
            row[at] = _mean_of_others(held_main[i] - main[b], held[i] - weight[b])
            row[at + 1] = held_main[i] / max(all_main, np.float32(1e-6))
            row[at + 2] = held_most[i]
            at += 3
            i = next_container(nodes, containers.blocks, i)
        row[at] = _mean_of_others(alike_main[b] - main[b], alike[b] - weight[b])
        row[at + 1] = alike[b]
        row[at + 2] = before[b]
        row[at + 3] = behind[b]
        row[at + 4] = heading_p
        row[at + 5] = min(b - heading, 99)
        if RULES[nodes[blocks[b].element].tag] & HEADING:
            heading_p, heading = p[b], b
        row[at + 6] = main_before / max(all_main, np.float32(1e-6))
        main_before += main[b]
        row[at + 7] = all_main
        row[at + 8] = all_main / all_words
        row[at + 9] = most
        row[at + 10] = p[b] / max(most, np.float32(1e-6))
        row[at + 11] = best <= blocks[b].element < nodes[best].behind
        row[at + 12] = best_f1
        row[at + 13] = b - first if first >= 0 else -999
        row[at + 14] = last - b if last >= 0 else -999
    return x


@kernel(inline="always")
def _mean_of_others(main, weight):
    return main / weight if weight > np.float32(0.25) else np.float32(-1)


@kernel
def _faded(p, weight):
    """(before, behind) float32[blocks]: exponentially weighted means, the block itself left out."""
    number = len(p)
    before, behind = np.empty(number, np.float32), np.empty(number, np.float32)
    for out, first, behind_last, step in ((before, 0, number, 1), (behind, number - 1, -1, -1)):
        total_main, total = np.float32(0), np.float32(1e-3)
        for b in range(first, behind_last, step):
            out[b] = total_main / total
            fade = np.exp(-min(weight[b], _MOST_FADE) / _FADE_WORDS)
            total_main = total_main * fade + weight[b] * p[b]
            total = total * fade + weight[b]
    return before, behind


@kernel
def _sums_by(signatures, blocks, weight, main):
    """(words, main words) float32[blocks] of all blocks whose elements have one signature."""
    number = len(blocks)
    slots = np.full(table_size(number), -1, np.int32)
    firsts = np.empty(number, np.int32)
    words, mains = np.zeros(number, np.float32), np.zeros(number, np.float32)
    for b in range(number):
        key = signatures[blocks[b].element]
        slot = first_slot(slots, (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32))
        while slots[slot] >= 0 and signatures[blocks[slots[slot]].element] != key:
            slot = next_slot(slots, slot)
        if slots[slot] < 0:
            slots[slot] = b
        firsts[b] = slots[slot]
        words[firsts[b]] += weight[b]
        mains[firsts[b]] += main[b]
    for b in range(number):
        words[b], mains[b] = words[firsts[b]], mains[firsts[b]]
    return words, mains
