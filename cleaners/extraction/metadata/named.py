"""Elements that are named for authors or dates: by `class`, `id`, `itemprop`, `rel`, or by a link to an author's page.

    <p class="byline">By <a href="/authors/ann">Ann</a></p> <span id="post-date">5 March 2020</span>

Those after the heading come first, since pages begin with menus and teasers. Elements of comments, related pages,
pictures and side columns are left out, and so are names that a page repeats as lists do.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from itertools import chain

import numpy as np

from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import IN_TEMPLATE, Tree
from cleaners.extraction.html.tags import TAGS, TEXT
from cleaners.extraction.json_ld import value_of
from cleaners.extraction.metadata.beside import lines_beside
from cleaners.extraction.metadata.dates_in_text import MAX_DATE_CHARS
from cleaners.extraction.metadata.elements import clean, text_of
from shards.compiled import kernel

_AUTHOR, _DATE, _OTHERS, _PUBLISHED = 1, 2, 4, 8  # bits of a node's mark
_WORDS = {
    _AUTHOR: "author autor auteur byline by-line writer reporter journalist contributor columnist verfasser posted-by"
    " postedby written-by zuozhe forfatter skribent redaktor kirjoittaja yazar",
    _DATE: "date publish posted pubtime pub-time time datum fecha created",
    _PUBLISHED: "datepublished",  # schema.org
    _OTHERS: "comment related sidebar recommend popular promo teaser newsletter review rating testimonial customer"
    " caption credit copyright authoris authoriz authority",
}
# In addresses of pages of authors.
_PATHS = (
    "/author/ /authors/ /autor/ /autoren/ /autores/ /auteur/ /auteurs/ /autore/ /autori/ /writer/ /writers/ /staff/"
    " /contributor/ /contributors/ /journalist/ /journalists/ /reporter/ /reporters/ /columnist/ /columnists/"
)
_MAX_NAMES_CHARS = 250  # of the text of an element that holds names: longer ones are biographies
_MAX_BYTES = 10_000  # of such an element, with its markup
_MAX_CANDIDATES = 40  # that are looked at on a page
_MAX_REPEATS = 3  # different texts in elements of one tag and class; with more they are a list's
_SLASH = 47
_FIGURE, _FIGCAPTION = TAGS["figure"], TAGS["figcaption"]
_NEXT = 30  # nodes from one author to the next
_NEAR = 100  # nodes beside the heading, where a byline is the page's even if lists have the same


def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Words one after another, their rows (begin, end, bit, whether it is for addresses), and two tables by first byte.

    Rows are sorted. One table has the first row of each byte, and the other the second bytes as a mask of their lowest
    five bits.
    """
    words = [(word, bit, False) for bit, some in _WORDS.items() for word in some.split()]
    words += [(path, _AUTHOR, True) for path in _PATHS.split()]
    words.sort()
    rows, joined = [], b""
    for word, bit, in_address in words:
        rows.append((len(joined), len(joined) + len(word), bit, in_address))
        joined += word.encode()
    firsts = [sum(ord(word[0]) < byte for word, _, _ in words) for byte in range(257)]
    seconds = np.zeros(256, np.uint32)
    for word, _, _ in words:
        seconds[ord(word[0])] |= np.uint32(1 << (ord(word[1]) & 31))
    return np.frombuffer(joined, np.uint8), np.array(rows, np.int32), np.array(firsts, np.int32), seconds


_BYTES, _ROWS, _FIRSTS, _SECONDS = _table()


class Named:
    """The elements of one page that are named for authors or dates, and the lines beside its heading.

    All are looked for when first asked for, since most pages declare what is wanted.
    """

    def __init__(self, data: np.ndarray, tree: Tree, heading: int) -> None:
        self._data, self._tree, self._heading = data, tree, heading
        self._by_bit: dict[int, list[int]] = {}

    @cached_property
    def lines(self) -> list[str]:
        return lines_beside(self._data, self._tree, self._heading)

    def dates(self) -> Iterator[tuple[str, str]]:
        """(class and id, text) of elements that are named for dates."""
        for node in chain.from_iterable(find(_DATE) for find in (self._near, self._far)):
            text = self._hidden_value(node) or clean(text_of(self._data, self._tree, node))
            if len(text) <= MAX_DATE_CHARS:
                yield " ".join(self._value(node, k) for k in (attributes.CLASS, attributes.ID)), text

    def authors(self) -> Iterator[tuple[list[str], bool]]:
        """The texts in each element that is named for authors, apart, and whether it is marked up as an author's.

        With microdata or `rel=author` it need not resemble a name. Marked elements that follow each other closely are
        the authors of one page.
        """
        near = self._near(_AUTHOR)
        yield from self._bylines(near, {node for node in near if self._is_marked(node)})
        far = self._far(_AUTHOR)
        marked = {node for node in far if self._is_marked(node)}
        yield from self._bylines(sorted(far, key=lambda node: node not in marked), marked)

    def _bylines(self, candidates: list[int], marked: set[int]) -> Iterator[tuple[list[str], bool]]:
        parts_of, done = self._parts(candidates), set[int]()
        for node in candidates:
            if node in done:
                continue
            nodes = _run_around(sorted(marked), node) if node in marked else [node]
            done.update(nodes)
            parts = [part for one in nodes for part in parts_of[one]]
            if 0 < sum(map(len, parts)) <= _MAX_NAMES_CHARS:
                yield parts, node in marked

    def published(self) -> Iterator[str]:
        """The values of elements with `itemprop=datePublished` that are not shown."""
        for node in self._nodes(_PUBLISHED):
            yield self._hidden_value(node)

    def _hidden_value(self, node: int) -> str:
        return self._value(node, attributes.CONTENT) or self._value(node, attributes.DATETIME)

    @cached_property
    def _marks(self) -> np.ndarray:
        marks: np.ndarray = _marks(self._data, self._tree, self._heading)
        return marks

    def _near(self, bit: int) -> list[int]:
        """Nodes with a bit beside the heading: those after it, then those before it, the nearest first."""
        heading, nodes = self._heading, self._nodes(bit)
        after = [node for node in nodes if heading < node <= heading + _NEAR]
        before = [node for node in nodes if heading - _NEAR <= node < heading]
        return [*after, *reversed(before)] if heading >= 0 else []

    def _far(self, bit: int) -> list[int]:
        """Other nodes with a bit, those after the heading first, without names that repeat as in lists."""
        near = set(self._near(bit))
        ordered = sorted(self._nodes(bit), key=lambda node: (node < self._heading, abs(node - self._heading)))
        far = [node for node in ordered if node not in near][:_MAX_CANDIDATES]
        texts: dict[tuple[int, str], set[str]] = defaultdict(set)
        kinds = [(int(self._tree.nodes[node]["tag"]), self._value(node, attributes.CLASS)) for node in far]
        for node, kind in zip(far, kinds, strict=True):
            texts[kind].add(text_of(self._data, self._tree, node))
        return [node for node, kind in zip(far, kinds, strict=True) if len(texts[kind]) <= _MAX_REPEATS]

    def _nodes(self, bit: int) -> list[int]:
        """Nodes with a bit outside of other things, not longer than bylines are."""
        if bit not in self._by_bit:
            nodes = np.flatnonzero((self._marks & (bit | _OTHERS)) == bit)
            sizes = self._tree.nodes["end"][nodes] - self._tree.nodes["start"][nodes]
            self._by_bit[bit] = nodes[sizes <= _MAX_BYTES].tolist()
        return self._by_bit[bit]

    def _is_marked(self, node: int) -> bool:
        return (
            self._value(node, attributes.ITEMPROP).lower() == "author"
            or "author" in self._value(node, attributes.REL).lower().split()
        )

    def _parts(self, candidates: list[int]) -> dict[int, list[str]]:
        """The `content` of each element, or the texts of the text nodes in it.

        Of an element that holds others of `candidates`, only the texts in these count: <p class=byline><b
        class=author>Ann Lee</b>, <i>Mill Courier</i></p>.
        """
        nodes = self._tree.nodes
        parts: dict[int, list[str]] = {}
        for node in sorted(candidates, reverse=True):  # what is in an element comes before it
            after = int(nodes[node]["after"])
            texts: list[str] = []
            end = node
            for i in reversed(parts):
                if end <= i < after:  # else it stands in the one before, or after all
                    texts += parts[i]
                    end = int(nodes[i]["after"])
            if content := self._value(node, attributes.CONTENT):
                texts = [content]
            elif not texts:
                inside = np.flatnonzero(nodes["tag"][node:after] == TEXT) + node
                texts = [text for i in inside.tolist() if (text := clean(text_of(self._data, self._tree, i)))]
            parts[node] = texts
        return parts

    def _value(self, node: int, attribute: int) -> str:
        return value_of(self._data, self._tree, node, attribute).strip()


def _run_around(nodes: list[int], node: int) -> list[int]:
    """Those of sorted `nodes` that follow each other closely and include `node`."""
    run: list[int] = []
    for other in nodes:
        if run and other - run[-1] > _NEXT:
            if node in run:
                break
            run = []
        run.append(other)
    return run


@kernel
def _marks(data, tree, heading):
    """uint8[nodes]: the bits of the words in the names of each node, and _OTHERS for all in an element of others.

    An element that holds the heading is named for what it may have among other things, and so is <body>.
    """
    nodes = tree.nodes
    out = np.zeros(len(nodes), np.uint8)
    for i in range(1, len(nodes)):
        for k in range(nodes[i].first_attribute, nodes[i].end_attribute):
            name = tree.attributes[k].name
            if name in (attributes.CLASS, attributes.ID, attributes.ITEMPROP, attributes.REL):
                out[i] |= _bits(data, tree.attributes[k].start, tree.attributes[k].end, False)
            elif name == attributes.HREF:
                out[i] |= _bits(data, tree.attributes[k].start, tree.attributes[k].end, True)
        if nodes[i].tag == _FIGURE or nodes[i].tag == _FIGCAPTION:
            out[i] |= _OTHERS
        if nodes[i].flags & IN_TEMPLATE:
            out[i] = 0
        is_whole = i <= heading < nodes[i].after or 2 * (nodes[i].after - i) > len(nodes)
        out[i] = (out[i] & ~_OTHERS if is_whole else out[i]) | (out[nodes[i].parent] & _OTHERS)
    return out


@kernel
def _bits(data, start, end, in_address):
    bits = 0
    for i in range(start, end - 1):
        c = data[i] | 32
        if not _SECONDS[c] >> (data[i + 1] & 31) & 1 or (in_address and c != _SLASH):
            continue
        for row in range(_FIRSTS[c], _FIRSTS[c + 1]):
            begin, size = _ROWS[row, 0], _ROWS[row, 1] - _ROWS[row, 0]
            if _ROWS[row, 3] != in_address or i + size > end:
                continue
            equal = 1
            while equal < size and (data[i + equal] | 32) == (_BYTES[begin + equal] | 32):
                equal += 1
            if equal == size:
                bits |= _ROWS[row, 2]
    return bits
