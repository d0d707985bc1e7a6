"""The attributes that the tree keeps, by number, and the values of some that hide text or open a shadow root."""

import numpy as np

from cleaners.extraction.html.names import pack, table_of, words_of
from shards.compiled import kernel

NAMES = (
    "alt aria-hidden aria-label cite class colspan content data-lazy-src data-original data-src datetime dir hidden "
    "href http-equiv id itemprop itemscope itemtype lang name open property rel role rowspan src srcset start style "
    "title type value shadowrootmode data-latex data-tex data-formula"
).split()
ATTRIBUTES = {name: number for number, name in enumerate(NAMES, 1)}
ATTRIBUTE_TABLE = table_of(NAMES, 1)
assert len(NAMES) < 64  # a mask has a bit for each attribute of a tag, and drops later duplicates

ALT, ARIA_HIDDEN, ARIA_LABEL, CITE, CLASS, CONTENT, DATETIME, HIDDEN, HREF, ID = map(
    ATTRIBUTES.__getitem__, "alt aria-hidden aria-label cite class content datetime hidden href id".split()
)
ITEMPROP, ITEMTYPE, LANG, NAME, PROPERTY, REL, ROLE, SRC, START, STYLE, TYPE = map(
    ATTRIBUTES.__getitem__, "itemprop itemtype lang name property rel role src start style type".split()
)
DATA_LATEX, DATA_TEX, DATA_FORMULA = map(ATTRIBUTES.__getitem__, "data-latex data-tex data-formula".split())
COLSPAN, ROWSPAN, OPEN, TITLE, VALUE, DIR, SHADOWROOTMODE = map(
    ATTRIBUTES.__getitem__, "colspan rowspan open title value dir shadowrootmode".split()
)


def _words(name: str) -> tuple[np.uint64, np.uint64]:
    low, high, _ = words_of(name)
    return np.uint64(low), np.uint64(high)


_DISPLAY, _VISIBILITY, _NONE, _COLLAPSE = map(_words, ("display", "visibility", "none", "collapse"))
_HIDDEN_WORD, _TRUE, _OPEN, _CLOSED = map(_words, ("hidden", "true", "open", "closed"))


@kernel
def is_hidden_word(data, start, end):
    return pack(data, start, end) == _HIDDEN_WORD


@kernel
def is_true(data, start, end):
    return pack(data, start, end) == _TRUE


@kernel
def is_open_or_closed(data, start, end):
    word = pack(data, start, end)
    return word in (_OPEN, _CLOSED)


@kernel
def style_hides(data, start, end):
    """Whether an inline style says `display: none`, `visibility: hidden` or `visibility: collapse`."""
    i = start
    while i < end:
        stop = i
        colon = -1
        while stop < end and data[stop] != 59:  # ";"
            if data[stop] == 58 and colon < 0:
                colon = stop
            stop += 1
        if colon >= 0:
            name = pack(data, *_trim(data, i, colon))
            value_start, value_end = _trim(data, colon + 1, stop)
            word_end = value_start  # "none !important"
            while word_end < value_end and data[word_end] > 32 and data[word_end] != 33:
                word_end += 1
            value = pack(data, value_start, word_end)
            if name == _DISPLAY and value == _NONE:
                return True
            if name == _VISIBILITY and (value in (_HIDDEN_WORD, _COLLAPSE)):
                return True
        i = stop + 1
    return False


@kernel
def _trim(data, start, end):
    while start < end and data[start] <= 32:
        start += 1
    while end > start and data[end - 1] <= 32:
        end -= 1
    return start, end
