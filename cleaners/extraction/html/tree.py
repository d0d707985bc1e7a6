"""The parser: the bytes of a page to its tree, in one pass and linear time (the HTML standard, 13.2.6, scripting off).

It takes some liberties. All of them keep text in the order of the page, where the standard moves misplaced text out of
a table. Words and their order are the standard's on all 3,013 real pages and on 1,498 of html5lib's 1,516 cases;
docs/divergences.md lists the other 18.
* `html`, `head` and `body` are always there; `tbody`, `tr` and `colgroup` are not implied. Misplaced text in a table
  stays where it is, and so do parts of tables outside of one and text beside frames.
* Wrongly nested formatting (<b><p></b>…) is not cloned. Each text node says which link it is in, and whether it is
  bold, italic or code.
* With 512 open elements, a new element is a leaf.
* `noscript` ends at its end tag, whatever is open in it; a `select` may hold anything.
* Comments, NUL bytes, and attributes that `attributes` does not list are dropped.
"""

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.attributes import ATTRIBUTE_TABLE, is_hidden_word, is_open_or_closed, is_true, style_hides
from cleaners.extraction.html.formulas import DISPLAY, NONE, formula_of, is_mathjax, kind_of_script
from cleaners.extraction.html.names import look_up, pack
from cleaners.extraction.html.nesting import (
    ATTRIBUTES,
    BROKEN,
    DEPTH,
    FORM,
    NODES,
    SPACED,
    add,
    close_in_scope,
    end_foreign,
    end_tag,
    is_foreign,
    leave_foreign,
    make_way,
    marks,
    new_stack,
    pop_to,
    push,
)
from cleaners.extraction.html.nodes import (
    ARIA_HIDDEN,
    ATTRIBUTE,
    BREAK,
    FOREIGN,
    FORMULA,
    HIDDEN,
    IN_NOSCRIPT,
    IN_TEMPLATE,
    INHERITED,
    NODE,
    PREFORMATTED,
    SPACE,
    Tree,
)
from cleaners.extraction.html.search import count
from cleaners.extraction.html.tags import RULES, TAG_TABLE, TEXT, UNKNOWN, VERBATIM
from cleaners.extraction.html.tokenizer import (
    CDATA,
    LESS,
    SLASH,
    attribute,
    declaration,
    is_letter,
    is_space,
    markup,
    name_end,
    raw_text_end,
    tag_end,
)
from shards.compiled import kernel

_MIX = np.uint64(0x9E3779B97F4A7C15)
_MAX_FORMULA_NODES = 1_000  # of a formula in MathML that a picture repeats; more are not searched


@kernel
def parse(data):
    """The `Tree` of `data`, the bytes of a page in valid UTF-8: read-only, as `np.frombuffer(page, np.uint8)` gives.

    Memory: 36 bytes a node, of which a "<" brings three at most, and 12 an attribute.
    """
    n = len(data)
    assert n < 1 << 31
    nodes, kept = np.empty(3 * count(data, LESS) + 8, NODE), np.empty(n // 2 + 8, ATTRIBUTE)
    stack = new_stack()
    _build(data, nodes, kept, stack)
    return Tree(_with_ends(nodes[: stack.state[NODES]]), kept[: stack.state[ATTRIBUTES]])


@kernel
def _build(data, nodes, kept, stack):
    """Write the nodes and attributes of the page; their numbers are in the state of `stack`."""
    data, nodes, kept, stack = borrowed(data), borrowed(nodes), borrowed(kept), borrowed(stack)
    state = stack.state
    n = len(data)
    push(nodes, stack, add(nodes, stack, tags.HTML, 0, 0), np.uint64(0))
    push(nodes, stack, add(nodes, stack, tags.HEAD, 0, 0), np.uint64(0))
    in_body = False

    i = 0
    while i < n:
        here = markup(data, i)
        if here > i:
            is_blank = _is_blank(data, i, here)
            around = nodes[stack.open[state[DEPTH] - 1].node].flags
            if is_blank and not around & PREFORMATTED:
                state[SPACED] = 1
            else:
                if not (in_body or is_blank or around & IN_TEMPLATE):
                    in_body = _begin_body(nodes, stack, i)
                _add_text(nodes, stack, TEXT, i, here)
        if here >= n:
            break
        foreign = (nodes[stack.open[state[DEPTH] - 1].node].flags & FOREIGN) != 0

        is_end = data[here + 1] == SLASH
        name_start = here + 1 + is_end
        if not is_letter(data[name_start]):
            kind, start, end, i = declaration(data, here, foreign)
            if kind == CDATA and end > start:
                _add_text(nodes, stack, VERBATIM, start, end)
            continue
        i = name_end(data, name_start)
        name = pack(data, name_start, i)
        tag = look_up(TAG_TABLE, name[0], name[1], i - name_start)
        if tag == 0:
            tag = UNKNOWN
        key = name[0] ^ (name[1] * _MIX)

        if is_end:
            i = tag_end(data, i)
            if i >= n:
                break  # the page ends within the tag
            i += 1
            if is_foreign(nodes, stack.open[state[DEPTH] - 1].node):
                if end_foreign(nodes, stack, tag, key, here, i):
                    continue
                if tag == tags.P or tag == tags.BR:
                    leave_foreign(nodes, stack, here)
            if tag == tags.BR:
                in_body = in_body or _begin_body(nodes, stack, here)
                add(nodes, stack, tag, here, i)
            elif in_body or tag != tags.P:
                end_tag(nodes, stack, tag, key, here, i)
            continue

        own, num_attributes, is_closed, i = _read_attributes(data, kept, state[ATTRIBUTES], i, tag)
        if i >= n:
            break
        i += 1
        if foreign:
            if not RULES[tag] & tags.BREAKOUT:
                node = _add_element(nodes, stack, tag, here, i, own, num_attributes)
                if RULES[tag] & tags.INTEGRATION:
                    nodes[node].flags &= ~FOREIGN
                if not is_closed:
                    push(nodes, stack, node, key)
                continue
            leave_foreign(nodes, stack, here)

        if tag == tags.HTML or tag == tags.HEAD or tag == tags.BODY:
            if tag == tags.BODY and not in_body:
                in_body = _begin_body(nodes, stack, here)
            # They get no flags: many pages hide the whole body until a script shows it.
            node = 0 if tag == tags.HTML else 1 if tag == tags.HEAD else stack.open[1].node
            _give_attributes(nodes, state, node, num_attributes)
            continue
        if tag == tags.FORM and state[FORM]:
            continue  # forms do not nest
        if tag == tags.SELECT and close_in_scope(nodes, stack, tag, here, i):
            continue  # selects do not nest either: the second start tag ends the first
        if tag == tags.IMAGE:
            tag = tags.IMG
        rules = RULES[tag]
        if not (in_body or rules & tags.HEAD_CONTENT or nodes[stack.open[state[DEPTH] - 1].node].flags & IN_TEMPLATE):
            in_body = _begin_body(nodes, stack, here)
        make_way(nodes, stack, tag, here)
        node = _add_element(nodes, stack, tag, here, i, own, num_attributes)
        if own & FORMULA or tag == tags.IMG:
            _add_formula(data, nodes, stack, kept, node)
        if rules & tags.VOID:
            continue
        if tag == tags.SVG or tag == tags.MATH:
            nodes[node].flags |= FOREIGN
            if is_closed:
                continue
        push(nodes, stack, node, key)
        if rules & tags.RAW or tag == tags.PLAINTEXT:
            end = n if tag == tags.PLAINTEXT else raw_text_end(data, i, name[0], name[1])
            if end > i:
                _add_text(nodes, stack, TEXT if rules & tags.RCDATA else VERBATIM, i, end)
                if tag == tags.SCRIPT:
                    _join_formula(data, nodes, state, kept, node)
            i = end
            if end < n:
                i = min(tag_end(data, name_end(data, end + 2)) + 1, n)
            nodes[node].end = i
            if tag != tags.PLAINTEXT:
                pop_to(nodes, stack, state[DEPTH] - 1, i)

    if not in_body:
        _begin_body(nodes, stack, n)
    pop_to(nodes, stack, 0, n)


@kernel(inline="always")
def _is_blank(data, start, end):
    while start < end and is_space(data[start]):
        start += 1
    return start == end


@kernel
def _begin_body(nodes, stack, position):
    """Close the head and open the body; return True, the new `in_body`."""
    pop_to(nodes, stack, 1, position)
    push(nodes, stack, add(nodes, stack, tags.BODY, position, position), np.uint64(0))
    return True


@kernel(inline="always")
def _add_text(nodes, stack, tag, start, end):
    state = stack.state
    node = add(nodes, stack, tag, start, end)
    if tag == VERBATIM:  # a script is no part of the line of text around it
        nodes[node].flags |= BREAK
        return
    _join_line(nodes, state, node)


@kernel(inline="always")
def _join_line(nodes, state, node):
    """Make a text node part of the line that is open, if there is one."""
    nodes[node].flags |= marks(state) | BREAK * (state[BROKEN] != 0) | SPACE * (state[SPACED] != 0)
    state[BROKEN] = state[SPACED] = 0


@kernel
def _add_formula(data, nodes, stack, kept, element):
    """Add the formula that an attribute of an element holds as its first text. What else stands in it is hidden."""
    tag = nodes[element].tag
    k = formula_of(data, kept, nodes[element].first_attribute, nodes[element].end_attribute, tag)
    if k < 0 or (tag == tags.IMG and _follows_math(data, nodes, element)):
        return
    node = add(nodes, stack, TEXT, kept[k].start, kept[k].end)
    nodes[node].parent, nodes[node].block = element, nodes[element].block
    nodes[node].flags = (nodes[element].flags & INHERITED) | FORMULA
    _join_line(nodes, stack.state, node)
    if not RULES[tag] & tags.VOID:
        nodes[element].flags |= HIDDEN


@kernel
def _follows_math(data, nodes, element):
    """Whether the sibling before the element holds MathML, of which a picture is the second version."""
    parent = nodes[element].parent
    before = _child_of(nodes, element - 1, parent)
    while before >= 0 and nodes[before].tag == TEXT and _is_blank(data, nodes[before].start, nodes[before].end):
        element = before
        before = _child_of(nodes, element - 1, parent)
    if before >= 0 and element - before <= _MAX_FORMULA_NODES:
        for k in range(before, element):
            if nodes[k].tag == tags.MATH:
                return True
    return False


@kernel
def _join_formula(data, nodes, state, kept, script):
    """Make the text of a script that is a formula part of the line around it, and hide what shows it before."""
    kind = NONE
    for k in range(nodes[script].first_attribute, nodes[script].end_attribute):
        if kept[k].name == attributes.TYPE:
            kind = kind_of_script(data, kept[k].start, kept[k].end, nodes[script + 1].start, nodes[script + 1].end)
    if kind == NONE:
        return
    text = script + 1
    nodes[text].flags = (nodes[text].flags & INHERITED) | FORMULA
    before = script
    while _is_shown_by_mathjax(data, nodes, kept, before - 1, nodes[script].parent):
        shown = _child_of(nodes, before - 1, nodes[script].parent)
        for k in range(shown, before):  # MathML would be read though hidden
            nodes[k].flags = (nodes[k].flags | HIDDEN) & ~FOREIGN
        before = shown
    if kind == DISPLAY:
        state[BROKEN] = 1
    _join_line(nodes, state, text)
    if kind == DISPLAY:
        state[BROKEN] = 1


@kernel
def _child_of(nodes, node, parent):
    """The child of `parent` that holds `node`, or -1."""
    while node > parent and nodes[node].parent != parent:
        node = nodes[node].parent
    return node if node > parent else -1


@kernel
def _is_shown_by_mathjax(data, nodes, kept, node, parent):
    child = _child_of(nodes, node, parent)
    if child < 0 or nodes[child].tag in (TEXT, VERBATIM, tags.SCRIPT):  # a script is a formula of its own
        return False
    for k in range(nodes[child].first_attribute, nodes[child].end_attribute):
        if kept[k].name == attributes.CLASS:
            return is_mathjax(data, kept[k].start, kept[k].end)
    return False


@kernel(inline="always")
def _add_element(nodes, stack, tag, start, end, own, num_attributes):
    node = add(nodes, stack, tag, start, end)
    if tag == tags.TEMPLATE:
        own ^= IN_TEMPLATE  # `shadowrootmode` has set it: the content of such a template is shown
    elif tag == tags.NOSCRIPT:
        own |= IN_NOSCRIPT
    elif RULES[tag] & tags.PREFORMATTED_TAG:
        own |= PREFORMATTED
    nodes[node].flags |= own & ~FORMULA
    _give_attributes(nodes, stack.state, node, num_attributes)
    return node


@kernel(inline="always")
def _give_attributes(nodes, state, node, num_attributes):
    """Give `node` the attributes just read, unless it has some: a second <body class=…> adds none."""
    if num_attributes and nodes[node].first_attribute == nodes[node].end_attribute:
        nodes[node].first_attribute = state[ATTRIBUTES]
        state[ATTRIBUTES] += num_attributes
        nodes[node].end_attribute = state[ATTRIBUTES]


@kernel(inline="always")
def _read_attributes(data, kept, first, i, tag):
    """Read the attributes of a tag into kept[first:]; return (flags, number kept, whether it ends in "/>", end).

    The end is the position of its ">", or len(data).
    """
    own = 0
    after = first
    seen = np.uint64(0)
    last = i
    while True:
        name_start, stop, value_start, value_end, i = attribute(data, i)
        if name_start < 0:
            return own, after - first, i > last and data[i - 1] == SLASH, i
        last = i
        low, high = pack(data, name_start, min(stop, name_start + 17))
        number = look_up(ATTRIBUTE_TABLE, low, high, stop - name_start)
        bit = np.uint64(1) << np.uint64(number)
        if number == 0 or seen & bit:
            continue
        seen |= bit
        kept[after].name = number
        kept[after].start = value_start if value_start >= 0 else stop
        kept[after].end = value_end if value_start >= 0 else stop
        after += 1
        if number == attributes.HIDDEN:
            own |= HIDDEN
        elif number == attributes.ARIA_HIDDEN:
            own |= ARIA_HIDDEN * is_true(data, value_start, value_end)
        elif number == attributes.STYLE:
            own |= HIDDEN * style_hides(data, value_start, value_end)
        elif number >= attributes.DATA_LATEX:
            own |= FORMULA
        elif number == attributes.TYPE and tag == tags.INPUT:
            own |= HIDDEN * is_hidden_word(data, value_start, value_end)
        elif number == attributes.SHADOWROOTMODE and tag == tags.TEMPLATE:
            own |= IN_TEMPLATE * is_open_or_closed(data, value_start, value_end)


@kernel
def _with_ends(nodes):
    """Set `after` of all nodes, and let no element end before what is in it: </form> ends a form alone."""
    for i in range(len(nodes)):
        nodes[i].after = i + 1
    for i in range(len(nodes) - 1, 0, -1):
        parent = nodes[i].parent
        nodes[parent].after = max(nodes[parent].after, nodes[i].after)
        nodes[parent].end = max(nodes[parent].end, nodes[i].end)
    return nodes
