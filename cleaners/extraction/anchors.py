"""Links of headings to themselves: the "¶" or "#" that generators of documentation write after or before a heading.

    <h2 id="bread">Bread<a class="headerlink" href="#bread">¶</a></h2>        Sphinx, MkDocs: Bread

A link in a heading, or within its page, whose whole text is such a sign is no text.
"""

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import SPACE, attribute_of
from cleaners.extraction.html.tags import HEADING, RULES
from cleaners.extraction.html.text import max_text_bytes, write_node
from shards.compiled import kernel

_MAX_BYTES = 12  # of such a sign as pages write it: "&#x1F517;"
_HASH = ord("#")
# Signs, and the zero-width space of Docusaurus.
_SIGNS = tuple(np.frombuffer(sign.encode(), np.uint8) for sign in ("¶", "#", "§", "🔗", "\u200b", "\uf0c1", "⚓", "∞"))


@kernel
def has_anchors(data, page, chosen):
    """Whether a chosen block has such a link."""
    data, page = borrowed(data), borrowed(page)
    for b in range(len(chosen)):
        if chosen[b]:
            in_heading = RULES[page.tree.nodes[page.blocks[b].element].tag] & HEADING != 0
            for node in page.texts[page.blocks[b].first : page.blocks[b].end]:
                if _is_anchor(data, page.tree, node, in_heading):
                    return True
    return False


@kernel
def drop_anchors(data, page, chosen):
    """Take the text of such links from the nodes of `page`, and from `chosen` the blocks that are nothing else."""
    nodes = page.tree.nodes
    for b in range(len(chosen)):
        if not chosen[b]:
            continue
        is_empty = True
        in_heading = RULES[nodes[page.blocks[b].element].tag] & HEADING != 0
        for node in page.texts[page.blocks[b].first : page.blocks[b].end]:
            if _is_anchor(data, page.tree, node, in_heading):
                nodes[node].start = nodes[node].end
                nodes[node].flags &= ~SPACE
            else:
                is_empty = False
        if is_empty:
            chosen[b] = False


@kernel
def _is_anchor(data, tree, node, in_heading):
    nodes = tree.nodes
    link = nodes[node].link
    if link < 0 or nodes[node].end - nodes[node].start > _MAX_BYTES or nodes[link].after != node + 1:
        return False
    k = attribute_of(tree, link, attributes.HREF)
    if k < 0 or tree.attributes[k].end == tree.attributes[k].start:
        return False
    if not in_heading and data[tree.attributes[k].start] != _HASH:
        return False
    out = np.empty(max_text_bytes(_MAX_BYTES) + 8, np.uint8)
    text = out[: write_node(data, nodes, node, out, 0, 0)]
    for sign in _SIGNS:  # noqa: SIM110 - Numba has no generators
        if len(text) == len(sign) and np.all(text == sign):
            return True
    return False
