"""The text of nodes as UTF-8: character references decoded, white space as a browser shows it.

    <p>Fish &amp;\n chips</p><pre>a\n  b</pre>      ──▶   Fish & chips ⏎ a ⏎   b ⏎

White space collapses to one space, but not in `pre` and its like; a block's ends and <br> are line ends. No-break
spaces stay.
"""

import numpy as np

from cleaners.extraction.html import tags
from cleaners.extraction.html.entities import AMPERSAND, write_reference
from cleaners.extraction.html.nodes import BREAK, PREFORMATTED, SPACE
from cleaners.extraction.html.tags import EATS_NEWLINE, NOT_SHOWN, RULES, TEXT, VERBATIM
from cleaners.extraction.html.tokenizer import is_space
from cleaners.extraction.html.tree import parse
from shards.compiled import kernel

_NEWLINE, _RETURN, _SPACE = 10, 13, 32


@kernel
def max_text_bytes(num_bytes):
    """Room for any text of so many bytes of a page: see `entities`; a line end comes from a tag, which is longer."""
    return num_bytes + num_bytes // 5 + 8


@kernel
def write_text(data, nodes, node, without, out, at):
    """Write the text of `node` and all in it to out[at:]; the new `at`. What has a flag of `without` is left out, and
    so are scripts, styles, titles and what else is no text of the page. Lines are not empty, and the last one ends."""
    begin = at
    left_out = 0  # marks of text left out, which the next text inherits: <p>a</p><b hidden>b</b>c
    i = node
    while i < nodes[node].behind:
        tag = nodes[i].tag
        if nodes[i].flags & without or (RULES[tag] & NOT_SHOWN and i != node):
            for k in range(i, nodes[i].behind):
                left_out |= nodes[k].flags * (nodes[k].tag == TEXT)
            i = nodes[i].behind
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
    """Write text node `i` behind out[begin:at], which is the text before it; the new `at`."""
    flags = nodes[i].flags
    start, end = nodes[i].start, nodes[i].end
    if flags & PREFORMATTED:
        if i and nodes[i].parent == i - 1 and RULES[nodes[i - 1].tag] & EATS_NEWLINE:
            start += start + 1 < end and data[start] == _RETURN and data[start + 1] == _NEWLINE
            start += start < end and (data[start] == _NEWLINE or data[start] == _RETURN)
        return decode(data, start, end, nodes[i].tag == TEXT, False, out, at)
    if flags & SPACE:
        at = _space(out, begin, at)
    k = start
    while k < end:
        c = data[k]
        if is_space(c):
            at = _space(out, begin, at)
            k += 1
        elif c == AMPERSAND and nodes[i].tag == TEXT:
            k, behind = write_reference(data, k, end, False, out, at)
            at = _space(out, begin, at) if behind == at + 1 and is_space(out[at]) else behind  # "&#10;" collapses too
        else:
            if c:
                out[at] = c
                at += 1
            k += 1
    return at


@kernel
def decode(data, start, end, has_references, in_attribute, out, at):
    """Write data[start:end] as it stands but for character references, line ends (all become "\\n") and NUL (left out);
    the new `at`. This is the value of an attribute, with `in_attribute`."""
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


@kernel
def page_texts(data, offsets, without):
    """(UTF-8, offsets) of the whole text of each page data[offsets[r]:offsets[r + 1]]: Arrow's large_binary in and out,
    and the example of how a batch of pages is walked."""
    out = np.empty(max_text_bytes(offsets[-1] - offsets[0]) + 8 * len(offsets), np.uint8)
    ends = np.zeros(len(offsets), np.int64)
    for row in range(len(offsets) - 1):
        page = data[offsets[row] : offsets[row + 1]]
        ends[row + 1] = write_text(page, parse(page).nodes, 0, without, out, ends[row])
    return out[: ends[-1]], ends


@kernel
def _space(out, begin, at):
    """One space, unless the line is empty or has one already."""
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
