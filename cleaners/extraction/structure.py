"""The layout of blocks: their items of lists, rows and cells of tables, and preformatted text."""

from typing import NamedTuple

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.nodes import attribute_of
from cleaners.extraction.html.tags import HEADING, PREFORMATTED_TAG, RULES, TAGS, TEXT, VERBATIM
from shards.compiled import kernel

MAX_COLUMNS = 63  # columns that are told apart: bits of a mask
_TD, _TH, _TEXTAREA = (TAGS[name] for name in "td th textarea".split())
_MAX_BLOCKS = 4  # of a cell in a row that is a line; a table with longer cells is there for its layout
_MAX_TABLES = 16  # within each other
_NONE = -1


class Layout(NamedTuple):
    """The nearest elements around each node, int32[nodes] each, -1 without."""

    items: np.ndarray  # <li>
    cells: np.ndarray  # <td>, <th>
    rows: np.ndarray  # <tr>
    tables: np.ndarray  # <table>, 0 without
    verbatim: np.ndarray  # <pre> and similar elements
    is_line: np.ndarray  # bool[nodes]: of rows, whether their cells stand on one line
    columns: np.ndarray  # of cells in such rows: their column, among those of their table that have text


@kernel
def layout_of(data, page, chosen):
    """The `Layout` of a page, of which bool[blocks] are `chosen`."""
    data, page, chosen = borrowed(data), borrowed(page), borrowed(chosen)
    nodes = page.tree.nodes
    number = len(nodes)
    items, cells = np.full(number, _NONE, np.int32), np.full(number, _NONE, np.int32)
    rows, verbatim = np.full(number, _NONE, np.int32), np.full(number, _NONE, np.int32)
    tables = np.zeros(number, np.int32)
    has_rows = False
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
            has_rows = True
        elif tag == tags.TABLE:
            tables[i] = i
            cells[i] = rows[i] = _NONE
        elif RULES[tag] & PREFORMATTED_TAG and tag != _TEXTAREA:
            verbatim[i] = i
    columns = _columns(data, page) if has_rows else np.zeros(number, np.int32)
    layout = Layout(items, cells, rows, tables, verbatim, np.zeros(number, np.bool_), columns)
    if has_rows:
        _mark_lines(page, chosen, layout)
        _leave_out_empty(page, chosen, layout)
    return layout


@kernel
def _mark_lines(page, chosen, layout):
    """Set `is_line` of rows.

    A row is a line if at least two of its cells have text, each a few blocks without headings and preformatted text.
    After such a row in its table, a row with a single block is a line too.
    """
    nodes, rows = page.tree.nodes, layout.rows
    in_cell, in_row = np.zeros(len(nodes), np.int32), np.zeros(len(nodes), np.int32)
    blocks = np.zeros(len(nodes), np.int32)
    breaks, has_line = np.zeros(len(nodes), np.bool_), np.zeros(len(nodes), np.bool_)
    for b in range(len(chosen)):
        i = page.blocks[b].element
        if not chosen[b] or rows[i] < 0:
            continue
        cell = layout.cells[i] if layout.cells[i] >= 0 else rows[i]
        in_row[rows[i]] += in_cell[cell] == 0
        in_cell[cell] += 1
        blocks[rows[i]] += 1
        if in_cell[cell] > _MAX_BLOCKS or RULES[nodes[i].tag] & HEADING or layout.verbatim[i] >= 0:
            breaks[rows[i]] = True
    for i in range(1, len(nodes)):
        if in_row[i] and not breaks[i]:
            layout.is_line[i] = in_row[i] > 1 or (blocks[i] == 1 and has_line[layout.tables[i]])
            has_line[layout.tables[i]] |= layout.is_line[i]


@kernel
def _columns(data, page):
    """int32[nodes]: the column in which a cell begins, by the cells before it and the `rowspan` of those above."""
    nodes = page.tree.nodes
    columns, depth = np.zeros(len(nodes), np.int32), np.zeros(len(nodes), np.int32)
    next_column = np.zeros(_MAX_TABLES, np.int32)
    taken = np.zeros((_MAX_TABLES, MAX_COLUMNS + 1), np.int32)  # rows down to which a column is taken
    for i in range(1, len(nodes)):
        tag = nodes[i].tag
        depth[i] = depth[nodes[i].parent] + (tag == tags.TABLE)
        if tag not in (tags.TABLE, tags.TR, _TD, _TH) or depth[i] >= _MAX_TABLES:
            continue
        free = taken[depth[i]]
        if tag == tags.TABLE:
            free[:] = 0
        elif tag == tags.TR:
            next_column[depth[i]] = 0
            for column in range(len(free)):
                free[column] = max(free[column] - 1, 0)
        else:
            column = next_column[depth[i]]
            while column < MAX_COLUMNS and free[column]:
                column += 1
            after = min(column + _span(data, page, i, attributes.COLSPAN), MAX_COLUMNS)
            free[column:after] = _span(data, page, i, attributes.ROWSPAN)
            columns[i] = column
            next_column[depth[i]] = after
    return columns


@kernel
def _span(data, page, node, name):
    """The number that an attribute holds, or 1."""
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
def _leave_out_empty(page, chosen, layout):
    """Number the columns without those that no line of their table fills, such as spacers and check boxes."""
    cells, rows, tables, columns = layout.cells, layout.rows, layout.tables, layout.columns
    filled = np.zeros(len(columns), np.uint64)  # of tables: a bit a column
    for b in range(len(chosen)):
        i = page.blocks[b].element
        if chosen[b] and rows[i] >= 0 and layout.is_line[rows[i]] and cells[i] >= 0:
            filled[tables[i]] |= np.uint64(1) << np.uint64(columns[cells[i]])
    for i in range(1, len(columns)):
        if cells[i] == i:
            column = 0
            for k in range(columns[i]):
                column += (filled[tables[i]] >> np.uint64(k)) & np.uint64(1)
            columns[i] = column
