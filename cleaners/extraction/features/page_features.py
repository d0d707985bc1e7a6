"""What the model is told of the page as a whole, the same of each block."""

import numpy as np

from cleaners.extraction.features.columns import NUM_PAGE, PAGE_AT
from cleaners.extraction.features.hashing import EMPTY, hash_of, step
from cleaners.extraction.features.page import is_prose
from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.nodes import attribute_of
from cleaners.extraction.html.tags import HEADING, RULES, TAGS, TEXT
from shards.compiled import kernel

_H2, _ARTICLE, _MAIN, _META = (TAGS[name] for name in "h2 article main meta".split())


@kernel
def write_page(data, page, containers, x):
    nodes, measures = page.tree.nodes, page.measured.measures
    facts = np.zeros(NUM_PAGE, np.float32)
    total = max(containers.chars[0], np.float32(1))
    facts[0] = np.log(1 + containers.chars[0])
    facts[1] = containers.link_chars[0] / total
    facts[2] = len(x)
    for b in range(len(x)):
        tag = nodes[page.blocks[b].element].tag
        facts[3] += is_prose(tag, measures[b])
        facts[4] += RULES[tag] & HEADING != 0
        facts[5] += tag == _H2
        facts[6] += tag == tags.LI
    facts[14] = -1
    largest = np.float32(0)
    for i in range(len(nodes)):
        tag = nodes[i].tag
        if tag == tags.A:
            facts[7] += 1
        elif tag == tags.IMG:
            facts[8] += 1
        elif tag == tags.INPUT:
            facts[9] += 1
        elif tag == _ARTICLE:
            facts[12] += 1
        elif tag == _MAIN:
            facts[13] += 1
        elif tag == _META and facts[14] < 0:
            facts[14] = _open_graph_kind(data, page.tree, i)
        elif tag == tags.SCRIPT:
            _count_ld_types(data, page.tree, i, facts[15:21])
        if i > 1 and nodes[i].tag != TEXT and nodes[i].parent > 0:
            largest = max(largest, containers.prose[i])
    facts[10] = np.log(1 + containers.prose[0])
    facts[11] = containers.prose[0] / total
    facts[21] = len(x) / len(nodes)
    facts[22] = largest / total
    for b in range(len(x)):
        x[b, PAGE_AT:] = facts


def _hashes(words: str) -> np.ndarray:
    return np.array([hash_of(word) for word in words.split()], np.uint32)


_KIND_NAMES = _hashes("article website product og:product product.group blog")
_KIND_NUMBERS = np.array([0, 1, 2, 2, 2, 0], np.int8)
_OG_TYPE = _hashes("og:type")[0]
_LD_TYPE = _hashes("application/ld+json")[0]
_LD_GROUPS = (
    "article newsarticle blogposting report techarticle webarticle",
    "product productgroup offer vehicle",
    "discussionforumposting qapage question comment",
    "itemlist collectionpage offercatalog searchresultspage",
    "organization localbusiness service softwareapplication",
    "recipe howto faqpage",
)
_LD_NAMES = _hashes(" ".join(_LD_GROUPS))
_LD_NUMBERS = np.repeat(np.arange(6), [len(group.split()) for group in _LD_GROUPS])
_MOST_LD = 50


@kernel
def _hash_small(data, start, end):
    state = EMPTY
    for k in range(start, end):
        state = step(state, data[k] + 32 if 65 <= data[k] <= 90 else data[k])
    return state


@kernel
def _open_graph_kind(data, tree, node):
    name, content = attribute_of(tree, node, attributes.PROPERTY), attribute_of(tree, node, attributes.CONTENT)
    if name < 0 or content < 0:
        return -1
    if _hash_small(data, tree.attributes[name].start, tree.attributes[name].end) != _OG_TYPE:
        return -1
    kind = _hash_small(data, tree.attributes[content].start, tree.attributes[content].end)
    for k in range(len(_KIND_NAMES)):
        if _KIND_NAMES[k] == kind:
            return _KIND_NUMBERS[k]
    return -1


@kernel
def _count_ld_types(data, tree, node, counts):
    """Count the "@type": "…" of a script of JSON-LD by group, `_MOST_LD` of each at most."""
    kind = attribute_of(tree, node, attributes.TYPE)
    if kind < 0 or _hash_small(data, tree.attributes[kind].start, tree.attributes[kind].end) != _LD_TYPE:
        return
    if tree.nodes[node].behind == node + 1:
        return
    i, end = tree.nodes[node + 1].start, tree.nodes[node + 1].end
    while i + 7 < end:
        if not (
            data[i] == 34 and data[i + 1] == 64 and data[i + 2] == 116 and data[i + 3] == 121 and data[i + 6] == 34
        ):
            i += 1
            continue
        i += 7
        while i < end and data[i] != 34:
            i += 1
        i += 1
        start = i
        while i < end and data[i] != 34:
            i += 1
        name = _hash_small(data, start, min(i, end))
        for k in range(len(_LD_NAMES)):
            if _LD_NAMES[k] == name and counts[_LD_NUMBERS[k]] < _MOST_LD:
                counts[_LD_NUMBERS[k]] += 1
