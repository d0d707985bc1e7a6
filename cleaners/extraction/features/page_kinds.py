"""What kind of page it is: four linear scores that tell the forests whether comments, teasers and rows are its text.

Readers' comments are main text in a thread and none below an article, and a row of prices is in a list of products and
not beside a review. Each score is a logistic regression over the page as a whole: the names of its elements
(`hashing`), the words of its title and of its short lines ("Reply", "Add to cart"), the names in the addresses that it
links to ("showthread", "cart"), and the program that its `generator` names. Each counts once, however often it stands
on the page.
"""

from typing import NamedTuple

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.features.columns import PageKind
from cleaners.extraction.features.hashing import EMPTY, hash_of, hash_small, step
from cleaners.extraction.features.template_counts import title_words
from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.nodes import attribute_of
from cleaners.extraction.html.tags import TAGS
from cleaners.extraction.html.tokenizer import is_letter
from shards.compiled import kernel

SLOTS = 1 << 15  # with 2^18 the area under the curve of threads is .984 instead of .982
# Values of `page_type` of the labelled pages. Pages of other types have none of the kinds.
KINDS = {
    PageKind.THREAD: ("forum",),
    PageKind.LIST: ("listing", "collection"),
    PageKind.PRODUCT: ("product",),
    PageKind.SERVICE: ("service",),
}
NUM_KINDS = len(KINDS)
_MAX_WORDS = 4  # of a short line
# They set words apart from names.
_IN_LINE, _IN_TITLE, _IN_ADDRESS, _IN_GENERATOR = np.array([0x27D4EB2F, 0x165667B1, 0x85EBCA6B, 0x5BD1E995], np.uint32)
_MIN_NAME, _MAX_NAME = 2, 14  # letters of a name in an address; longer ones are words of a title
_MIN_GENERATOR = 3  # letters
_MIN_SHARED = 8  # bytes: longer than the scheme, so that both addresses have it or none
_COLON, _SLASH = 58, 47
_META, _GENERATOR = TAGS["meta"], np.uint32(hash_of("generator"))
_PASSES, _RATE, _DECAY, _FIRST_SQUARE = 6, 0.3, 1e-4, 0.3
_KIND_WEIGHT = 4.0  # of a page that is of the kind: few are


class KindModel(NamedTuple):
    """The four regressions."""

    weights: np.ndarray  # float32[SLOTS, NUM_KINDS]
    bias: np.ndarray  # float32[NUM_KINDS]


@kernel
def page_slots(data, page):
    """int32[…]: the slots of what the page has, each once."""
    seen = np.zeros(SLOTS, np.bool_)
    out = np.empty(SLOTS, np.int32)
    return out[: _write_slots(data, page, seen, out)].copy()


@kernel
def _write_slots(data, page, seen, out):
    """As `page_slots`, to `out`; return their number."""
    data, page, seen, out = borrowed(data), borrowed(page), borrowed(seen), borrowed(out)
    at = 0
    for i in range(len(page.tree.nodes)):
        if page.alike[i] == i:
            for k in range(page.token_offsets[i], page.token_offsets[i + 1]):
                at = _add(page.tokens[k], seen, out, at)
    measured = page.measured
    for b in range(len(page.blocks)):
        if measured.offsets[b + 1] - measured.offsets[b] <= _MAX_WORDS:
            for k in range(measured.offsets[b], measured.offsets[b + 1]):
                at = _add(measured.words[k] ^ _IN_LINE, seen, out, at)
    title, number = title_words(data, page.tree.nodes)
    for k in range(number):
        at = _add(title[k] ^ _IN_TITLE, seen, out, at)
    before = -1  # the address before
    for i in range(len(page.tree.nodes)):
        tag = page.tree.nodes[i].tag
        if tag == tags.A:
            address = attribute_of(page.tree, i, attributes.HREF)
            if address >= 0:
                kept = page.tree.attributes
                known = _num_shared(data, kept[before], kept[address]) if before >= 0 else 0
                at = _add_names(data, kept[address], known, seen, out, at)
                before = address
        elif tag == _META and _is_generator(data, page.tree, i):
            content = attribute_of(page.tree, i, attributes.CONTENT)
            if content >= 0:
                start, end = page.tree.attributes[content].start, page.tree.attributes[content].end
                at = _add_letters(data, start, end, _MIN_GENERATOR, end, _IN_GENERATOR, seen, out, at)
    return at


@kernel(inline="always")
def _add(token, seen, out, at):
    slot = (token ^ (token >> np.uint32(15))) & np.uint32(SLOTS - 1)
    if seen[slot]:
        return at
    seen[slot] = True
    out[at] = slot
    return at + 1


@kernel(inline="always")
def _num_shared(data, one, other):
    """How many bytes two addresses have in common at their beginning, up to the end of a name."""
    most = min(one.end - one.start, other.end - other.start)
    number = 0
    while number < most and data[one.start + number] == data[other.start + number]:
        number += 1
    while number > 0 and is_letter(data[other.start + number - 1]):
        number -= 1
    return number if number >= _MIN_SHARED else 0


@kernel
def _add_names(data, address, known, seen, out, at):
    """Add the names in an address, without scheme and host: "https://a.org/forum/view?t=5" is "forum", "view".

    The names in its first `known` bytes were added before.
    """
    start, end = address.start, address.end
    for colon in range(start + 4, min(start + 6, end - 2)):  # of http: or https:
        if data[colon] == _COLON and data[colon + 1] == _SLASH:
            start = colon + 3
            while start < end and data[start] != _SLASH:
                start += 1
    start = max(start, address.start + known)
    return _add_letters(data, start, end, _MIN_NAME, _MAX_NAME, _IN_ADDRESS, seen, out, at)


@kernel
def _is_generator(data, tree, node):
    name = attribute_of(tree, node, attributes.NAME)
    if name < 0:
        return False
    return hash_small(data, tree.attributes[name].start, tree.attributes[name].end) == _GENERATOR


@kernel
def _add_letters(data, start, end, least, most, mark, seen, out, at):
    """Add the runs of `least` to `most` ASCII letters in data[start:end]."""
    word, length = EMPTY, 0
    for k in range(start, end + 1):
        c = np.uint8(data[k] | 32) if k < end else np.uint8(32)
        if 97 <= c <= 122:
            word = step(word, c)
            length += 1
            continue
        if least <= length <= most:
            at = _add(word ^ mark, seen, out, at)
        word, length = EMPTY, 0
    return at


@kernel
def write_page_kinds(data, page, model, x):
    """The scores of `KINDS`, by sqrt(slots) as those of words, in all rows of `x`."""
    slots = page_slots(data, page)
    scores = np.zeros(NUM_KINDS, np.float32)
    for slot in slots:
        for kind in range(NUM_KINDS):
            scores[kind] += model.weights[slot, kind]
    for kind in range(NUM_KINDS):
        x[:, PageKind.THREAD + kind] = model.bias[kind] + scores[kind] / np.sqrt(np.float32(max(len(slots), 1)))


def fit_kinds(slots: list[np.ndarray], kinds: list[str], seed: int) -> KindModel:
    """The regressions of pages labelled by hand, by AdaGrad (Duchi et al. 2011). Weights are rounded to float16."""
    model = KindModel(np.zeros((SLOTS, NUM_KINDS), np.float32), np.zeros(NUM_KINDS, np.float32))
    squares = KindModel(*(np.full_like(part, _FIRST_SQUARE) for part in model))
    wanted = np.array([[kind in names for names in KINDS.values()] for kind in kinds], np.float32)
    offsets = np.cumsum([0, *map(len, slots)])
    joined = np.concatenate([*slots, np.zeros(0, np.int32)])
    random = np.random.default_rng(seed)
    for _ in range(_PASSES):
        _learn(joined, offsets, wanted.reshape(-1, NUM_KINDS), random.permutation(len(slots)), model, squares)
    return KindModel(*(part.astype(np.float16).astype(np.float32) for part in model))


@kernel
def _learn(joined, offsets, wanted, order, model, squares):
    for page in order:
        slots = joined[offsets[page] : offsets[page + 1]]
        by = np.float32(1 / np.sqrt(max(len(slots), 1)))
        for kind in range(NUM_KINDS):
            score = model.bias[kind]
            for slot in slots:
                score += model.weights[slot, kind] * by
            error = np.float32(1 / (1 + np.exp(-score))) - wanted[page, kind]
            error *= np.float32(_KIND_WEIGHT) if wanted[page, kind] > 0 else np.float32(1)
            squares.bias[kind] += error * error
            model.bias[kind] -= np.float32(_RATE) * error / np.sqrt(squares.bias[kind])
            for slot in slots:
                gradient = error * by + np.float32(_DECAY) * model.weights[slot, kind]
                squares.weights[slot, kind] += gradient * gradient
                model.weights[slot, kind] -= np.float32(_RATE) * gradient / np.sqrt(squares.weights[slot, kind])
