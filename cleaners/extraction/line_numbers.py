"""Line numbers and prompts beside code, which are no part of it.

* Elements named for line numbers, or with `user-select: none`, that hold nothing but numbers.
* Elements whose text is the number that their attribute `data-line-number` says.
* An element of the numbers n, n + 1, … before a `pre` of as many lines, and elements that begin all lines of a `pre`.
* Prompts of notebooks, as "In [1]:".
"""

import numpy as np

from cleaners.extraction.code_names import INNER_NUMBERS, NUMBERS, PROMPT, finds, meaning_of
from cleaners.extraction.formulas import attribute_value
from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.names import words_of
from cleaners.extraction.html.nodes import attribute_of
from cleaners.extraction.html.tags import BLOCK, RULES, TEXT, VERBATIM
from cleaners.extraction.html.tokenizer import is_space
from shards.compiled import kernel

_MAX_CLIMB = 4  # elements from a `pre` up to the cell or <div> that the numbers stand before
_MIN_NUMBERS = 2  # before a `pre`
_MIN_FIRST_NUMBERS = 3  # on the lines of a `pre`
_DATA_LINE_NUMBER = tuple(np.uint64(word) for word in words_of("data-line-number")[:2])
_USER_SELECT, _NOTHING = np.frombuffer(b"user-select:none", np.uint8), np.zeros(0, np.uint8)
_NEWLINE, _NO_BREAK_SPACE = 10, np.frombuffer("\xa0".encode(), np.uint8)
_NO_BREAK_REFERENCE = np.frombuffer(b"&nbsp;", np.uint8)
_PROMPT_BYTES = np.frombuffer(b"InOut[]:* \n\t", np.uint8)
_NUMBER_MARKS = np.frombuffer(b".:|) \n\r\t", np.uint8)


@kernel
def line_numbers(data, page, roots):
    """bool[nodes]: whether a node is a line number, a prompt, or in an element of such."""
    nodes = page.tree.nodes
    out = np.zeros(len(nodes), np.bool_)
    _mark_counted(data, nodes, roots, out)
    for i in range(1, len(nodes)):
        if out[nodes[i].parent]:
            out[i] = True
        elif nodes[i].tag not in (TEXT, VERBATIM) and not out[i]:
            out[i] = _is_named_number(data, page, i, roots[i] >= 0)
    return out


@kernel
def _is_named_number(data, page, i, is_inside):
    nodes = page.tree.nodes
    meaning = meaning_of(page, i)
    if meaning & NUMBERS or (is_inside and (meaning & INNER_NUMBERS or _is_not_selected(data, page, i))):
        return _holds_only(data, nodes, i, _NUMBER_MARKS)
    if meaning & PROMPT:
        return _holds_only(data, nodes, i, _PROMPT_BYTES)
    if is_inside and nodes[i].after == i + 2 and nodes[i + 1].tag == TEXT and _is_digit(data[nodes[i + 1].start]):
        start, end = attribute_value(data, nodes, i, _DATA_LINE_NUMBER)
        text = data[nodes[i + 1].start : nodes[i + 1].end]
        return len(text) == end - start and np.all(text == data[start:end])
    return False


@kernel
def _is_not_selected(data, page, i):
    k = attribute_of(page.tree, i, attributes.STYLE)
    if k < 0:
        return False
    return finds(data, page.tree.attributes[k].start, page.tree.attributes[k].end, _USER_SELECT, _NOTHING)


@kernel
def _holds_only(data, nodes, i, others):
    """Whether an element has digits and no other text but bytes of `others` and no-break spaces. No code is in it."""
    has_digits = False
    for k in range(i, nodes[i].after):
        if nodes[k].tag == tags.CODE and nodes[i].tag == tags.PRE:
            return False  # Prism: <pre class="line-numbers"><code>
        if nodes[k].tag not in (TEXT, VERBATIM):
            continue
        at = nodes[k].start
        while at < nodes[k].end:
            if _is_digit(data[at]):
                has_digits = True
            elif data[at] == 0xC2 or data[at] == 38:
                blank = _NO_BREAK_SPACE if data[at] == 0xC2 else _NO_BREAK_REFERENCE
                if not _begins(data, at, nodes[k].end, blank):
                    return False
                at += len(blank) - 1
            elif not (data[at] == others).any():
                return False
            at += 1
    return has_digits or len(others) == len(_PROMPT_BYTES)


@kernel
def _begins(data, at, end, text):
    return at + len(text) <= end and np.all(data[at : at + len(text)] == text)


@kernel
def _mark_counted(data, nodes, roots, out):
    """Mark the numbers of lines that no name says: before a `pre` of as many lines, or first on all its lines."""
    before = np.full(len(nodes), -1, np.int32)  # elements before their siblings
    last = np.full(len(nodes), -1, np.int32)
    is_checked = np.zeros(len(nodes), np.bool_)
    for i in range(1, len(nodes)):
        if nodes[i].tag not in (TEXT, VERBATIM):
            before[i] = last[nodes[i].parent]
            last[nodes[i].parent] = i
    for i in range(1, len(nodes)):
        if roots[i] != i:
            continue
        _mark_first_on_lines(data, nodes, i, out)
        beside = np.int64(i)
        for _ in range(_MAX_CLIMB):
            if before[beside] >= 0 or beside <= 1:
                break
            beside = np.int64(nodes[beside].parent)
        beside = np.int64(before[beside])
        if beside >= 0 and not is_checked[beside]:
            is_checked[beside] = True
            number = _num_counted(data, nodes, beside)
            if number >= _MIN_NUMBERS and abs(number - _num_lines(data, nodes, i)) <= 1:
                out[beside] = True


@kernel
def _num_counted(data, nodes, i):
    """How many numbers an element holds if each is one more than the one before and nothing else is in it, or 0."""
    number, following = 0, np.int64(-1)
    for k in range(i, nodes[i].after):
        if nodes[k].tag not in (TEXT, VERBATIM):
            continue
        at, end = nodes[k].start, nodes[k].end
        while at < end:
            if is_space(data[at]):
                at += 1
                continue
            value, after = _number_at(data, at, end)
            if after == at or (following >= 0 and value != following):
                return 0
            at, following, number = after, value + 1, number + 1
    return number


@kernel
def _number_at(data, at, end):
    """(value, end) of the number of up to six digits at a position."""
    value = np.int64(0)
    stop = min(end, at + 6)
    while at < stop and _is_digit(data[at]):
        value = 10 * value + data[at] - 48
        at += 1
    return value, at


@kernel
def _num_lines(data, nodes, i):
    """The number of lines of a `pre`, whose lines end in line ends, <br> or blocks."""
    line_ends = breaks = blocks = pending = 0
    for k in range(i + 1, nodes[i].after):
        tag = nodes[k].tag
        breaks += tag == tags.BR
        blocks += tag not in (TEXT, VERBATIM) and RULES[tag] & BLOCK != 0
        if tag in (TEXT, VERBATIM):
            for at in range(nodes[k].start, nodes[k].end):
                if data[at] == _NEWLINE:
                    pending += 1
                elif not is_space(data[at]):
                    line_ends, pending = line_ends + pending, 0
    return 1 + max(line_ends, breaks, blocks)


@kernel
def _mark_first_on_lines(data, nodes, root, out):
    """Mark elements that each begin a line of a `pre`, and hold n on the first of its lines, n + 1 on the next, …"""
    number, num_others, following, is_first = 0, 0, np.int64(-1), True
    for marks in (False, True):
        for k in range(root + 1, nodes[root].after):
            tag, p = nodes[k].tag, nodes[k].parent
            if tag == tags.BR or (tag not in (TEXT, VERBATIM) and RULES[tag] & BLOCK):
                is_first = True
            if tag not in (TEXT, VERBATIM):
                continue
            at, end = np.int64(nodes[k].start), np.int64(nodes[k].end)
            while at < end and is_space(data[at]):
                is_first = is_first or data[at] == _NEWLINE
                at += 1
            if is_first and p != root and nodes[p].after == p + 2 and nodes[p].tag != tags.CODE:
                value, after = _number_at(data, at, end)
                while after < end and (data[after] == 32 or data[after] == 9):
                    after += 1
                if after == end and at < end:
                    if marks:
                        out[p] = True
                    elif following >= 0 and value != following:
                        return
                    number, following, is_first = number + 1, value + 1, False
                    continue
            while at < end:
                if data[at] == _NEWLINE:
                    is_first = True
                elif not is_space(data[at]):
                    if is_first:
                        return
                    num_others += 1
                at += 1
        if number < _MIN_FIRST_NUMBERS or num_others < number:
            return
        is_first = True


@kernel
def _is_digit(c):
    return 48 <= c <= 57
