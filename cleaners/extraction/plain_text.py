"""Chosen blocks as plain text, a line each. Items begin with "- "; the cells of a table's row are on one line, with "|"
between columns.

    <h1>Bread</h1><ul><li>Flour<li>Salt</ul><table><tr><td>Water<td>1 l<td>cold<tr><td>Yeast<td><td>dry</table>

    Bread
    - Flour
    - Salt
    Water | 1 l | cold
    Yeast | | dry

There are no blank lines. `markdown` writes Markdown.
"""

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import SPACE
from cleaners.extraction.html.tags import TEXT
from cleaners.extraction.html.text import max_text_bytes, write_node
from cleaners.extraction.html.tokenizer import is_space
from cleaners.extraction.structure import MAX_COLUMNS, layout_of
from shards.compiled import kernel

_NEWLINE, _SPACE, _DASH, _PIPE = map(ord, "\n -|")


@kernel
def max_plain_text_bytes(page, chosen):
    """The greatest length of the text that `write_plain_text` writes.

    A row has two bytes for each column.
    """
    page = borrowed(page)
    nodes = page.tree.nodes
    room = np.int64(8)
    for i in range(len(nodes)):
        room += 2 * (MAX_COLUMNS + 1) * (nodes[i].tag == tags.TR)
    for b in range(len(chosen)):
        if chosen[b]:
            room += max_block_bytes(page, b)
    return room


@kernel
def max_block_bytes(page, b):
    """The greatest length of the text of a block and the marks before it.

    Text grows by a fifth at most (`entities`). Between two text nodes are a space and a line end for each <br>.
    """
    nodes, first, end = page.tree.nodes, page.blocks[b].first, page.blocks[b].end
    room = 8 + 2 * (page.texts[end - 1] - page.texts[first])
    for node in page.texts[first:end]:
        room += max_text_bytes(nodes[node].end - nodes[node].start)
    return room


@kernel
def write_plain_text(data, page, chosen, out, begin):
    """Write the chosen blocks to out[begin:]; return the new end. The last line has no line end."""
    data, page, chosen, out = borrowed(data), borrowed(page), borrowed(chosen), borrowed(out)
    layout = layout_of(data, page, chosen)
    at = begin
    row = cell = item = -1
    column = 0
    for b in range(len(chosen)):
        if not chosen[b]:
            continue
        i = page.blocks[b].element
        is_in_line = layout.rows[i] >= 0 and layout.is_line[layout.rows[i]]
        before = at
        here = layout.columns[layout.cells[i]] if is_in_line and layout.cells[i] >= 0 else 0
        goes_on = is_in_line and layout.rows[i] == row
        if goes_on:  # a cell is no farther left than the one before: text outside of cells has no column
            here = max(here, column + (layout.cells[i] != cell))
        else:
            if at > begin:
                out[at] = _NEWLINE
                at += 1
            if layout.items[i] >= 0 and layout.items[i] != item and not is_in_line:
                out[at], out[at + 1] = _DASH, _SPACE
                at += 2
        for k in range(column if goes_on else 0, here):
            if goes_on or k > 0:
                out[at] = _SPACE
                at += 1
            out[at] = _PIPE
            at += 1
        if goes_on or here > 0:
            out[at] = _SPACE
            at += 1
        end = write_block(data, page, b, is_in_line, out, at)
        if end == at:  # the block has no text: its marks go, too
            at = before
            continue
        at = end
        row, cell, item = layout.rows[i] if is_in_line else -1, layout.cells[i], layout.items[i]
        column = here
    return at


@kernel
def write_block(data, page, b, on_one_line, out, begin):
    """Write the text of block `b` to out[begin:], without blanks at its end; return the new end.

    <br> ends a line, or is a space with `on_one_line`.
    """
    nodes = page.tree.nodes
    at = begin
    for t in range(page.blocks[b].first, page.blocks[b].end):
        node = page.texts[t]
        if t > page.blocks[b].first:
            for k in range(page.texts[t - 1] + 1, node):
                if nodes[k].tag == tags.BR:
                    at = _end(out, begin, at)
                    if at > begin and out[at - 1] != _NEWLINE:
                        out[at] = _SPACE if on_one_line else _NEWLINE
                        at += 1
                elif nodes[k].tag == TEXT and nodes[k].flags & SPACE and at > begin and not is_space(out[at - 1]):
                    out[at] = _SPACE
                    at += 1
        at = write_node(data, nodes, node, out, begin, at)
    if on_one_line:
        for k in range(begin, at):
            if out[k] == _NEWLINE:
                out[k] = _SPACE
    at = _end(out, begin, at)
    while at > begin and out[at - 1] == _NEWLINE:
        at = _end(out, begin, at - 1)
    return at


@kernel(inline="always")
def _end(out, begin, at):
    while at > begin and out[at - 1] == _SPACE:
        at -= 1
    return at
