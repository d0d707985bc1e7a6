"""Blocks, the units that are chosen or left out. A block is a line of text as the page shows it, <br> aside: text nodes
between which no element breaks the line.

    <p>One <b>two</b><br>three<ul><li>four     block  element  text nodes
                                               0      p        "One ", "two", "three"
                                               1      li       "four"
"""

from typing import NamedTuple

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.html.nesting import is_foreign
from cleaners.extraction.html.nodes import ARIA_HIDDEN, BREAK, FOREIGN, FORMULA, HIDDEN
from cleaners.extraction.html.tags import NOT_SHOWN, PLAINTEXT, RULES, TAGS, TEXT, VERBATIM
from shards.compiled import kernel

_RAW_SHOWN = (TAGS["xmp"], PLAINTEXT)  # elements whose raw text is shown

BLOCK = np.dtype(
    [
        ("element", np.int32),  # the nearest element that breaks lines
        ("first", np.int32),  # its text nodes are those of `Blocks.texts` in [first, end)
        ("end", np.int32),
    ],
    align=True,
)


class Blocks(NamedTuple):
    """The blocks of one page, in its order.

    Hidden blocks are among them, since tabs and folded text are hidden too. Hidden text in a line that shows is left
    out: of 130 such lines two had main text. Text beside MathML that is for the eyes alone (KaTeX, MathJax) is left out
    too. Hidden MathML stays, since Wikipedia shows a picture of it.
    """

    blocks: np.ndarray  # BLOCK[blocks]
    texts: np.ndarray  # int32[text nodes in blocks]: their node numbers


@kernel
def blocks_of(nodes):
    """The `Blocks` of a page. Scripts, styles, titles and other elements that hold no text of the page are in none."""
    nodes = borrowed(nodes)
    blocks = np.empty(len(nodes), BLOCK)
    texts = np.empty(len(nodes), np.int32)
    num_blocks = num_texts = 0
    broken = True  # whether a block begins here; text that is not shown may hold the mark of the break
    i = 0
    while i < len(nodes):
        tag = nodes[i].tag
        if RULES[tag] & NOT_SHOWN and not (nodes[i].after > i + 1 and nodes[i + 1].flags & FORMULA):
            for k in range(i, nodes[i].after):
                broken = broken or (nodes[k].tag == TEXT and nodes[k].flags & BREAK)
            i = nodes[i].after
            continue
        is_shown = nodes[i].flags & (FOREIGN | FORMULA) or nodes[nodes[i].parent].tag in _RAW_SHOWN
        if tag == TEXT or (tag == VERBATIM and is_shown):
            if broken or nodes[i].flags & BREAK or blocks[num_blocks - 1].element != nodes[i].block:
                blocks[num_blocks].element = nodes[i].block
                blocks[num_blocks].first = num_texts
                num_blocks += 1
                broken = False
            texts[num_texts] = i
            num_texts += 1
            blocks[num_blocks - 1].end = num_texts
        i += 1
    num_texts = _leave_out_hidden(nodes, blocks[:num_blocks], texts)
    return Blocks(blocks[:num_blocks].copy(), texts[:num_texts].copy())


@kernel
def _leave_out_hidden(nodes, blocks, texts):
    """Move the text nodes that stay to the front of `texts`; return their number."""
    nodes = borrowed(nodes)
    number = 0
    for b in range(len(blocks)):
        first, end = blocks[b].first, blocks[b].end
        shows = has_math = False
        for t in range(first, end):
            shows = shows or not nodes[texts[t]].flags & HIDDEN
            has_math = has_math or is_foreign(nodes, nodes[texts[t]].parent)
        blocks[b].first = number
        for t in range(first, end):
            is_left_out = nodes[texts[t]].flags & (HIDDEN * shows | ARIA_HIDDEN * has_math)
            if not is_left_out or is_foreign(nodes, nodes[texts[t]].parent):
                texts[number] = texts[t]
                number += 1
        blocks[b].end = number
    return number
