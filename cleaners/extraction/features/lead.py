"""Features of where the text begins: the block that says the title of the page, and the one that the page's
description was taken from (`Lead`).

The first <h1> is the name of a blog as often as the title of a post.
"""

import numpy as np

from cleaners.extraction.features.columns import Lead, Position, TemplateCount
from cleaners.extraction.features.hashing import hash_of, hash_small
from cleaners.extraction.features.measures import MAX_WORDS, hash_value_words
from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import attribute_of
from cleaners.extraction.html.tags import TAGS
from shards.compiled import kernel

_META = TAGS["meta"]
_NAMES = np.array([hash_of(name) for name in ("description", "og:description", "twitter:description")], np.uint32)
_HEADING_GAIN = np.float32(1.3)  # of a heading's overlap with the title over that of another block
_MIN_DESCRIPTION, _MIN_BLOCK = 5, 4  # words that are compared
_NONE = np.float32(-999)
_FILTER = 1024  # slots that say which words of a block may be the description's: most are not


@kernel
def write_lead(data, page, x):
    """Needs the columns of `Position` and `TemplateCount`."""
    words = np.empty(MAX_WORDS, np.uint32)
    num_words = _description(data, page.tree, words)
    may_be = np.zeros(_FILTER, np.bool_)
    for j in range(num_words):
        may_be[words[j] & (_FILTER - 1)] = True
    title = lead = -1
    overlap = described = np.float32(0)
    for b in range(len(x)):
        row = x[b]
        here = row[TemplateCount.TITLE_OVERLAP] * (_HEADING_GAIN if row[Position.HEADING] else np.float32(1))
        if here > overlap:
            overlap, title = here, b
        row[Lead.DESCRIPTION] = _share(page.measured, b, words, num_words, may_be)
        if row[Lead.DESCRIPTION] > described:
            described, lead = row[Lead.DESCRIPTION], b
    for b in range(len(x)):
        x[b, Lead.TITLE] = overlap
        x[b, Lead.SINCE_TITLE] = b - title if title >= 0 else _NONE
        x[b, Lead.SINCE_DESCRIPTION] = b - lead if lead >= 0 else _NONE


@kernel(inline="always")
def _share(measured, b, words, num_words, may_be):
    """The share of words of block `b` in the description, of the longer of both; -1 without a description."""
    if num_words < _MIN_DESCRIPTION:
        return np.float32(-1)
    first, end = measured.offsets[b], measured.offsets[b + 1]
    if end - first < _MIN_BLOCK:
        return np.float32(0)
    common = 0
    for k in range(first, end):
        word = measured.words[k]
        if may_be[word & (_FILTER - 1)]:
            for j in range(num_words):
                if words[j] == word:
                    common += 1
                    break
    return np.float32(common / max(end - first, num_words))


@kernel
def _description(data, tree, words):
    """Hash the words of the first description that is long enough into `words`; return their number."""
    for i in range(len(tree.nodes)):
        if tree.nodes[i].tag != _META:
            continue
        content = attribute_of(tree, i, attributes.CONTENT)
        if content >= 0 and (_says(data, tree, i, attributes.NAME) or _says(data, tree, i, attributes.PROPERTY)):
            number = hash_value_words(data, tree.attributes[content].start, tree.attributes[content].end, words)
            if number >= _MIN_DESCRIPTION:
                return number
    return 0


@kernel
def _says(data, tree, node, name):
    """Whether an attribute of `node` says that it is a description."""
    value = attribute_of(tree, node, name)
    if value < 0:
        return False
    return (hash_small(data, tree.attributes[value].start, tree.attributes[value].end) == _NAMES).any()
