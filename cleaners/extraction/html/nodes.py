"""The tree of a page as two flat arrays.

    <p>One <b>two</b><p hidden>3      node  tag   parent  after   flags           bytes
                                       0    html    -1      9
                                       1    head     0      2
                                       2    body     0      9
                                       3    p        2      7
                                       4    TEXT     3      5     BREAK           "One "
                                       5    b        3      7
                                       6    TEXT     5      7     BOLD            "two"
                                       7    p        2      9     HIDDEN
                                       8    TEXT     7      9     BREAK, HIDDEN   "3"

Nodes stand in the order of the page: parent[i] < i, and node i with all that it holds is range(i, after[i]). Sums
over elements run from the last node to the first, and inherited values from the first to the last.
"""

from typing import NamedTuple

import numpy as np

from shards.compiled import kernel

# Flags. The first six hold for all nodes within the node too.
HIDDEN = 1  # `hidden`, `display: none`, `visibility: hidden`, <input type=hidden>
ARIA_HIDDEN = 2  # aria-hidden=true: icons mostly, but whole menus too
IN_TEMPLATE = 4
IN_NOSCRIPT = 8
PREFORMATTED = 16  # white space counts
FOREIGN = 32  # SVG or MathML
INHERITED = 63
# Flags of text nodes alone.
BREAK = 64  # a block began or ended since the last text; a run of text nodes without it is a block of text
SPACE = 128  # white space stood before it that has no node of its own
BOLD, ITALIC, CODE = 256, 512, 1024
FORMULA = 2048  # TeX of a script or an attribute (`formulas`)


NODE = np.dtype(
    [
        ("tag", np.uint8),  # an element of `tags`, UNKNOWN, TEXT, or VERBATIM (text without character references)
        ("flags", np.uint16),
        ("parent", np.int32),  # -1 of node 0
        ("after", np.int32),  # the first node that does not stand in this one
        ("start", np.int32),  # where the text or the start tag begins
        ("end", np.int32),  # where the text ends; after the end tag, or where the element was closed without one
        ("block", np.int32),  # the nearest element that breaks lines, maybe itself
        ("link", np.int32),  # the <a> that it is in by the standard's active formatting elements, or -1
        ("first_attribute", np.int32),
        ("end_attribute", np.int32),  # exclusive
    ],
    align=True,
)
ATTRIBUTE = np.dtype(
    [
        ("name", np.uint8),  # number in `attributes`; names not listed there and duplicates are left out
        ("start", np.int32),  # the value as the page has it, without quotes
        ("end", np.int32),
    ],
    align=True,
)


class Tree(NamedTuple):
    """The tree of one page. Positions are bytes of the page; every end is exclusive.

    It is two arrays of records rather than an array a field: each array that a compiled function gets costs a reference
    count, which made parsing five times as slow.
    """

    nodes: np.ndarray  # NODE[nodes]
    attributes: np.ndarray  # ATTRIBUTE[…]


@kernel(inline="always")
def attribute_of(tree, node, name):
    """The index of a node's attribute in `tree.attributes`, or -1."""
    for k in range(tree.nodes[node].first_attribute, tree.nodes[node].end_attribute):
        if tree.attributes[k].name == name:
            return k
    return -1
