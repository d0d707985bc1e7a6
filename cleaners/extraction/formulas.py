"""Formulas in MathML as lines of text that keep their value.

    <mfrac><mn>1</mn><mn>2</mn></mfrac>          1/2
    <mn>3</mn><mfrac>…3…4…</mfrac>               3 3/4
    <msup><mn>10</mn><mn>6</mn></msup>           10^6
    <mfrac>…a+b…c+d…</mfrac>                     (a+b)/(c+d)
    <mroot><mn>8</mn><mn>3</mn></mroot>          8^(1/3)
    <mtable>…1…0…0…1…</mtable>                   (1 0; 0 1)

TeX that the page has for a formula is the better text and is written instead: an `annotation`, as MathJax, KaTeX,
Wikipedia and LaTeXML write it, or `alttext`. Elements and attributes are those of MathML Core and MathML 3
(https://www.w3.org/TR/MathML3/chapter3.html). The tree knows few of them by number, so their names are read from the
page.
"""

import numpy as np

from cleaners.extraction.html import tags
from cleaners.extraction.html.names import pack, words_of
from cleaners.extraction.html.nodes import SPACE
from cleaners.extraction.html.tags import NOT_SHOWN, RULES, TEXT, VERBATIM
from cleaners.extraction.html.text import write_node, write_raw
from cleaners.extraction.html.tokenizer import attribute, is_letter, is_space, name_end
from shards.compiled import kernel
from shards.unicode import decode

MAX_BYTES_ADDED = 12  # to the text of a formula, for each of its nodes

# Kinds of elements. A container is written as the line of what it holds.
_CONTAINER, _FRACTION, _ROOT_OF, _ROOT, _SCRIPTS, _TABLE, _ROW, _FENCED, _NUMBER, _NAME, _OPERATOR, _TEXT, _SPACE = (
    range(13)
)
_SUB, _SUP, _SUB_SUP, _PRE_SCRIPTS, _FIRST_ONLY, _NOTHING, _COMPOUND, _SIGNED = range(13, 21)

_KINDS = {
    _FRACTION: "mfrac",
    _ROOT_OF: "msqrt",
    _ROOT: "mroot",
    _SUB: "msub munder",
    _SUP: "msup mover",
    _SUB_SUP: "msubsup munderover",
    _PRE_SCRIPTS: "mmultiscripts",
    _TABLE: "mtable",
    _ROW: "mtr mlabeledtr",
    _FENCED: "mfenced",
    _NUMBER: "mn",
    _NAME: "mi",
    _OPERATOR: "mo",
    _TEXT: "mtext ms",
    _SPACE: "mspace",
    _FIRST_ONLY: "semantics maction",
    _NOTHING: "mphantom none mprescripts annotation annotation-xml",
}
_NAMES = np.array([words_of(name)[:2] for names in _KINDS.values() for name in names.split()], np.uint64)
_KIND_OF_NAME = np.array([kind for kind, names in _KINDS.items() for _ in names.split()], np.int64)


def _name(name: str) -> tuple[np.uint64, np.uint64]:
    low, high, _ = words_of(name)
    return np.uint64(low), np.uint64(high)


_ALTTEXT, _ENCODING, _OPEN, _CLOSE, _SEPARATORS, _THICKNESS = map(
    _name, ("alttext", "encoding", "open", "close", "separators", "linethickness")
)
_MPRESCRIPTS = _name("mprescripts")

_BLANK, _SLASH, _CARET, _LOW_LINE, _LEFT, _RIGHT, _SEMICOLON, _EQUALS, _COMMA = map(ord, " /^_();=,")
_BACKSLASH, _PERCENT, _NEWLINE, _LEFT_BRACE, _RIGHT_BRACE, _DOLLAR, _MINUS, _PLUS = map(ord, "\\%\n{}$-+")
_SQUARE_ROOT = np.frombuffer("√".encode(), np.uint8)
_PER_ROOT = np.frombuffer(b"^(1/", np.uint8)
_STYLES = tuple(np.frombuffer(style, np.uint8) for style in (rb"\displaystyle", rb"\textstyle", rb"\scriptstyle"))
_MAX_MARKS = 16  # around TeX that are taken off: for each the whole is looked at
_INVISIBLE = np.frombuffer("\u2061".encode(), np.uint8)[:2]  # U+2061 to U+2064 begin with these two bytes
_SIGNS = np.array([*b"+-", 0xB1], np.uint8)  # +, -, ± and, below, U+2212
_OPENING, _CLOSING = np.frombuffer(b"([{|", np.uint8), np.frombuffer(b")]}|", np.uint8)

# Steps of writing, each with up to two arguments.
_ELEMENT, _BYTE, _BLANK_STEP, _VALUE, _PLAIN_TEXT, _BEGINS_FRACTION, _ENDS_FRACTION, _BEGINS_TABLE, _ENDS_TABLE = range(
    9
)

# Positions in `state`.
_AFTER_WORD, _AFTER_FRACTION, _NUM_EQUALS, _BEGIN = range(4)


@kernel
def write_formula(data, tree, math, out, at):
    """Write the formula of the element `math` to out[at:], and return the new `at`.

    Its length is at most that of its element by `max_text_bytes` and `MAX_BYTES_ADDED` for each node in it.
    """
    start, end, is_attribute = _tex(data, tree.nodes, math)
    if start >= 0:
        return _write_tex(data, start, end, is_attribute, out, at)
    return _write(data, tree.nodes, math, out, at)


@kernel
def has_tex(data, nodes, math):
    """Whether `write_formula` writes TeX that the page has."""
    return _tex(data, nodes, math)[0] >= 0


@kernel
def attribute_value(data, nodes, node, name):
    """(start, end) of the value of an attribute that the tree does not keep, or (-1, -1). `name` is two words."""
    i = name_end(data, nodes[node].start + 1)
    while True:
        name_start, stop, start, end, i = attribute(data, i)
        if name_start < 0:
            return -1, -1
        if pack(data, name_start, stop) == name:
            return (start, end) if start >= 0 else (stop, stop)


@kernel
def _tex(data, nodes, math):
    """(start, end, whether it is an attribute) of the TeX that the page has for a formula, or (-1, -1, False)."""
    for i in range(math + 1, nodes[math].after):
        if nodes[i].tag == tags.ANNOTATION and nodes[i].after > i + 1:
            start, end = attribute_value(data, nodes, i, _ENCODING)
            if _names_tex(data, start, end):
                return nodes[i + 1].start, nodes[i + 1].end, False
    start, end = attribute_value(data, nodes, math, _ALTTEXT)
    for k in range(start, end):
        if data[k] in (_BACKSLASH, _CARET, _LOW_LINE, _LEFT_BRACE):  # it may be words for a reader's voice instead
            return start, end, True
    return -1, -1, False


@kernel
def _names_tex(data, start, end):
    """Whether an encoding names TeX: "application/x-tex", "LaTeX", "text/x-latex"."""
    for k in range(start, end - 2):
        is_tex = data[k] | 32 == 116 and data[k + 1] | 32 == 101 and data[k + 2] | 32 == 120
        if is_tex and (k + 3 == end or data[k + 3] | 32 != 116):  # "text/plain" is none
            return True
    return False


@kernel
def _write_tex(data, start, end, is_attribute, out, at):
    """Write TeX on one line, without comments, the marks around a formula, and a style for the whole of it."""
    begin = at
    after = write_raw(data, start, end, True, is_attribute, out, at)
    k = line_end = begin
    while k < after:
        c = out[k]
        if c == _PERCENT and (k == begin or out[k - 1] != _BACKSLASH):
            line_end = max(line_end, k)  # bytes before it were looked at for the last one
            while line_end < after and out[line_end] != _NEWLINE:
                line_end += 1
            if line_end < after:  # without a line end after it, it is no comment
                k = line_end
                while k < after and is_space(out[k]):
                    k += 1
                continue
        if not is_space(c):
            out[at] = c
            at += 1
        elif at > begin and out[at - 1] != _BLANK:
            out[at] = _BLANK
            at += 1
        k += 1
    first, last = _bare_tex(out, begin, at)
    for k in range(first, last):
        out[begin + k - first] = out[k]
    return begin + last - first


@kernel
def _bare_tex(out, start, end):
    """(start, end) of TeX without dollars, "\\(" and "\\[" around it, and without "{\\displaystyle …}"."""
    for _ in range(_MAX_MARKS):
        while start < end and is_space(out[start]):
            start += 1
        while end > start and is_space(out[end - 1]):
            end -= 1
        if end - start >= 2 and out[start] == _DOLLAR and out[end - 1] == _DOLLAR:
            start, end = start + 1, end - 1
        elif end - start >= 4 and out[start] == _BACKSLASH and out[end - 2] == _BACKSLASH:
            is_round = out[start + 1] == 40 and out[end - 1] == 41
            if not is_round and not (out[start + 1] == 91 and out[end - 1] == 93):
                style = _style_end(out, start, end)
                if style == start:
                    return start, end
                start = style
            else:
                start, end = start + 2, end - 2
        elif start < end and out[start] == _LEFT_BRACE and _closes(out, start, end) == end - 1:
            style = _style_end(out, start + 1, end)
            if style == start + 1:
                return start, end
            start, end = style, end - 1
        else:
            style = _style_end(out, start, end)
            if style == start:
                return start, end
            start = style
    return start, end


@kernel
def _style_end(out, start, end):
    """The end of "\\displaystyle" and similar commands at `start`, or `start`."""
    for style in _STYLES:
        after = start + len(style)
        if after < end and np.all(out[start:after] == style) and not is_letter(out[after]):
            return after
    return start


@kernel
def _closes(out, start, end):
    """The position of the brace that closes the one at `start`, or -1."""
    depth = 0
    for k in range(start, end):
        if k > start and out[k - 1] == _BACKSLASH:
            continue
        depth += (out[k] == _LEFT_BRACE) - (out[k] == _RIGHT_BRACE)
        if depth == 0:
            return k
    return -1


@kernel
def _kind(data, nodes, i):
    """The kind of an element by its name, `_CONTAINER` of all that are written as what they hold."""
    start = nodes[i].start + 1
    low, high = pack(data, start, name_end(data, start))
    for k in range(len(_NAMES)):
        if _NAMES[k, 0] == low and _NAMES[k, 1] == high:
            return _KIND_OF_NAME[k]
    return _CONTAINER


@kernel
def _next(nodes, i, parent):
    """The next element after child `i` of `parent`, or its first one if `i` is `parent`, or -1."""
    k = np.int64(i + 1 if i == parent else nodes[i].after)
    while k < nodes[parent].after and (nodes[k].tag in (TEXT, VERBATIM)):
        k += 1
    return k if k < nodes[parent].after else np.int64(-1)


@kernel
def _shape(data, nodes, i):
    """The kind of what an element shows: that of its only child if it is a container, or `_COMPOUND` or `_SIGNED`."""
    while True:
        kind = _kind(data, nodes, i)
        if kind not in (_CONTAINER, _FIRST_ONLY):
            return kind
        first = _next(nodes, i, i)
        if first < 0:
            return _TEXT
        second = _next(nodes, first, i) if kind == _CONTAINER else -1
        if second < 0:
            i = first
            continue
        return _shape_of_line(data, nodes, i, first, second)


@kernel
def _shape_of_line(data, nodes, parent, first, second):
    """`_SIGNED` of a sign and one number or name, `_FENCED` of a line within brackets, else `_COMPOUND`."""
    if _kind(data, nodes, first) != _OPERATOR:
        return _COMPOUND
    if _next(nodes, second, parent) < 0 and _is_sign(data, nodes, first):
        return _SIGNED if _kind(data, nodes, second) in (_NUMBER, _NAME) else _COMPOUND
    depth, child = 0, first
    while child >= 0:
        following = _next(nodes, child, parent)
        if _kind(data, nodes, child) == _OPERATOR and nodes[child].after > child + 1:
            c = data[nodes[child + 1].start]
            depth += (c in (40, 91, 123)) - (c in (41, 93, 125))
        if depth <= 0 and following >= 0:
            return _COMPOUND
        child = following
    return _FENCED if depth == 0 else _COMPOUND


@kernel
def _is_sign(data, nodes, i):
    if nodes[i].after == i + 1:
        return False
    start, end = nodes[i + 1].start, nodes[i + 1].end
    while start < end and is_space(data[start]):
        start += 1
    if start >= end:
        return False
    is_minus = end - start >= 3 and data[start] == 0xE2 and data[start + 1] == 0x88 and data[start + 2] == 0x92
    is_both = end - start >= 2 and data[start] == 0xC2 and data[start + 1] == 0xB1
    return is_minus or is_both or data[start] in (_PLUS, _MINUS) or data[start] == 38  # "&minus;", "&#x2212;"


@kernel
def _write(data, nodes, math, out, at):
    """Write what `math` shows, step by step: an element is replaced by the steps that write it."""
    state = np.full(4, -1, np.int64)
    state[_NUM_EQUALS], state[_BEGIN] = 0, at
    steps = np.empty((6 * (nodes[math].after - math) + 16, 3), np.int64)
    number = _add(steps, 0, _ELEMENT, math, 0)
    while number:
        number -= 1
        what, first, second = steps[number, 0], steps[number, 1], steps[number, 2]
        if what == _ELEMENT:
            kind = _kind(data, nodes, first)
            if kind in (_NUMBER, _NAME, _OPERATOR, _TEXT):
                at = _write_token(data, nodes, first, kind, state, out, at)
                continue
            begin = number
            number = _add_steps(data, nodes, first, kind, steps, number)
            for k in range((number - begin) // 2):  # the last one comes first
                for column in range(3):
                    one, other = steps[begin + k, column], steps[number - 1 - k, column]
                    steps[begin + k, column], steps[number - 1 - k, column] = other, one
        elif what == _BYTE:
            out[at] = first
            at += 1
        elif what == _BLANK_STEP:
            at = _write_blank(state, out, at)
        elif what == _VALUE:
            at = write_raw(data, first, second, True, True, out, at)
        elif what == _PLAIN_TEXT:
            at = write_node(data, nodes, first, out, state[_BEGIN], at)
        elif what == _BEGINS_FRACTION:
            if at > state[_BEGIN] and _is_alphanumeric(out[at - 1]):
                at = _write_blank(state, out, at)  # 3 3/4
        elif what == _ENDS_FRACTION:
            state[_AFTER_FRACTION] = at
        elif what == _BEGINS_TABLE:
            is_inside = at > state[_BEGIN] and (out[at - 1] == _OPENING).any()
            steps[first, 1], steps[first, 2] = (-1 if is_inside else at), state[_NUM_EQUALS]
            out[at] = _LEFT
            at += not is_inside
        elif what == _ENDS_TABLE and first >= 0:
            if state[_NUM_EQUALS] > second:
                out[first] = _BLANK
            else:
                out[at] = _RIGHT
                at += 1
    return at


@kernel
def _add(steps, number, what, first, second):
    steps[number, 0], steps[number, 1], steps[number, 2] = what, first, second
    return number + 1


@kernel
def _add_steps(data, nodes, i, kind, steps, number):
    """Add the steps that write element `i` to steps[number:], in order; return their new number."""
    if kind == _NOTHING:
        return number
    if kind == _SPACE:
        return _add(steps, number, _BLANK_STEP, 0, 0)
    first = _next(nodes, i, i)
    second = _next(nodes, first, i) if first >= 0 else -1
    if kind == _FIRST_ONLY and first >= 0:
        return _add(steps, number, _ELEMENT, first, 0)
    if kind == _FRACTION and second >= 0:
        return _add_fraction(data, nodes, i, first, second, steps, number)
    if kind == _ROOT_OF and first >= 0:
        shape = _shape(data, nodes, first) if second < 0 else _shape_of_line(data, nodes, i, first, second)
        brackets = shape in (_COMPOUND, _SIGNED, _FRACTION, _SUP, _SUB_SUP)
        for byte in _SQUARE_ROOT:
            number = _add(steps, number, _BYTE, byte, 0)
        number = _add(steps, number, _BYTE, _LEFT, 0) if brackets else number
        number = _add_line(nodes, i, steps, number)
        return _add(steps, number, _BYTE, _RIGHT, 0) if brackets else number
    if kind == _ROOT and second >= 0:
        number = _add_base(data, nodes, first, steps, number)
        for byte in _PER_ROOT:
            number = _add(steps, number, _BYTE, byte, 0)
        brackets = _shape(data, nodes, second) in (_COMPOUND, _FRACTION, _SIGNED)
        number = _add_part(second, brackets, steps, number)
        return _add(steps, number, _BYTE, _RIGHT, 0)
    if kind in (_SUB, _SUP, _SUB_SUP) and second >= 0:
        number = _add_base(data, nodes, first, steps, number)
        number = _add_script(data, nodes, second, _CARET if kind == _SUP else _LOW_LINE, steps, number)
        third = _next(nodes, second, i)
        return _add_script(data, nodes, third, _CARET, steps, number) if third >= 0 else number
    if kind == _PRE_SCRIPTS and first >= 0:
        return _add_all_scripts(data, nodes, i, first, steps, number)
    if kind == _TABLE:
        return _add_table(data, nodes, i, steps, number)
    if kind == _FENCED:
        return _add_fenced(data, nodes, i, steps, number)
    return _add_line(nodes, i, steps, number)


@kernel
def _add_line(nodes, i, steps, number):
    """Write what is in `i` one after the other. Text between elements is no formula, but is kept."""
    child = np.int64(i + 1)
    while child < nodes[i].after:
        tag = nodes[child].tag
        if tag in (TEXT, VERBATIM):
            number = _add(steps, number, _PLAIN_TEXT, child, 0)
        elif not RULES[tag] & NOT_SHOWN:
            number = _add(steps, number, _ELEMENT, child, 0)
        child = np.int64(nodes[child].after)
    return number


@kernel
def _add_part(i, brackets, steps, number):
    number = _add(steps, number, _BYTE, _LEFT, 0) if brackets else number
    number = _add(steps, number, _ELEMENT, i, 0)
    return _add(steps, number, _BYTE, _RIGHT, 0) if brackets else number


@kernel
def _add_fraction(data, nodes, i, above, below, steps, number):
    """Brackets are around parts of more than one factor. A binomial coefficient is a fraction without a line."""
    start, end = attribute_value(data, nodes, i, _THICKNESS)
    is_choice = start < end and data[start] == 48
    number = _add(steps, number, _BEGINS_FRACTION, 0, 0)
    brackets = not is_choice and _shape(data, nodes, above) in (_COMPOUND, _FRACTION)
    number = _add_part(above, brackets, steps, number)
    number = _add(steps, number, _BYTE, _SEMICOLON if is_choice else _SLASH, 0)
    number = _add(steps, number, _BLANK_STEP, 0, 0) if is_choice else number
    brackets = not is_choice and _shape(data, nodes, below) in (_COMPOUND, _FRACTION, _SIGNED)
    number = _add_part(below, brackets, steps, number)
    return _add(steps, number, _ENDS_FRACTION, 0, 0)


@kernel
def _add_base(data, nodes, i, steps, number):
    """Write what a script or a root belongs to, in brackets if it is more than one sign."""
    brackets = _shape(data, nodes, i) in (_COMPOUND, _FRACTION, _SIGNED, _SUP, _SUB_SUP, _ROOT_OF, _ROOT)
    return _add_part(i, brackets, steps, number)


@kernel
def _add_script(data, nodes, i, mark, steps, number):
    """Write a script after its mark, in brackets if it is more than one sign. Accents and primes have no mark."""
    shape = _shape(data, nodes, i)
    if not _has_text(nodes, i) or shape == _NOTHING:
        return number
    if not (mark == _CARET and shape == _OPERATOR):
        number = _add(steps, number, _BYTE, mark, 0)
    return _add_part(i, shape in (_COMPOUND, _FRACTION, _SUB, _SUP, _SUB_SUP), steps, number)


@kernel
def _has_text(nodes, i):
    k = i
    while k < nodes[i].after and nodes[k].tag not in (TEXT, VERBATIM):
        k += 1
    return k < nodes[i].after


@kernel
def _add_all_scripts(data, nodes, i, base, steps, number):
    """Write `mmultiscripts`: scripts before the base, a blank, the base, scripts after it."""
    before = _next(nodes, base, i)
    while before >= 0 and not _is_prescripts(data, nodes, before):
        before = _next(nodes, before, i)
    begin = number
    if before >= 0:
        number = _add_scripts(data, nodes, i, before, steps, number)
    if number > begin:
        number = _add(steps, number, _BLANK_STEP, 0, 0)
    number = _add_base(data, nodes, base, steps, number)
    return _add_scripts(data, nodes, i, base, steps, number)


@kernel
def _add_scripts(data, nodes, parent, after, steps, number):
    """Write the scripts after child `after`, lower and upper in turn, up to `mprescripts`."""
    child, mark = _next(nodes, after, parent), _LOW_LINE
    while child >= 0 and not _is_prescripts(data, nodes, child):
        number = _add_script(data, nodes, child, mark, steps, number)
        child, mark = _next(nodes, child, parent), _CARET + _LOW_LINE - mark
    return number


@kernel
def _is_prescripts(data, nodes, i):
    start = nodes[i].start + 1
    return pack(data, start, name_end(data, start)) == _MPRESCRIPTS


@kernel
def _add_table(data, nodes, i, steps, number):
    """Write a table with blanks between cells and "; " between rows.

    It is in brackets if it stands in none and is a matrix: a table with equations is there for its alignment.
    """
    begin = number
    number = _add(steps, number, _BEGINS_TABLE, 0, 0)
    row, is_first = _next(nodes, i, i), True
    while row >= 0:
        if not is_first:
            number = _add(steps, number, _BYTE, _SEMICOLON, 0)
            number = _add(steps, number, _BLANK_STEP, 0, 0)
        is_first = False
        cell = _next(nodes, row, row) if _kind(data, nodes, row) == _ROW else row
        while cell >= 0:
            number = _add(steps, number, _ELEMENT, cell, 0)
            cell = _next(nodes, cell, row) if cell != row else np.int64(-1)
            if cell >= 0:
                number = _add(steps, number, _BLANK_STEP, 0, 0)
        row = _next(nodes, row, i)
    steps[begin, 1] = begin  # the steps are turned round: this is the place of the last one
    return _add(steps, number, _ENDS_TABLE, -1, 0)


@kernel
def _add_fenced(data, nodes, i, steps, number):
    """Write `mfenced`, with round brackets and commas unless its attributes say otherwise."""
    start, end = attribute_value(data, nodes, i, _OPEN)
    number = _add_fence(start, end, _LEFT, steps, number)
    start, end = attribute_value(data, nodes, i, _SEPARATORS)
    if start < end:
        end = decode(data, start)[1]  # of its first character
    child = _next(nodes, i, i)
    while child >= 0:
        number = _add(steps, number, _ELEMENT, child, 0)
        child = _next(nodes, child, i)
        if child >= 0:
            number = _add_fence(start, end, _COMMA, steps, number)
    start, end = attribute_value(data, nodes, i, _CLOSE)
    return _add_fence(start, end, _RIGHT, steps, number)


@kernel
def _add_fence(start, end, otherwise, steps, number):
    if start < 0:
        return _add(steps, number, _BYTE, otherwise, 0)
    return _add(steps, number, _VALUE, start, end)


@kernel
def _write_token(data, nodes, i, kind, state, out, at):
    """Write a number, a name, an operator or words, with a blank where they would run into the token before.

    White space of the page between two names is kept: "a x" is their product, too.
    """
    begin, is_spaced = at, False
    for k in range(i + 1, nodes[i].after):
        if nodes[k].tag in (TEXT, VERBATIM):
            is_spaced = is_spaced or (at == begin and nodes[k].flags & SPACE != 0)
            at = write_node(data, nodes, k, out, begin, at)
    while at > begin and out[at - 1] == _BLANK and kind != _TEXT:
        at -= 1
    if at == begin:
        return at
    if at - begin == 3 and np.all(out[begin : begin + 2] == _INVISIBLE) and 0xA1 <= out[begin + 2] <= 0xA4:
        return begin  # function application, invisible times, separator and plus
    if kind == _OPERATOR:
        for k in range(begin, at):
            state[_NUM_EQUALS] += out[k] == _EQUALS
        return at
    is_word = kind == _NAME and at - begin > 1 and is_letter(out[begin]) and is_letter(out[begin + 1])
    before = out[begin - 1] if begin > state[_BEGIN] else np.uint8(_BLANK)
    runs_on = _is_digit(before) and _is_digit(out[begin])
    runs_on |= _is_alphanumeric(out[begin]) and begin in (state[_AFTER_WORD], state[_AFTER_FRACTION])
    runs_on |= (is_word or is_spaced) and _is_alphanumeric(before) and _is_alphanumeric(out[begin])
    if runs_on:
        for k in range(at, begin, -1):
            out[k] = out[k - 1]
        out[begin] = _BLANK
        at += 1
    if is_word:
        state[_AFTER_WORD] = at
    return at


@kernel
def _write_blank(state, out, at):
    if at > state[_BEGIN] and out[at - 1] != _BLANK:
        out[at] = _BLANK
        at += 1
    return at


@kernel
def _is_digit(c):
    return 48 <= c <= 57


@kernel
def _is_alphanumeric(c):
    return _is_digit(c) or is_letter(c)
