"""Text that a browser shows in two dimensions, rewritten as lines before the chosen blocks are written.

    10<sup>6</sup>, <math>…         formulas and raised text get marks (`raised`, `formulas`)
    Bread<a href="#bread">¶</a>     links of headings to themselves lose their signs (`anchors`)
    <td class="gutter">1…           listings lose their line numbers and keep their indents (`listings`)
    中文<b>中</b>⏎文                line ends between wide characters are no spaces

The result is a page for the writers: the same blocks, in a tree whose text nodes may point to new bytes after those of
the page. Features are computed before, on the page as it is. A page that has none of these costs one look at its nodes.
"""

import numpy as np

from cleaners.extraction.anchors import drop_anchors, has_anchors
from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.features.page import ParsedPage
from cleaners.extraction.formulas import MAX_BYTES_ADDED as MAX_BYTES_A_NODE
from cleaners.extraction.formulas import has_tex, write_formula
from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import FORMULA, PREFORMATTED, SPACE, Tree
from cleaners.extraction.html.tags import VERBATIM
from cleaners.extraction.html.text import max_text_bytes, write_node
from cleaners.extraction.html.tokenizer import is_letter, is_space
from cleaners.extraction.html.wide import line_end_is_dropped
from cleaners.extraction.listings import has_listings, rewrite_listings
from cleaners.extraction.raised import CARET_BRACKETS, LOW_LINE_BRACKETS, PLAIN, PREFIXES, SUFFIXES, mark_of
from shards.compiled import kernel

_NEWLINE, _RETURN, _BLANK, _SLASH = map(ord, "\n\r /")
_FRACTION_SLASH = np.frombuffer("\u2044".encode(), np.uint8)


@kernel
def rewritten(data, page, chosen):
    """(bytes, `ParsedPage`, chosen) for `write_plain_text` and `formatted_text`: the given ones if all text is flat.

    The bytes begin with those of the page.
    """
    has_owners, has_code = False, has_listings(data, page, chosen)
    for node in page.tree.nodes:
        has_owners |= node.tag == tags.SUP or node.tag == tags.SUB or node.tag == tags.MATH
    has_signs = has_anchors(data, page, chosen)
    if not (has_owners or has_code or has_signs or _has_line_ends(data, page, chosen)):
        return data, page, chosen
    nodes, chosen = page.tree.nodes.copy(), chosen.copy()
    tree = Tree(nodes, page.tree.attributes)
    tokens = (page.tokens, page.token_offsets, page.alike, page.signatures)
    page = ParsedPage(tree, page.blocks, page.texts, page.measured, *tokens)
    out = np.empty(3 * len(data) + (MAX_BYTES_A_NODE + 8) * len(nodes) + 64, np.uint8)
    out[: len(data)] = data
    at = np.int64(len(data))
    if has_signs:
        drop_anchors(data, page, chosen)
    if has_owners:
        at = _rewrite_lines(data, page, chosen, out, at)
    if has_code:
        at = rewrite_listings(data, page, chosen, out, at)
    _drop_line_ends(page, chosen, out)
    return out[:at], page, chosen


@kernel
def _rewrite_lines(data, page, chosen, out, at):
    """Rewrite the formulas and the raised and lowered text of the chosen blocks."""
    nodes = page.tree.nodes
    owners = np.full(len(nodes), -1, np.int32)  # the outermost <math> around each node, else <sup> or <sub>
    for i in range(1, len(nodes)):
        tag, owner = nodes[i].tag, owners[nodes[i].parent]
        is_owner = tag in (tags.SUP, tags.SUB, tags.MATH) if owner < 0 else tag == tags.MATH != nodes[owner].tag
        owners[i] = i if is_owner else owner
    is_written = np.zeros(len(nodes), np.bool_)  # of formulas
    for b in range(len(chosen)):
        if chosen[b]:
            first, end = np.int64(page.blocks[b].first), np.int64(page.blocks[b].end)
            has_owner = False
            for t in range(first, end):
                has_owner |= owners[page.texts[t]] >= 0
            if has_owner:
                at = _rewrite_line(data, page, first, end, owners, is_written, out, at)
    return at


@kernel
def _rewrite_line(data, page, first, end, owners, is_written, out, at):
    nodes, texts = page.tree.nodes, page.texts
    line, ends = _line(data, nodes, texts[first:end])
    t = first
    while t < end:
        owner, after = np.int64(owners[texts[t]]), t + 1
        while after < end and owners[texts[after]] == owner:
            after += 1
        start, stop = ends[t - first], ends[after - first]
        if owner >= 0 and nodes[owner].tag == tags.MATH:
            at = _rewrite_formula(data, page, t, after, end, owner, is_written, line, (start, stop), out, at)
        elif owner >= 0:
            is_raised = nodes[owner].tag == tags.SUP
            is_numerator = is_raised and _is_over(nodes, texts[after:end], owners, line, ends[after - first :])
            link = nodes[texts[t]].link
            has_own_link = link >= 0 and (t == first or nodes[texts[t - 1]].link != link)
            start += nodes[texts[t]].flags & SPACE != 0 and start < stop and is_space(line[start])
            goes_on = after < end and owners[texts[after]] < 0
            mark = mark_of(line, start, stop, ends[-1] if goes_on else stop, is_raised, is_numerator, has_own_link)
            if mark != PLAIN:
                at = _enclose(nodes, texts[t], PREFIXES[mark], np.uint8(0), out, at)
                at = _enclose(nodes, texts[after - 1], PREFIXES[PLAIN], SUFFIXES[mark], out, at)
        t = after
    return at


@kernel
def _line(data, nodes, texts):
    """(UTF-8 of a block, its position before each text node and at the end)."""
    room = np.int64(8)
    for node in texts:
        room += max_text_bytes(nodes[node].end - nodes[node].start) + 2
    line, ends = np.empty(room, np.uint8), np.zeros(len(texts) + 1, np.int64)
    at = 0
    for t in range(len(texts)):
        if t:
            for k in range(texts[t - 1] + 1, texts[t]):
                if nodes[k].tag == tags.BR and at and line[at - 1] != _NEWLINE:
                    line[at] = _NEWLINE
                    at += 1
        ends[t] = at
        at = write_node(data, nodes, texts[t], line, 0, at)
    ends[-1] = at
    return line[:at], ends


@kernel
def _is_over(nodes, texts, owners, line, ends):
    """Whether the text goes on with a slash alone and then lowered text."""
    if len(texts) < 2 or owners[texts[0]] >= 0 or owners[texts[1]] < 0 or nodes[owners[texts[1]]].tag != tags.SUB:
        return False
    slash = line[ends[0] : ends[1]]
    return (len(slash) == 1 and slash[0] == _SLASH) or (len(slash) == 3 and np.all(slash == _FRACTION_SLASH))


@kernel
def _enclose(nodes, node, prefix, suffix, out, at):
    """Write the bytes of a text node again, between two marks that are 0 for none."""
    start, end = nodes[node].start, nodes[node].end
    begin = at
    for byte in prefix:
        out[at] = byte
        at += byte != 0
    while at > begin and start < end and is_space(out[start]):
        start += 1
    while suffix and end > start and is_space(out[end - 1]):
        end -= 1
    out[at : at + end - start] = out[start:end]
    at += end - start
    out[at] = suffix
    at += suffix != 0
    nodes[node].start, nodes[node].end = begin, at
    return at


@kernel
def _rewrite_formula(data, page, t, after, end, math, is_written, line, ends, out, at):
    """Let the first of the text nodes texts[t:after] hold the whole formula, with a blank where it runs into a digit.

    `ends` are the positions in `line` before the formula and after it. White space in its element is none of the line.
    """
    nodes, texts = page.tree.nodes, page.texts
    at += 1
    begin = at
    if not is_written[math]:
        is_written[math] = True
        around = nodes[nodes[math].parent].tag
        if around == tags.SUP or around == tags.SUB:
            out[at], out[at + 1] = PREFIXES[CARET_BRACKETS if around == tags.SUP else LOW_LINE_BRACKETS]
            at = write_formula(data, page.tree, math, out, at + 2)
            out[at] = SUFFIXES[CARET_BRACKETS]
            at += 1
        else:
            at = write_formula(data, page.tree, math, out, at)
            if has_tex(data, nodes, math):
                nodes[texts[t]].flags |= FORMULA
    if at > begin and ends[0] and _is_digit(out[begin]) and _is_alphanumeric(line[ends[0] - 1]):
        begin -= 1
        out[begin] = _BLANK
    if at > begin and ends[1] < len(line) and _is_digit(out[at - 1]) and _is_digit(line[ends[1]]):
        out[at] = _BLANK
        at += 1
    if after < end and nodes[texts[after]].start == nodes[math].end:
        nodes[texts[after]].flags &= ~SPACE
    if t and nodes[texts[t - 1]].end == nodes[math].start:
        nodes[texts[t]].flags &= ~SPACE
    for k in range(t, after):
        nodes[texts[k]].start = nodes[texts[k]].end = begin
        nodes[texts[k]].tag = VERBATIM
        nodes[texts[k]].flags &= ~PREFORMATTED if k == t else ~(SPACE | PREFORMATTED)
    nodes[texts[t]].end = at
    return at


@kernel
def _has_line_ends(data, page, chosen):
    """Whether a line of the page ends between two text nodes whose characters drop it."""
    data, page = borrowed(data), borrowed(page)
    nodes, texts = page.tree.nodes, page.texts
    for b in range(len(chosen)):
        if chosen[b]:
            for t in range(page.blocks[b].first + 1, page.blocks[b].end):
                if _line_end(data, nodes, texts[t - 1], texts[t])[0] >= 0:
                    return True
    return False


@kernel
def _drop_line_ends(page, chosen, out):
    nodes, texts = page.tree.nodes, page.texts
    for b in range(len(chosen)):
        if chosen[b]:
            for t in range(page.blocks[b].first + 1, page.blocks[b].end):
                end, start = _line_end(out, nodes, texts[t - 1], texts[t])
                if end >= 0:
                    nodes[texts[t - 1]].end, nodes[texts[t]].start = end, start
                    nodes[texts[t]].flags &= ~SPACE


@kernel
def _line_end(text, nodes, one, other):
    """(end of the text before, begin of the text after) a line end that is no space, or (-1, -1).

    It stands at the end of the one text node or at the begin of the other. One alone between two elements may set apart
    what their styles set apart, as a name and a date, and stays a space.
    """
    end, start = np.int64(nodes[one].end), np.int64(nodes[other].start)
    ends_line = False
    while end > nodes[one].start and is_space(text[end - 1]):
        end -= 1
        ends_line = ends_line or text[end] in (_NEWLINE, _RETURN)
    while start < nodes[other].end and is_space(text[start]):
        ends_line = ends_line or text[start] in (_NEWLINE, _RETURN)
        start += 1
    is_flat = (nodes[one].flags | nodes[other].flags) & PREFORMATTED == 0
    if not ends_line or not is_flat or end == nodes[one].start or start == nodes[other].end:
        return -1, -1
    return (end, start) if line_end_is_dropped(text, end, text, start) else (-1, -1)


@kernel
def _is_digit(c):
    return 48 <= c <= 57


@kernel
def _is_alphanumeric(c):
    return _is_digit(c) or is_letter(c)
