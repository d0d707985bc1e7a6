"""Listings of programs as their authors wrote them: without line numbers, with their line ends and indents.

Programs that colour code write it in many ways: `pre`, or rows of a table, or a <div> for each line whose style sheet
keeps the white space. A listing becomes a `pre` here, whatever it was, and its `line_numbers` lose their text.
"""

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.code_names import FRAGMENT, LINE, LISTING, SPACED, finds, meaning_of
from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.between import write_blanks
from cleaners.extraction.html.nodes import PREFORMATTED, SPACE, attribute_of
from cleaners.extraction.html.tags import PREFORMATTED_TAG, RULES, TEXT, VERBATIM
from cleaners.extraction.html.text import write_raw
from cleaners.extraction.line_numbers import line_numbers
from shards.compiled import kernel

_MAX_CLIMB = 8  # elements from a line up to its listing
_TEXTAREA = tags.TAGS["textarea"]
_IS_TABLE_PART = np.zeros(tags.NUM_TAGS, np.bool_)
_IS_TABLE_PART[[tags.TAGS[name] for name in "thead tbody tfoot tr td th".split()]] = True
_WHITE_SPACE, _PRE, _BREAK_SPACES = (
    np.frombuffer(text, np.uint8) for text in (b"white-space:", b"pre", b"break-spaces")
)
_NOTHING = np.zeros(0, np.uint8)
_MONOSPACE = tuple(np.frombuffer(text, np.uint8) for text in (b"mono", b"courier", b"consolas", b"menlo"))
_NEWLINE, _BLANK, _NO_BREAK_SPACE = 10, 32, np.frombuffer("\xa0".encode(), np.uint8)


@kernel
def has_listings(data, page, chosen):
    """Whether a chosen block stands in a `pre` or in another listing."""
    data, page = borrowed(data), borrowed(page)
    nodes = page.tree.nodes
    is_none = np.zeros(len(nodes), np.bool_)  # of elements around lines before: blocks share most of these
    for b in range(len(chosen)):
        if chosen[b]:
            i = np.int64(page.texts[page.blocks[b].first])
            if nodes[i].flags & PREFORMATTED:
                return True
            for _ in range(_MAX_CLIMB):
                i = np.int64(nodes[i].parent)
                if i < 1:
                    break
                if not is_none[i] and _is_listing(data, page, i):
                    return True
                is_none[i] = True
    return False


@kernel
def rewrite_listings(data, page, chosen, out, at):
    """Make each listing of the chosen blocks a `pre` in the tree of `page`; write its lines to out[at:]."""
    nodes = page.tree.nodes
    roots = _roots(data, page)
    numbers = line_numbers(out, page, roots)  # text that was rewritten before stands in `out`
    ends = nodes["end"].copy()
    for b in range(len(chosen)):
        if not chosen[b]:
            continue
        first, end = page.blocks[b].first, page.blocks[b].end
        is_empty = True
        for node in page.texts[first:end]:
            if numbers[node]:
                nodes[node].start = nodes[node].end
                nodes[node].flags &= ~SPACE
            is_empty = is_empty and numbers[node]
        if is_empty:
            chosen[b] = False
        elif roots[page.texts[first]] >= 0 and not nodes[page.texts[first]].flags & PREFORMATTED:
            keeps_blanks = meaning_of(page, roots[page.texts[first]]) & SPACED == 0
            at = _rewrite_line(data, page, b, keeps_blanks, numbers, ends, out, at)
    for i in range(1, len(nodes)):
        if roots[i] == i:
            nodes[i].tag = tags.PRE
        elif roots[i] >= 0 and (nodes[i].tag in (tags.TABLE, tags.LI) or _IS_TABLE_PART[nodes[i].tag]):
            nodes[i].tag = tags.DIV  # neither items nor cells
    return at


@kernel(inline="always")
def _is_listing(data, page, i):
    """Whether the element `i`, no `pre`, is named or styled as a listing or as a line of one."""
    nodes = page.tree.nodes
    meaning = meaning_of(page, i)
    if meaning & FRAGMENT:
        first = i + 1
        while first < nodes[i].after and nodes[first].tag in (TEXT, VERBATIM):
            first += 1
        return first < nodes[i].after and meaning_of(page, first) & LINE != 0
    return meaning & (LISTING | SPACED) != 0 or (nodes[i].tag in (tags.CODE, tags.DIV) and _keeps_blanks(data, page, i))


@kernel
def _keeps_blanks(data, page, i):
    """Whether the style of an element keeps white space, and that of code: editors copy code so."""
    k = attribute_of(page.tree, i, attributes.STYLE)
    if k < 0:
        return False
    start, end = page.tree.attributes[k].start, page.tree.attributes[k].end
    keeps = finds(data, start, end, _WHITE_SPACE, _PRE) or finds(data, start, end, _WHITE_SPACE, _BREAK_SPACES)
    if not keeps or page.tree.nodes[i].tag == tags.CODE:
        return keeps
    is_monospace = False
    for name in _MONOSPACE:
        is_monospace = is_monospace or finds(data, start, end, name, _NOTHING)
    return is_monospace


@kernel
def _roots(data, page):
    """int32[nodes]: the outermost listing around each node, or -1. With cells named for code, their table is one."""
    data, page = borrowed(data), borrowed(page)
    nodes = page.tree.nodes
    is_root = np.zeros(len(nodes), np.bool_)
    for i in range(1, len(nodes)):
        tag = nodes[i].tag
        if tag in (TEXT, VERBATIM):
            continue
        if RULES[tag] & PREFORMATTED_TAG:
            is_root[i] = tag != _TEXTAREA
        elif _is_listing(data, page, i):
            root = np.int64(i)
            while _IS_TABLE_PART[nodes[root].tag]:
                root = np.int64(nodes[root].parent)
            is_root[root if nodes[root].tag == tags.TABLE else i] = True
    roots = np.full(len(nodes), -1, np.int32)
    for i in range(1, len(nodes)):
        around = roots[nodes[i].parent]
        roots[i] = around if around >= 0 or not is_root[i] else i
    return roots


@kernel
def _rewrite_line(data, page, b, keeps_blanks, numbers, ends, out, at):
    """Write the text nodes of a block with the blanks before them, and with blanks for no-break spaces.

    `ends` are the ends of all nodes before any was rewritten.
    """
    nodes, texts = page.tree.nodes, page.texts
    first, line = page.blocks[b].first, at
    after = nodes[page.blocks[b].element].start
    if first:
        after = max(after, ends[texts[first - 1]])
    for t in range(first, page.blocks[b].end):
        node = texts[t]
        start, end = nodes[node].start, nodes[node].end
        if not numbers[node] and end <= len(data):
            begin = at
            if keeps_blanks:
                at = write_blanks(data, after, start, out, at)
            elif at > line and nodes[node].flags & SPACE:
                out[at] = _BLANK
                at += 1
            stop = write_raw(data, start, end, nodes[node].tag == TEXT, False, out, at)
            at = _with_plain_blanks(out, begin, stop, begin == line)
            nodes[node].start, nodes[node].end = begin, at
            nodes[node].tag = VERBATIM
            nodes[node].flags = (nodes[node].flags | PREFORMATTED) & ~SPACE
        after = ends[node]
    return at


@kernel
def _with_plain_blanks(out, begin, end, is_first):
    """Turn no-break spaces in out[begin:end] into blanks; return the new end. A first text begins with no line end."""
    at = k = begin
    while k < end:
        is_wide = k + 1 < end and out[k] == _NO_BREAK_SPACE[0] and out[k + 1] == _NO_BREAK_SPACE[1]
        c = np.uint8(_BLANK) if is_wide else out[k]
        k += 1 + is_wide
        if not (is_first and at == begin and c == _NEWLINE):
            out[at] = c
            at += 1
    return at
