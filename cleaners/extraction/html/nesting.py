"""The stack of open elements, and what a start or an end tag closes in it (the HTML standard, 13.2.4 and 13.2.6).

    html ▸ body ▸ ul ▸ li ▸ p        <li> closes p and li:      html ▸ body ▸ ul ▸ li
                                     </ul> closes all down to ul: html ▸ body

Active formatting is kept as counts. A <b> that is never closed makes the next paragraphs bold too, up to three deep
(the "Noah's Ark clause"), and formatting that a table cell opens ends with the cell.

At most `MAX_DEPTH` elements are open, so that no tag costs more than `MAX_DEPTH` steps: 1 million open tags take as
long as 1 million closed ones.
"""

from typing import NamedTuple

import numpy as np

from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import BOLD, CODE, FOREIGN, INHERITED, ITALIC
from cleaners.extraction.html.tags import (
    BLOCK,
    CLOSED_IN_SCOPE,
    CLOSES_P,
    ENDS_INNERMOST,
    FORMATTING,
    HEADING,
    IMPLIED_END,
    INTEGRATION,
    MAKES_WAY,
    MARKER,
    RULES,
    SCOPE,
    SPECIAL,
    TABLE_LEVEL,
    UNKNOWN,
)
from shards.compiled import kernel

MAX_DEPTH = 512  # where browsers stop; the deepest of 3,013 real pages has 358

# Positions in `Stack.state`.
DEPTH, NODES, ATTRIBUTES, LINK, ACTIVE, OPEN_P, FORM, BROKEN, SPACED = range(9)

OPEN = np.dtype(
    [
        ("name", np.uint64),  # tells unknown elements apart
        ("node", np.int32),
        ("link", np.int32),  # `link` and `active`: the active formatting when the element opened
        ("active", np.int32),
    ],
    align=True,
)

# Pairs that share a flag (BOLD, ITALIC, CODE). `ACTIVE` counts the open elements of each tag in two bits.
_COUNTED = (("b", "strong"), ("i", "em"), ("code", "tt"))
_SHIFTS = np.full(tags.NUM_TAGS, -1, np.int64)
_SHIFTS[[tags.TAGS[name] for pair in _COUNTED for name in pair]] = np.arange(0, 12, 2)
_MASKS = (0x00F, 0x0F0, 0xF00)


class Stack(NamedTuple):
    open: np.ndarray  # OPEN[MAX_DEPTH]
    state: np.ndarray  # int64[9]


@kernel
def new_stack():
    state = np.zeros(9, np.int64)
    state[LINK] = -1
    state[BROKEN] = 1
    return Stack(np.empty(MAX_DEPTH, OPEN), state)


@kernel(inline="always")
def add(nodes, stack, tag, start, end):
    """Add a node to the innermost open element; return its number. It has no attributes yet."""
    state = stack.state
    node = state[NODES]
    state[NODES] += 1
    parent = stack.open[state[DEPTH] - 1].node if state[DEPTH] else -1
    breaks = (RULES[tag] & BLOCK) != 0
    nodes[node].tag = tag
    nodes[node].parent = parent
    nodes[node].flags = nodes[parent].flags & INHERITED if parent >= 0 else 0
    nodes[node].start = start
    nodes[node].end = end
    nodes[node].block = node if breaks or parent < 0 else nodes[parent].block
    nodes[node].link = state[LINK]
    nodes[node].first_attribute = state[ATTRIBUTES]
    nodes[node].end_attribute = state[ATTRIBUTES]
    if breaks:
        state[BROKEN] = 1
    return node


@kernel(inline="always")
def push(nodes, stack, node, name):
    """Open `node`: the next nodes stand in it, unless too many elements are open."""
    state = stack.state
    rules = RULES[nodes[node].tag]
    depth = state[DEPTH]
    if rules & FORMATTING:
        if nodes[node].tag == tags.A:
            state[LINK] = node
            nodes[node].link = node
        _count(state, nodes[node].tag, 1)
    elif nodes[node].tag == tags.FORM:
        state[FORM] = node
    if depth == MAX_DEPTH:
        return
    stack.open[depth].node = node
    stack.open[depth].name = name
    if rules & MARKER:
        stack.open[depth].link = state[LINK]
        stack.open[depth].active = state[ACTIVE]
    state[OPEN_P] += nodes[node].tag == tags.P
    state[DEPTH] = depth + 1


@kernel(inline="always")
def top(nodes, stack):
    return nodes[stack.open[stack.state[DEPTH] - 1].node].tag


@kernel
def pop_to(nodes, stack, depth, position):
    """Close the open elements from `depth` on; they end at `position` of the page."""
    state = stack.state
    for k in range(state[DEPTH] - 1, depth - 1, -1):
        node = stack.open[k].node
        nodes[node].end = position
        rules = RULES[nodes[node].tag]
        if rules & BLOCK:
            state[BROKEN] = 1
        if rules & MARKER:
            state[LINK] = stack.open[k].link
            state[ACTIVE] = stack.open[k].active
        state[OPEN_P] -= nodes[node].tag == tags.P
    state[DEPTH] = min(depth, state[DEPTH])


@kernel(inline="always")
def make_way(nodes, stack, tag, position):
    """Close the elements that a start tag of `tag` closes."""
    rules = RULES[tag]
    if rules & MAKES_WAY or (rules & CLOSES_P and stack.state[OPEN_P]) or (tag == tags.A and stack.state[LINK] >= 0):
        _close_before(nodes, stack, tag, position)


@kernel
def _close_before(nodes, stack, tag, position):
    rules = RULES[tag]
    if rules & CLOSES_P:
        if stack.state[OPEN_P]:
            _close_p(nodes, stack, position, position)
        if rules & HEADING and RULES[top(nodes, stack)] & HEADING:
            pop_to(nodes, stack, stack.state[DEPTH] - 1, position)
    if tag == tags.LI or tag == tags.DD or tag == tags.DT:
        _close_item(nodes, stack, tag, position)
    elif tag == tags.A:
        if stack.state[LINK] >= 0:
            _end_formatting(nodes, stack, tag, position, position)
    elif TABLE_LEVEL[tag]:
        _close_table_parts(nodes, stack, TABLE_LEVEL[tag], position)
    elif tag == tags.TABLE:
        if TABLE_LEVEL[top(nodes, stack)] in (1, 2) or top(nodes, stack) == tags.TABLE:
            _close_table_parts(nodes, stack, 0, position)
    elif tag == tags.OPTION or tag == tags.OPTGROUP:
        if top(nodes, stack) == tags.OPTION:
            pop_to(nodes, stack, stack.state[DEPTH] - 1, position)
        if tag == tags.OPTGROUP and top(nodes, stack) == tags.OPTGROUP:
            pop_to(nodes, stack, stack.state[DEPTH] - 1, position)
    elif tag == tags.BUTTON:
        close_in_scope(nodes, stack, tag, position, position)
    elif tag == tags.INPUT:
        close_in_scope(nodes, stack, tags.SELECT, position, position)
    elif tag == tags.RB or tag == tags.RT or tag == tags.RP or tag == tags.RTC:
        open_tag = top(nodes, stack)
        if open_tag in (tags.RB, tags.RT, tags.RP) or (open_tag == tags.RTC and tag in (tags.RB, tags.RTC)):
            pop_to(nodes, stack, stack.state[DEPTH] - 1, position)


@kernel(inline="always")
def end_tag(nodes, stack, tag, name, start, end):
    """Close the element that the end tag in [start, end) closes. Elements open in it end where the tag begins."""
    innermost = stack.state[DEPTH] - 1
    node = stack.open[innermost].node
    is_innermost = nodes[node].tag == tag and (tag != UNKNOWN or stack.open[innermost].name == name)
    if RULES[tag] & ENDS_INNERMOST and is_innermost and innermost > 1:
        _end_innermost(nodes, stack, node, innermost, end)
    else:
        _end_outer(nodes, stack, tag, name, start, end)


@kernel(inline="always")
def _end_innermost(nodes, stack, node, depth, end):
    """What `_end_outer` does if the end tag is that of the innermost open element, as most are."""
    state = stack.state
    tag = nodes[node].tag
    rules = RULES[tag]
    nodes[node].end = end
    state[DEPTH] = depth
    if rules & BLOCK:
        state[BROKEN] = 1
    if rules & FORMATTING:
        if tag == tags.A:
            state[LINK] = -1
        _count(state, tag, -1)
    elif rules & MARKER:
        state[LINK] = stack.open[depth].link
        state[ACTIVE] = stack.open[depth].active
    elif tag == tags.P:
        state[OPEN_P] -= 1


@kernel
def _end_outer(nodes, stack, tag, name, start, end):
    """`end_tag`, whatever is open."""
    rules = RULES[tag]
    if tag == tags.P:
        if not (stack.state[OPEN_P] and _close_p(nodes, stack, start, end)):
            add(nodes, stack, tag, start, end)  # as browsers do: an empty paragraph
    elif rules & FORMATTING:
        _end_formatting(nodes, stack, tag, start, end)
    elif rules & CLOSED_IN_SCOPE:
        close_in_scope(nodes, stack, tag, start, end)
    elif tag == tags.FORM:
        _close_form(nodes, stack, start, end)
    elif TABLE_LEVEL[tag] or tag == tags.TABLE or tag == tags.TEMPLATE:
        for k in range(stack.state[DEPTH] - 1, 1, -1):
            open_tag = nodes[stack.open[k].node].tag
            if open_tag == tag:
                _close(nodes, stack, k, start, end)
                break
            if open_tag == tags.TABLE or open_tag == tags.TEMPLATE:
                break
    elif not rules & SPECIAL or rules & INTEGRATION or tag == tags.SELECT:
        for k in range(stack.state[DEPTH] - 1, 1, -1):
            open_tag = nodes[stack.open[k].node].tag
            if open_tag == tag and (tag != UNKNOWN or stack.open[k].name == name):
                _close(nodes, stack, k, start, end)
                break
            if RULES[open_tag] & SPECIAL:
                break


@kernel
def is_foreign(nodes, node):
    """Whether the element is one of SVG or MathML. It is even if it holds HTML again."""
    if nodes[node].flags & FOREIGN:
        return True
    return (RULES[nodes[node].tag] & INTEGRATION) != 0 and (nodes[nodes[node].parent].flags & FOREIGN) != 0


@kernel
def leave_foreign(nodes, stack, position):
    """Close SVG and MathML, since a start tag follows that only HTML has."""
    depth = stack.state[DEPTH]
    while nodes[stack.open[depth - 1].node].flags & FOREIGN:
        depth -= 1
    pop_to(nodes, stack, depth, position)


@kernel
def end_foreign(nodes, stack, tag, name, start, end):
    """Close an element within SVG or MathML, or the outermost; return whether the end tag matched one."""
    for k in range(stack.state[DEPTH] - 1, 1, -1):
        node = stack.open[k].node
        if not is_foreign(nodes, node):
            return False
        if nodes[node].tag == tag and stack.open[k].name == name:
            _close(nodes, stack, k, start, end)
            return True
    return False


@kernel(inline="always")
def marks(state):
    """The flags of the active formatting."""
    active = state[ACTIVE]
    return BOLD * (active & _MASKS[0] != 0) | ITALIC * (active & _MASKS[1] != 0) | CODE * (active & _MASKS[2] != 0)


@kernel(inline="always")
def _count(state, tag, change):
    shift = _SHIFTS[tag]
    if shift >= 0:
        number = (state[ACTIVE] >> shift) & 3
        state[ACTIVE] += (min(3, max(0, number + change)) - number) << shift


@kernel
def _close(nodes, stack, depth, start, end):
    node = stack.open[depth].node
    pop_to(nodes, stack, depth, start)
    nodes[node].end = end


@kernel
def _close_p(nodes, stack, start, end):
    """Close the paragraph in button scope; return whether there is one."""
    for k in range(stack.state[DEPTH] - 1, 1, -1):
        tag = nodes[stack.open[k].node].tag
        if tag == tags.P:
            _close(nodes, stack, k, start, end)
            return True
        if RULES[tag] & SCOPE or tag == tags.BUTTON:
            break
    return False


@kernel
def _close_item(nodes, stack, tag, position):
    for k in range(stack.state[DEPTH] - 1, 1, -1):
        open_tag = nodes[stack.open[k].node].tag
        if open_tag == tag or (tag != tags.LI and (open_tag == tags.DD or open_tag == tags.DT)):
            pop_to(nodes, stack, k, position)
            return
        if RULES[open_tag] & SPECIAL and open_tag != tags.ADDRESS and open_tag != tags.DIV and open_tag != tags.P:
            return


@kernel
def _close_table_parts(nodes, stack, level, position):
    """Close the open parts of the innermost table from `level` down; at level 0 the table too."""
    outermost = stack.state[DEPTH]
    for k in range(stack.state[DEPTH] - 1, 1, -1):
        tag = nodes[stack.open[k].node].tag
        if tag == tags.TABLE or tag == tags.TEMPLATE:
            if level == 0:
                outermost = k
            break
        if level and TABLE_LEVEL[tag] >= level:
            outermost = k
    pop_to(nodes, stack, outermost, position)


@kernel
def close_in_scope(nodes, stack, tag, start, end):
    """Close the innermost element `tag` in scope, and all in it; return whether there is one.

    The end tag of any heading closes any heading.
    """
    rules = RULES[tag]
    for k in range(stack.state[DEPTH] - 1, 1, -1):
        open_tag = nodes[stack.open[k].node].tag
        if open_tag == tag or (rules & HEADING and RULES[open_tag] & HEADING):
            _close(nodes, stack, k, start, end)
            return True
        if RULES[open_tag] & SCOPE or (tag == tags.LI and (open_tag == tags.OL or open_tag == tags.UL)):
            break
    return False


@kernel
def _close_form(nodes, stack, start, end):
    """Close the form alone. Elements in it stay open, unless their end tags may be left out."""
    form = stack.state[FORM]
    stack.state[FORM] = 0
    for k in range(stack.state[DEPTH] - 1, 1, -1):
        node = stack.open[k].node
        if node == form:
            depth = stack.state[DEPTH]
            while depth - 1 > k and RULES[nodes[stack.open[depth - 1].node].tag] & IMPLIED_END:
                depth -= 1
            pop_to(nodes, stack, depth, start)
            if k == stack.state[DEPTH] - 1:
                _close(nodes, stack, k, start, end)
            else:
                nodes[node].end = end
                _remove(stack, k)
                stack.state[BROKEN] = 1
            return
        if RULES[nodes[node].tag] & SCOPE:
            return


@kernel
def _end_formatting(nodes, stack, tag, start, end):
    """The standard's adoption agency algorithm without its clones.

    If a block is open in the element, the element that is open directly in it moves out with all it holds. `link` and
    the flags of text nodes still say which formatting they are in.
    """
    state = stack.state
    if tag == tags.A:
        state[LINK] = -1
    _count(state, tag, -1)
    holds_block = False
    for k in range(state[DEPTH] - 1, 1, -1):
        node = stack.open[k].node
        if nodes[node].tag == tag:
            if holds_block:
                nodes[node].end = end
                nodes[stack.open[k + 1].node].parent = nodes[node].parent
                _remove(stack, k)
            else:
                _close(nodes, stack, k, start, end)
            return
        rules = RULES[nodes[node].tag]
        if rules & SCOPE:
            return
        holds_block |= (rules & SPECIAL) != 0


@kernel
def _remove(stack, depth):
    for k in range(depth, stack.state[DEPTH] - 1):
        stack.open[k] = stack.open[k + 1]
    stack.state[DEPTH] -= 1
