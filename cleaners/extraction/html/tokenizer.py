"""Tokens of HTML as positions in the bytes of a page (the HTML standard, 13.2.5). Nothing is copied.

    text <div class="a" id=b> text </div> <!-- comment --> <!doctype html> <script> raw text </script>
    │    │    └ attribute() …             └ declaration()                           └ raw_text_end()
    │    └ markup(): the next "<" that begins markup

Every function takes the bytes and a position, and returns positions. All delimiters are ASCII, so that in valid UTF-8
no position lies within a character. Time is linear: no function reads again what the one before has read.
"""

import numpy as np

from cleaners.extraction.html.names import pack, words_of
from cleaners.extraction.html.search import find
from shards.compiled import kernel

# Kinds of declaration. A declaration begins with "<!", "<?" or "</" and is no end tag.
COMMENT, DOCTYPE, CDATA = range(3)

BANG, QUOTE, DASH, SLASH, LESS, EQUALS, GREATER, QUESTION = (ord(c) for c in "!'-/<=>?")
DOUBLE_QUOTE, BRACKET = ord('"'), ord("]")
_ENDS_NAME = np.zeros(256, np.bool_)
_ENDS_NAME[[*b"\t\n\f\r />"]] = True
_DOCTYPE_LOW = np.uint64(words_of("doctype").low)
_CDATA = np.frombuffer(b"[CDATA[", np.uint8)
_SCRIPT_LOW = np.uint64(words_of("script").low)


@kernel
def is_letter(c):
    return 97 <= (c | 32) <= 122


@kernel
def is_space(c):
    return c == 32 or c == 10 or c == 9 or c == 13 or c == 12


@kernel
def markup(data, i):
    """The next position from `i` on where a tag or declaration begins, or len(data). The bytes before it are text."""
    n = len(data)
    while True:
        i = find(data, i, LESS)
        if i + 1 >= n:
            return n
        c = data[i + 1]
        if is_letter(c) or c in (BANG, QUESTION) or (c == SLASH and i + 2 < n):
            return i
        i += 1


@kernel
def name_end(data, i):
    """The end of the tag name that begins at `i`."""
    n = len(data)
    while i < n and not _ENDS_NAME[data[i]]:
        i += 1
    return i


@kernel(inline="always")
def attribute(data, i):
    """(name start, name end, value start, value end, position after it) of the tag's next attribute from `i` on.

    The value's start is -1 if there is no value. At the end of the tag the name's start is -1, and the last position is
    that of its ">", or len(data) if the page ends within the tag.
    """
    n = len(data)
    while i < n and (is_space(data[i]) or data[i] == SLASH):
        i += 1
    if i >= n or data[i] == GREATER:
        return -1, -1, -1, -1, i
    start = i
    i += 1  # a name may begin with "="
    while i < n and not (_ENDS_NAME[data[i]] or data[i] == EQUALS):
        i += 1
    end = i
    while i < n and is_space(data[i]):
        i += 1
    if i >= n or data[i] != EQUALS:
        return start, end, -1, -1, i
    i += 1
    while i < n and is_space(data[i]):
        i += 1
    if i < n and (data[i] == DOUBLE_QUOTE or data[i] == QUOTE):
        value = i + 1
        i = find(data, value, data[i])
        return start, end, value, i, min(i + 1, n)
    value = i
    while i < n and data[i] != GREATER and not is_space(data[i]):
        i += 1
    return start, end, value, i, i


@kernel(inline="always")
def tag_end(data, i):
    """The position of the ">" of a tag whose name ends at `i`, or len(data)."""
    return i if i < len(data) and data[i] == GREATER else _attributes_end(data, i)


@kernel
def _attributes_end(data, i):
    start = i
    while start >= 0:
        start, _, _, _, i = attribute(data, i)
    return i


@kernel
def declaration(data, i, foreign):
    """(kind, start, end, position after it) of the declaration at `i`: "<!", "<?", or "</" without a letter after it.

    [start, end) is its content. `foreign` says that it stands within SVG or MathML, where CDATA sections are text.
    "</>" is a comment of length -1.
    """
    n = len(data)
    if data[i + 1] == SLASH:
        start = i + 2
        end = find(data, start, GREATER)
        return COMMENT, start, (end if end > start else start - 1), min(end + 1, n)
    if data[i + 1] == QUESTION:
        end = find(data, i + 1, GREATER)
        return COMMENT, i + 1, end, min(end + 1, n)
    start = i + 2
    if start + 1 < n and data[start] == DASH and data[start + 1] == DASH:
        end, after = _comment_end(data, start + 2)
        return COMMENT, start + 2, end, after
    if start + 7 <= n:
        low, _ = pack(data, start, start + 7)
        if low == _DOCTYPE_LOW:
            end = find(data, start + 7, GREATER)
            return DOCTYPE, start + 7, end, min(end + 1, n)
        if foreign and np.all(data[start : start + 7] == _CDATA):
            end = find(data, start + 7, BRACKET)
            while end < n and not (end + 2 < n and data[end + 1] == BRACKET and data[end + 2] == GREATER):
                end = find(data, end + 1, BRACKET)
            return CDATA, start + 7, end, min(end + 3, n)
    end = find(data, start, GREATER)
    return COMMENT, start, end, min(end + 1, n)


@kernel
def _comment_end(data, start):
    """(end, position after it) of the comment whose content begins at `start`.

    "-->" and "--!>" end it, and right at its start ">" and "->" do too.
    """
    n = len(data)
    if start < n and data[start] == GREATER:
        return start, start + 1
    if start + 1 < n and data[start] == DASH and data[start + 1] == GREATER:
        return start, start + 2
    i = find(data, start, GREATER)
    while i < n:
        for closing in range(2, 4):
            if _ends_in_dashes(data, start, i, closing):
                return i - closing, i + 1
        i = find(data, i + 1, GREATER)
    for closing in (3, 2):
        if _ends_in_dashes(data, start, n, closing):
            return n - closing, n
    return (n - 1 if start < n and data[n - 1] == DASH else n), n


@kernel
def _ends_in_dashes(data, start, end, closing):
    """Whether data[start:end] ends in "--" (closing 2) or "--!" (closing 3)."""
    first = end - closing
    return (
        first >= start and data[first] == DASH and data[first + 1] == DASH and (closing == 2 or data[first + 2] == BANG)
    )


@kernel
def raw_text_end(data, i, low, high):
    """The end of the raw text from `i` on: the "</" of the end tag of the name (low, high), or len(data).

    In a script, "<!--" and then "<script" make the next "</script" part of the text, up to "-->" (13.2.5.15 to .31).
    """
    n = len(data)
    is_script = low == _SCRIPT_LOW
    comment_end = -1  # of the "<!--" that the script is in
    nested = False
    while True:
        i = find(data, i, LESS)
        if i >= n:
            return n
        if comment_end >= 0 and i >= comment_end:
            comment_end, nested = -1, False
        if i + 1 < n and data[i + 1] == SLASH:
            if _is_name(data, i + 2, low, high):
                if not nested:
                    return i
                nested = False
        elif is_script and comment_end >= 0:
            nested |= _is_name(data, i + 1, low, high)
        elif is_script and i + 3 < n and data[i + 1] == BANG and data[i + 2] == DASH and data[i + 3] == DASH:
            comment_end = find(data, i + 4, GREATER)
            while comment_end < n and not _ends_in_dashes(data, i + 2, comment_end, 2):
                comment_end = find(data, comment_end + 1, GREATER)
        i += 1


@kernel
def _is_name(data, i, low, high):
    """Whether the name stands at `i`, and ends there. Reads 17 bytes at most."""
    end = i
    while end < min(len(data), i + 16) and is_letter(data[end]):
        end += 1
    if end >= len(data) or not (is_space(data[end]) or data[end] == SLASH or data[end] == GREATER):
        return False
    return pack(data, i, end) == (low, high)
