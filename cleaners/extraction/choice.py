"""The choice of the main text: the set of blocks with the greatest expected F1, each text once.

Take blocks by falling share of main text p. With w words each, the first k have the expected F1

    2 Σ w·p over the first k  /  (Σ w over the first k + Σ w·p over all),

which rises while p is above half of it. So the threshold follows the page: it is high on a clear article, and low where
all is doubtful (Ye et al. 2012, "Optimizing F-measure", §3). A fixed threshold costs .02 of F1.
"""

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.features.context import weight_of
from cleaners.extraction.html.nodes import PREFORMATTED
from shards.compiled import kernel
from shards.hash_table import first_slot, next_slot, table_size

MIN_P = np.float32(0.2)  # a block with less is no main text, whatever else the page has
COPY_WORDS = 4  # shorter equal lines are no copies: labels, code, cells of tables


@kernel
def main_blocks(page, p):
    """bool[blocks]: the choice of a page by its shares `p`, with the listings within it, and each text once."""
    page = borrowed(page)
    chosen = choose(page.measured.measures, p)
    join_listings(page, p, chosen)
    drop_copies(page.measured.measures, chosen)
    return chosen


@kernel
def choose(measures, p):
    """bool[blocks]: the blocks whose p reaches the threshold of the page."""
    number = len(p)
    chosen = np.zeros(number, np.bool_)
    all_main = np.float64(0)
    for b in range(number):
        all_main += weight_of(measures[b].words) * p[b]
    order = np.argsort(-p, kind="mergesort")
    words = main = best = np.float64(0)
    threshold = np.float32(2)
    for b in order:
        words += weight_of(measures[b].words)
        main += weight_of(measures[b].words) * p[b]
        f1 = 2 * main / (words + all_main + 1e-9)
        if f1 > best:
            best, threshold = f1, p[b]
    threshold = max(threshold, MIN_P)
    for b in range(number):
        chosen[b] = p[b] >= threshold and measures[b].chars > 0
    return chosen


@kernel
def join_listings(page, p, chosen):
    """Choose listings of at least `MIN_P` between two chosen blocks: text that refers to its code needs it."""
    for b in range(1, len(p) - 1):
        flags = page.tree.nodes[page.texts[page.blocks[b].first]].flags
        if flags & PREFORMATTED and p[b] >= MIN_P and chosen[b - 1] and chosen[b + 1]:
            chosen[b] = page.measured.measures[b].chars > 0


@kernel
def expected_f1(measures, p, chosen):
    """The expected F1 of a choice of blocks, from 0 to 1: how sure the model is that it is right."""
    words = main = all_main = np.float64(0)
    for b in range(len(p)):
        weight = weight_of(measures[b].words)
        all_main += weight * p[b]
        if chosen[b]:
            words += weight
            main += weight * p[b]
    return 2 * main / (words + all_main + 1e-9)


@kernel
def drop_copies(measures, chosen):
    """Choose equal texts of at least `COPY_WORDS` words once: the first that is not hidden, else the first.

    Pages hold their text twice for phones and screens, in quotes, teasers and folded parts: .004 of F1.
    """
    slots = np.full(table_size(len(chosen)), -1, np.int32)
    for b in range(len(chosen)):
        if not chosen[b] or measures[b].words < COPY_WORDS:
            continue
        slot = first_slot(slots, np.uint64(measures[b].hash))
        while slots[slot] >= 0 and measures[slots[slot]].hash != measures[b].hash:
            slot = next_slot(slots, slot)
        first = slots[slot]
        if first < 0:
            slots[slot] = b
        elif measures[first].hidden and not measures[b].hidden:
            chosen[first] = False
            slots[slot] = b
        else:
            chosen[b] = False
