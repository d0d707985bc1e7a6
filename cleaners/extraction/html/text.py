"""The text of nodes as UTF-8: character references are decoded, white space is as a browser shows it.

    <p>Fish &amp;\n chips</p><pre>a\n  b</pre>      ──▶   Fish & chips ⏎ a ⏎   b ⏎

White space collapses to one space, except in `pre` and similar elements, and to none where it ends a line between wide
characters (`wide`). Lines end at <br> and where a block begins or ends. No-break spaces stay.
"""

import numpy as np

from cleaners.extraction.html import tags
from cleaners.extraction.html.entities import AMPERSAND, write_reference
from cleaners.extraction.html.nodes import BREAK, PREFORMATTED, SPACE
from cleaners.extraction.html.tags import EATS_NEWLINE, NOT_SHOWN, RULES, TEXT, VERBATIM
from cleaners.extraction.html.tokenizer import is_space
from cleaners.extraction.html.wide import line_end_is_dropped
from shards.compiled import kernel

_NEWLINE, _RETURN, _SPACE = 10, 13, 32
_IS_PLAIN = np.ones(256, np.bool_)  # of bytes: written as they are
_IS_PLAIN[[*b" \t\n\r\f&\0"]] = False


@kernel
def max_text_bytes(num_bytes):
    """The greatest length of the text of `num_bytes` of a page (see `entities`). A line end is shorter than its tag."""
    return num_bytes + num_bytes // 5 + 8


@kernel
def write_text(data, nodes, node, without, out, at):
    """Write the text of `node` and all in it to out[at:]; return the new `at`.

    Nodes with a flag of `without` are left out, and so are scripts, styles, titles and other elements that hold no text
    of the page. No line is empty, and the last one has a line end.
    """
    begin = at
    left_out = 0  # flags of text left out, which the next text inherits: <p>a</p><b hidden>b</b>c
    i = node
    while i < nodes[node].after:
        tag = nodes[i].tag
        if nodes[i].flags & without or (RULES[tag] & NOT_SHOWN and i != node):
            for k in range(i, nodes[i].after):
                left_out |= nodes[k].flags * (nodes[k].tag == TEXT)
            i = nodes[i].after
            continue
        if tag == tags.BR or tag == tags.HR:
            at = _end_line(out, begin, at)
        elif tag in (TEXT, VERBATIM):
            if (nodes[i].flags | left_out) & BREAK:
                at = _end_line(out, begin, at)
            elif left_out & SPACE:
                at = _space(out, begin, at)
            left_out = 0
            at = write_node(data, nodes, i, out, begin, at)
        i += 1
    return _end_line(out, begin, at)


@kernel
def write_node(data, nodes, i, out, begin, at):
    """Write text node `i` after out[begin:at], the text before it; return the new `at`.

    Line ends are dropped between wide characters of the node itself. `rewriting` drops those between two nodes.
    """
    flags = nodes[i].flags
    start, end = nodes[i].start, nodes[i].end
    if flags & PREFORMATTED:
        if i and nodes[i].parent == i - 1 and RULES[nodes[i - 1].tag] & EATS_NEWLINE:
            start += start + 1 < end and data[start] == _RETURN and data[start + 1] == _NEWLINE
            start += start < end and (data[start] == _NEWLINE or data[start] == _RETURN)
        return write_raw(data, start, end, nodes[i].tag == TEXT, False, out, at)
    if flags & SPACE:
        at = _space(out, begin, at)
    first, k = at, start
    while k < end:
        while k < end and _IS_PLAIN[data[k]]:
            out[at] = data[k]
            at += 1
            k += 1
        if k == end:
            break
        c = data[k]
        if is_space(c):
            ends_line = False
            while k < end and is_space(data[k]):
                ends_line |= data[k] == _NEWLINE or data[k] == _RETURN
                k += 1
            if not (ends_line and at > first and k < end and line_end_is_dropped(out, at, data, k)):
                at = _space(out, begin, at)
        elif c == AMPERSAND and nodes[i].tag == TEXT:
            k, after = write_reference(data, k, end, False, out, at)
            at = _space(out, begin, at) if after == at + 1 and is_space(out[at]) else after  # "&#10;" collapses too
        else:
            if c:
                out[at] = c
                at += 1
            k += 1
    return at


@kernel
def write_raw(data, start, end, has_references, in_attribute, out, at):
    """Write data[start:end] to out[at:] with its white space; return the new `at`.

    Character references are decoded if it `has_references`, every line end becomes "\\n", and NUL is left out. With
    `in_attribute` it is the value of an attribute.
    """
    k = start
    while k < end:
        c = data[k]
        if c == AMPERSAND and has_references:
            k, at = write_reference(data, k, end, in_attribute, out, at)
            continue
        if c == _RETURN:
            if not (k + 1 < end and data[k + 1] == _NEWLINE):
                out[at] = _NEWLINE
                at += 1
        elif c:
            out[at] = c
            at += 1
        k += 1
    return at


@kernel(inline="always")
def _space(out, begin, at):
    """Write a space, unless the line is empty or ends in white space."""
    if at == begin or is_space(out[at - 1]):
        return at
    out[at] = _SPACE
    return at + 1


@kernel
def _end_line(out, begin, at):
    while at > begin and out[at - 1] == _SPACE:
        at -= 1
    if at == begin or out[at - 1] == _NEWLINE:
        return at
    out[at] = _NEWLINE
    return at + 1
