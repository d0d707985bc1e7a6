"""Features by repetition: elements that one template made, equal texts, words that the title has (`TemplateCount`)."""

import numpy as np

from cleaners.extraction.features.columns import TemplateCount
from cleaners.extraction.features.hashing import element_signatures, first_alike
from cleaners.extraction.features.measures import MAX_WORDS, hash_words
from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import FOREIGN
from cleaners.extraction.html.tags import TEXT, VERBATIM
from shards.compiled import kernel
from shards.hash_table import first_slot, slot_of_number, table_size


@kernel
def counts_of(keys):
    """int32[keys]: the number of keys equal to each."""
    firsts = first_equal(keys)
    numbers = np.zeros(len(keys), np.int32)
    for i in range(len(keys)):
        numbers[firsts[i]] += 1
    for i in range(len(keys)):
        numbers[i] = numbers[firsts[i]]
    return numbers


@kernel
def first_equal(keys):
    """int32[keys]: the position of the first key that is equal to each of uint64[keys]."""
    slots = np.full(table_size(len(keys)), -1, np.int32)
    firsts = np.empty(len(keys), np.int32)
    for i in range(len(keys)):
        hash_ = (keys[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
        slot = slot_of_number(slots, keys, keys[i], first_slot(slots, hash_))
        if slots[slot] < 0:
            slots[slot] = i
        firsts[i] = slots[slot]
    return firsts


@kernel
def signatures_with_parents(data, tree):
    """(uint32[nodes] of `element_signatures`, uint64[nodes] with the parent's in the lower half)"""
    own = element_signatures(data, tree, first_alike(data, tree))
    return own, with_parents(own, tree.nodes)


@kernel
def with_parents(signatures, nodes):
    """uint64[nodes]: the `element_signatures` of nodes, and those of their parents in the lower half."""
    both = np.zeros(len(nodes), np.uint64)
    for i in range(1, len(nodes)):
        both[i] = np.uint64(signatures[i]) << np.uint64(32) | np.uint64(signatures[nodes[i].parent])
    return both


@kernel
def write_template_counts(data, page, x):
    nodes, measured = page.tree.nodes, page.measured
    own, both = page.signatures, with_parents(page.signatures, nodes)
    elements = np.empty(len(nodes), np.int32)  # of nodes that are elements: their number among elements
    num_elements = 0
    for i in range(len(nodes)):
        if nodes[i].tag != TEXT and nodes[i].tag != VERBATIM:
            elements[i] = num_elements
            num_elements += 1
    with_parent, in_parent = np.empty(num_elements, np.uint64), np.empty(num_elements, np.uint64)
    for i in range(len(nodes)):
        if nodes[i].tag != TEXT and nodes[i].tag != VERBATIM:
            with_parent[elements[i]] = both[i]
            in_parent[elements[i]] = np.uint64(own[i]) << np.uint64(32) | np.uint64(nodes[i].parent & 0xFFFFFFFF)
    alike, siblings = counts_of(with_parent), counts_of(in_parent)
    most = siblings.copy()
    for i in range(1, len(nodes)):
        if nodes[i].tag != TEXT and nodes[i].tag != VERBATIM:
            e = elements[i]
            most[e] = max(most[e], most[elements[nodes[i].parent]]) if nodes[i].parent > 0 else most[e]
    hashes = measured.measures["hash"].astype(np.uint64)
    copies = counts_of(hashes)
    title, num_title = title_words(data, nodes)
    for b in range(len(x)):
        i = page.blocks[b].element
        parent = max(nodes[i].parent, 0)
        grandparent = max(nodes[parent].parent, 0)
        row = x[b]
        row[TemplateCount.ALIKE] = alike[elements[i]]
        row[TemplateCount.PARENTS_ALIKE] = alike[elements[parent]]
        row[TemplateCount.GRANDPARENTS_ALIKE] = alike[elements[grandparent]]
        row[TemplateCount.SIBLINGS_ALIKE] = siblings[elements[i]]
        row[TemplateCount.MOST_SIBLINGS_ALIKE] = most[elements[i]]
        row[TemplateCount.COPIES] = copies[b]
        number = measured.offsets[b + 1] - measured.offsets[b]
        if num_title and 0 < number < MAX_WORDS:
            common = 0
            for k in range(measured.offsets[b], measured.offsets[b + 1]):
                for j in range(num_title):
                    if measured.words[k] == title[j]:
                        common += 1
                        break
            row[TemplateCount.TITLE_OVERLAP] = common / number * min(1.0, common / max(1.0, num_title * 0.5))


@kernel
def title_words(data, nodes):
    """(uint32[MAX_WORDS], number) of the words of the first <title> outside of SVG, as `measure` hashes them."""
    words = np.empty(MAX_WORDS, np.uint32)
    for i in range(len(nodes)):
        if nodes[i].tag == tags.TITLE and not nodes[nodes[i].parent].flags & FOREIGN and nodes[i].after > i + 1:
            return words, hash_words(data, nodes, i + 1, words)
    return words, 0
