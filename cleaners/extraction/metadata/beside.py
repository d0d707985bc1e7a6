"""The lines beside the heading of a page, where news and blogs name author and date without any markup."""

import numpy as np

from cleaners.extraction.html.nodes import BREAK, HIDDEN, IN_NOSCRIPT, IN_TEMPLATE, Tree
from cleaners.extraction.html.tags import NOT_SHOWN, RULES, TEXT
from cleaners.extraction.html.text import max_text_bytes, write_node
from shards.compiled import kernel

_NEWLINE, _SPACE = 10, 32
_NODES_BEFORE, _NODES_AFTER = 40, 200
_LINES_BEFORE, _LINES_AFTER = 4, 14
_MAX_NODE_BYTES = 400  # of a text that may name an author or a date; longer ones are paragraphs
_MAX_LINE_CHARS = 150  # of such a line
_MAX_PARAGRAPHS = 3  # after which the text has begun
_MAX_BYTES = 4_000
_LEFT_OUT = HIDDEN | IN_TEMPLATE | IN_NOSCRIPT


def lines_beside(data: np.ndarray, tree: Tree, heading: int) -> list[str]:
    """The lines after the heading, the nearest first, then those before it; none without a heading (-1)."""
    if heading < 0:
        return []
    end = int(tree.nodes[heading]["after"])
    after = _lines(data, tree, end, min(end + _NODES_AFTER, len(tree.nodes)))
    before = _lines(data, tree, max(heading - _NODES_BEFORE, 0), heading)
    long = [i for i, line in enumerate(after) if len(line) > _MAX_LINE_CHARS]
    text = long[_MAX_PARAGRAPHS - 1] if len(long) >= _MAX_PARAGRAPHS else _LINES_AFTER
    lines = [*after[: min(text, _LINES_AFTER)], *before[: -_LINES_BEFORE - 1 : -1]]
    return [line for line in lines if len(line) <= _MAX_LINE_CHARS]


def _lines(data: np.ndarray, tree: Tree, begin: int, end: int) -> list[str]:
    out = np.empty(_MAX_BYTES + max_text_bytes(_MAX_NODE_BYTES) + 8, np.uint8)
    size = _write_lines(data, tree.nodes, begin, end, out)
    lines = (" ".join(line.split()) for line in out[:size].tobytes().decode("utf-8", "replace").split("\n"))
    return [line for line in lines if line]


@kernel
def _write_lines(data, nodes, begin, end, out):
    """Write the short texts of nodes[begin:end] to `out`, a line for each block; return the number of bytes.

    Texts of a line are apart: <span>Ann Lee</span><span>5 March</span> shows a gap that styles make.
    """
    at = line = 0
    paragraphs = 0
    i = begin
    while i < end and at < _MAX_BYTES and paragraphs < _MAX_PARAGRAPHS:
        if nodes[i].flags & _LEFT_OUT or RULES[nodes[i].tag] & NOT_SHOWN:
            i = max(nodes[i].after, i + 1)
            continue
        if nodes[i].tag == TEXT:
            if nodes[i].flags & BREAK:
                out[at] = _NEWLINE
                at += 1
                line = at
            elif at > line and at < len(out):
                out[at] = _SPACE
                at += 1
            if nodes[i].end - nodes[i].start <= _MAX_NODE_BYTES:
                at = write_node(data, nodes, i, out, line, at)
            else:
                paragraphs += 1
        i += 1
    return at
