"""Where blocks stand: in which item of a list, row and cell of a table, and preformatted text."""

from typing import NamedTuple

import numpy as np

from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.nodes import attribute_of
from cleaners.extraction.html.tags import HEADING, PREFORMATTED_TAG, RULES, TAGS, TEXT, VERBATIM
from shards.compiled import kernel

_TD, _TH, _TEXTAREA = (TAGS[name] for name in "td th textarea".split())
_MOST_BLOCKS = 4  # of a cell in a row that is a line: with more, the table is there for its layout
MOST_COLUMNS = 63  # that are told apart: bits of a mask
_MOST_TABLES = 16  # within each other
_NONE = -1


class Places(NamedTuple):
    """Of each node the nearest element around it, or -1."""

    items: np.ndarray  # int32[nodes]: <li>
    cells: np.ndarray  # <td>, <th>
    rows: np.ndarray  # <tr>
    tables: np.ndarray  # or 0
    verbatim: np.ndarray  # <pre> and its like
    is_line: np.ndarray  # bool[nodes]: of rows, whether their cells stand on one line
    columns: np.ndarray  # int32[nodes]: of cells in such rows, among the columns of their table that have text


@kernel
def places_of(data, page, chosen):
    nodes = page.tree.nodes
    number = len(nodes)
    items, cells = np.full(number, _NONE, np.int32), np.full(number, _NONE, np.int32)
    rows, verbatim = np.full(number, _NONE, np.int32), np.full(number, _NONE, np.int32)
    tables = np.zeros(number, np.int32)
    for i in range(1, number):
        tag, p = nodes[i].tag, nodes[i].parent
        items[i], cells[i], rows[i], tables[i], verbatim[i] = items[p], cells[p], rows[p], tables[p], verbatim[p]
        if tag in (TEXT, VERBATIM):
            continue
        if tag == tags.LI:
            items[i] = i
        elif tag in (_TD, _TH):
            cells[i] = i
            items[i] = _NONE
        elif tag == tags.TR:
            rows[i] = i
            cells[i] = _NONE
        elif tag == tags.TABLE:
            tables[i] = i
            cells[i] = rows[i] = _NONE
        elif RULES[tag] & PREFORMATTED_TAG and tag != _TEXTAREA:
            verbatim[i] = i
    is_line = _lines(page, chosen, cells, rows, tables, verbatim)
    columns = _columns(data, page)
    _leave_out_empty(page, chosen, cells, rows, tables, is_line, columns)
    return Places(items, cells, rows, tables, verbatim, is_line, columns)


@kernel
def _lines(page, chosen, cells, rows, tables, verbatim):
    """A row is a line if two of its cells or more have text, each a few blocks, no heading, nothing preformatted. Below
    such a row, one with a single block is a line too."""
    nodes = page.tree.nodes
    in_cell, in_row = np.zeros(len(nodes), np.int32), np.zeros(len(nodes), np.int32)
    blocks = np.zeros(len(nodes), np.int32)
    breaks, has_line = np.zeros(len(nodes), np.bool_), np.zeros(len(nodes), np.bool_)
    for b in range(len(chosen)):
        i = page.blocks[b].element
        if not chosen[b] or rows[i] < 0:
            continue
        cell = cells[i] if cells[i] >= 0 else rows[i]
        in_row[rows[i]] += in_cell[cell] == 0
        in_cell[cell] += 1
        blocks[rows[i]] += 1
        if in_cell[cell] > _MOST_BLOCKS or RULES[nodes[i].tag] & HEADING or verbatim[i] >= 0:
            breaks[rows[i]] = True
    is_line = np.zeros(len(nodes), np.bool_)
    for i in range(1, len(nodes)):
        if in_row[i] and not breaks[i]:
            is_line[i] = in_row[i] > 1 or (blocks[i] == 1 and has_line[tables[i]])
            has_line[tables[i]] |= is_line[i]
    return is_line


@kernel
def _columns(data, page):
    """int32[nodes]: the column in which a cell begins, by the cells before it and `rowspan` above it."""
    nodes = page.tree.nodes
    columns, depth = np.zeros(len(nodes), np.int32), np.zeros(len(nodes), np.int32)
    here = np.zeros(_MOST_TABLES, np.int32)
    taken = np.zeros((_MOST_TABLES, MOST_COLUMNS + 1), np.int32)  # rows down to which a column is taken
    for i in range(1, len(nodes)):
        tag = nodes[i].tag
        depth[i] = depth[nodes[i].parent] + (tag == tags.TABLE)
        if tag not in (tags.TABLE, tags.TR, _TD, _TH) or depth[i] >= _MOST_TABLES:
            continue
        free = taken[depth[i]]
        if tag == tags.TABLE:
            free[:] = 0
        elif tag == tags.TR:
            here[depth[i]] = 0
            for column in range(len(free)):
                free[column] = max(free[column] - 1, 0)
        else:
            column = here[depth[i]]
            while column < MOST_COLUMNS and free[column]:
                column += 1
            behind = min(column + _span(data, page, i, attributes.COLSPAN), MOST_COLUMNS)
            free[column:behind] = _span(data, page, i, attributes.ROWSPAN)
            columns[i] = column
            here[depth[i]] = behind
    return columns


@kernel
def _span(data, page, node, name):
    """Number that an attribute says, or 1."""
    k = attribute_of(page.tree, node, name)
    number = 0
    if k >= 0:
        start = page.tree.attributes[k].start
        for at in range(start, min(page.tree.attributes[k].end, start + 4)):
            if not 48 <= data[at] <= 57:
                break
            number = 10 * number + data[at] - 48
    return max(number, 1)


@kernel
def _leave_out_empty(page, chosen, cells, rows, tables, is_line, columns):
    """Number the columns without those that no line of their table fills: layout, boxes to tick."""
    filled = np.zeros(len(columns), np.uint64)  # of tables: a bit a column
    for b in range(len(chosen)):
        i = page.blocks[b].element
        if chosen[b] and rows[i] >= 0 and is_line[rows[i]] and cells[i] >= 0:
            filled[tables[i]] |= np.uint64(1) << np.uint64(columns[cells[i]])
    for i in range(1, len(columns)):
        if cells[i] == i:
            column = 0
            for k in range(columns[i]):
                column += (filled[tables[i]] >> np.uint64(k)) & np.uint64(1)
            columns[i] = column
