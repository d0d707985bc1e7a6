"""Features of the page as a whole: `WholePage`, the same for each block."""

import numpy as np

from cleaners.extraction.features.columns import WholePage, end_of
from cleaners.extraction.features.hashing import hash_of, hash_small
from cleaners.extraction.features.page import is_prose
from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.nodes import attribute_of
from cleaners.extraction.html.tags import HEADING, RULES, TAGS, TEXT
from shards.compiled import kernel

_H2, _ARTICLE, _MAIN, _META = (TAGS[name] for name in "h2 article main meta".split())
_KINDS = {"article": 0, "blog": 0, "website": 1, "product": 2, "og:product": 2, "product.group": 2}
_KIND_NAMES = np.array([hash_of(name) for name in _KINDS], np.uint32)
_KIND_NUMBERS = np.array(list(_KINDS.values()), np.int8)
_OG_TYPE = np.uint32(hash_of("og:type"))
_LD_TYPE = np.uint32(hash_of("application/ld+json"))
_LD_TYPES = {
    WholePage.LD_ARTICLE: "article newsarticle blogposting report techarticle webarticle",
    WholePage.LD_PRODUCT: "product productgroup offer vehicle",
    WholePage.LD_FORUM: "discussionforumposting qapage question comment",
    WholePage.LD_LIST: "itemlist collectionpage offercatalog searchresultspage",
    WholePage.LD_ORGANISATION: "organization localbusiness service softwareapplication",
    WholePage.LD_RECIPE: "recipe howto faqpage",
}
_LD_NAMES = np.array([hash_of(name) for names in _LD_TYPES.values() for name in names.split()], np.uint32)
_LD_COLUMNS = np.array([column for column, names in _LD_TYPES.items() for _ in names.split()], np.int64)
_FIRST, _END = WholePage.first, end_of(WholePage)
_MAX_LD = 50  # types of a group that are counted


@kernel
def write_page_features(data, page, containers, x):
    nodes, measures = page.tree.nodes, page.measured.measures
    row = x[0]
    total = max(containers.chars[0], np.float32(1))
    row[WholePage.LOG_CHARS] = np.log(1 + containers.chars[0])
    row[WholePage.LINK_SHARE] = containers.link_chars[0] / total
    row[WholePage.BLOCKS] = len(x)
    for b in range(len(x)):
        tag = nodes[page.blocks[b].element].tag
        row[WholePage.PARAGRAPHS] += is_prose(tag, measures[b])
        row[WholePage.HEADINGS] += RULES[tag] & HEADING != 0
        row[WholePage.H2] += tag == _H2
        row[WholePage.ITEMS] += tag == tags.LI
    row[WholePage.KIND] = -1
    largest = np.float32(0)
    for i in range(len(nodes)):
        tag = nodes[i].tag
        if tag == tags.A:
            row[WholePage.LINKS] += 1
        elif tag == tags.IMG:
            row[WholePage.IMAGES] += 1
        elif tag == tags.INPUT:
            row[WholePage.INPUTS] += 1
        elif tag == _ARTICLE:
            row[WholePage.ARTICLES] += 1
        elif tag == _MAIN:
            row[WholePage.MAINS] += 1
        elif tag == _META and row[WholePage.KIND] < 0:
            row[WholePage.KIND] = _open_graph_kind(data, page.tree, i)
        elif tag == tags.SCRIPT:
            _count_ld_types(data, page.tree, i, row)
        if i > 1 and nodes[i].tag != TEXT and nodes[i].parent > 0:
            largest = max(largest, containers.prose[i])
    row[WholePage.LOG_PROSE] = np.log(1 + containers.prose[0])
    row[WholePage.PROSE_SHARE] = containers.prose[0] / total
    row[WholePage.BLOCKS_PER_NODE] = len(x) / len(nodes)
    row[WholePage.LARGEST_PROSE] = largest / total
    for column in range(_FIRST, _END):
        x[1:, column] = row[column]


@kernel
def _open_graph_kind(data, tree, node):
    name, content = attribute_of(tree, node, attributes.PROPERTY), attribute_of(tree, node, attributes.CONTENT)
    if name < 0 or content < 0:
        return -1
    if hash_small(data, tree.attributes[name].start, tree.attributes[name].end) != _OG_TYPE:
        return -1
    kind = hash_small(data, tree.attributes[content].start, tree.attributes[content].end)
    for k in range(len(_KIND_NAMES)):
        if _KIND_NAMES[k] == kind:
            return _KIND_NUMBERS[k]
    return -1


@kernel
def _count_ld_types(data, tree, node, row):
    """Count the "@type": "…" of a script of JSON-LD in their columns of `row`, `_MAX_LD` each at most."""
    kind = attribute_of(tree, node, attributes.TYPE)
    if kind < 0 or hash_small(data, tree.attributes[kind].start, tree.attributes[kind].end) != _LD_TYPE:
        return
    if tree.nodes[node].after == node + 1:
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
        name = hash_small(data, start, min(i, end))
        for k in range(len(_LD_NAMES)):
            if _LD_NAMES[k] == name and row[_LD_COLUMNS[k]] < _MAX_LD:
                row[_LD_COLUMNS[k]] += 1
