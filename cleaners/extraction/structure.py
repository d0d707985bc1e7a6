"""Where blocks stand: in which item of a list, row and cell of a table, and preformatted text."""

from typing import NamedTuple

import numpy as np
from numba import njit

from cleaners.extraction import tags
from cleaners.extraction.tags import HEADING, PREFORMATTED_TAG, RULES, TAGS, TEXT, VERBATIM

_TR, _TD, _TH, _TEXTAREA = (TAGS[name] for name in "tr td th textarea".split())
_MOST_BLOCKS = 4  # of a cell in a row that is a line: with more, the table is there for its layout
_NONE = -1


class Places(NamedTuple):
    """Of each node the nearest element around it, or -1."""

    items: np.ndarray  # int32[nodes]: <li>
    cells: np.ndarray  # <td>, <th>
    rows: np.ndarray  # <tr>
    verbatim: np.ndarray  # <pre> and its like
    is_line: np.ndarray  # bool[nodes]: of rows, whether their cells stand on one line


@njit(cache=True)
def places_of(page, chosen):  # type: ignore[no-untyped-def]
    nodes = page.tree.nodes
    number = len(nodes)
    items, cells = np.full(number, _NONE, np.int32), np.full(number, _NONE, np.int32)
    rows, verbatim = np.full(number, _NONE, np.int32), np.full(number, _NONE, np.int32)
    for i in range(1, number):
        tag, p = nodes[i].tag, nodes[i].parent
        items[i], cells[i], rows[i], verbatim[i] = items[p], cells[p], rows[p], verbatim[p]
        if tag in (TEXT, VERBATIM):
            continue
        if tag == tags.LI:
            items[i] = i
        elif tag in (_TD, _TH):
            cells[i] = i
            items[i] = _NONE
        elif tag == _TR:
            rows[i] = i
            cells[i] = _NONE
        elif tag == tags.TABLE:
            cells[i] = rows[i] = _NONE
        elif RULES[tag] & PREFORMATTED_TAG and tag != _TEXTAREA:
            verbatim[i] = i
    return Places(items, cells, rows, verbatim, _lines(page, chosen, cells, rows, verbatim))


@njit(cache=True)
def _lines(page, chosen, cells, rows, verbatim):  # type: ignore[no-untyped-def]
    """A row is a line if two of its cells or more have text, each a few blocks, no heading, nothing preformatted."""
    nodes = page.tree.nodes
    in_cell, in_row = np.zeros(len(nodes), np.int32), np.zeros(len(nodes), np.int32)
    breaks = np.zeros(len(nodes), np.bool_)
    for b in range(len(chosen)):
        i = page.blocks[b].element
        if not chosen[b] or rows[i] < 0:
            continue
        cell = cells[i] if cells[i] >= 0 else rows[i]
        in_row[rows[i]] += in_cell[cell] == 0
        in_cell[cell] += 1
        if in_cell[cell] > _MOST_BLOCKS or RULES[nodes[i].tag] & HEADING or verbatim[i] >= 0:
            breaks[rows[i]] = True
    return (in_row >= 2) & ~breaks
