"""The title of a page, without the name of its site."""

import re
from typing import Any, NamedTuple

import numpy as np

from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tags import TAGS
from cleaners.extraction.metadata.address import letters
from cleaners.extraction.metadata.dates_in_text import read_date
from cleaners.extraction.metadata.declared import Metas, string_of
from cleaners.extraction.metadata.elements import clean, first, outer, text_of, texts
from cleaners.extraction.prose import unescape

_TITLE_NAMES = (
    "og:title", "twitter:title", "citation_title", "dc.title", "dcterms.title", "parsely-title", "sailthru.title",
    "headline",
)  # fmt: skip
_H1, _H2 = TAGS["h1"], TAGS["h2"]
# Between a title and the name of its site. "mill-house" and "mill: a story" have no site.
_SEPARATOR = re.compile(r"\s+[-–—·•»«*]+\s+|\s*[|｜ㅣ_]+\s*")
_COLON = re.compile(r"\s*[:：]\s+|：")  # "CNN: a story", where the page says that it is of CNN
_PERMALINKS = " ¶#§"  # shown beside headings of manuals
_MARKS = " •·|,-–"
_WORD = re.compile(r"\w+")
_WIDE = re.compile(r"[\u3040-\u9fff\uac00-\ud7af]")
_MIN_SHARED = 0.3  # of the words of the shorter of a heading and a declared title, if they are of the same story
_MIN_LENGTH = (
    0.6  # of a heading, as a share of the shortest declared title: shorter ones are names of sites and rubrics
)


class Title(NamedTuple):
    """The title of a page, and the node of the heading that shows it, or -1."""

    text: str
    heading: int


def title_of(data: np.ndarray, tree: Tree, metas: Metas, things: list[dict[str, Any]], sites: set[str]) -> Title:
    """The title as readers see it: the <h1> that tells the story that <meta>, JSON-LD or <title> declare.

    What <meta> and JSON-LD both declare counts more, and without such an <h1> the first that is declared counts. The
    site's name is cut from either end if the page proves that it is one: by its metadata, by its address (`sites`, in
    letters), or by a heading that is the rest.
    """
    nodes = list(outer(tree, _H1))
    headings = [clean(text_of(data, tree, node)).strip(_PERMALINKS) for node in nodes]
    by_meta = first(clean(metas.one(name)) for name in _TITLE_NAMES)
    by_json = first(clean(unescape(string_of(thing, "headline"))) for thing in things)
    by_title = first(clean(text) for text in texts(data, tree, tags.TITLE))
    declared = [_without_site(text, headings, sites) for text in (by_meta, by_json, by_title) if text]
    if not declared:
        return Title(first(headings), nodes[headings.index(first(headings))] if first(headings) else -1)
    at = _own_heading(headings, declared, sites)
    node = nodes[at] if at >= 0 else _node_of(data, tree, declared)
    agreed = by_meta and by_json and letters(declared[0]) == letters(declared[1])
    if at < 0 or agreed or _adds_nothing(headings[at], declared[0]):
        return Title(declared[0], node)
    return Title(headings[at], node)


def _adds_nothing(heading: str, title: str) -> bool:
    """Whether a heading is the title with a rubric before it or a date after it, or its words in another order."""
    more = heading.removeprefix(title)
    return (
        heading.endswith(title)
        or _words(heading) == _words(title)
        or (more != heading and read_date(more.strip(_MARKS)) is not None)
    )


def _own_heading(headings: list[str], declared: list[str], sites: set[str]) -> int:
    """The index of the heading that shares most words with a declared title, or -1 if none shares enough."""
    min_letters = _MIN_LENGTH * min(len(letters(title)) for title in declared)
    shares = [
        max(_shared(heading, title) for title in declared)
        if len(letters(heading)) >= min_letters and letters(heading) not in sites
        else 0.0
        for heading in headings
    ]
    best = max(shares, default=0.0)
    return shares.index(best) if best >= _MIN_SHARED else -1


def _shared(one: str, other: str) -> float:
    """The words that two titles have in common, as a share of the shorter's; of one word they have all or none."""
    a, b = _words(one), _words(other)
    return len(a & b) / min(len(a), len(b)) if a and b else 0.0


def _words(text: str) -> set[str]:
    """Words, or pairs of characters where there are no spaces between words."""
    text = text.casefold()
    if _WIDE.search(text):
        text = letters(text)
        return {text[i : i + 2] for i in range(len(text) - 1)}
    return set(_WORD.findall(text))


def _node_of(data: np.ndarray, tree: Tree, declared: list[str]) -> int:
    """The <h2> that shows a declared title, or -1."""
    wanted = {letters(title) for title in declared}
    return next((node for node in outer(tree, _H2) if letters(clean(text_of(data, tree, node))) in wanted), -1)


def _without_site(title: str, headings: list[str], sites: set[str]) -> str:
    return _heading_in(_cut(title, sites), headings, sites) or _cut(title, sites)


def _cut(title: str, sites: set[str]) -> str:
    """The title without a name of the site at either end."""
    for mark in (*_SEPARATOR.finditer(title), *_COLON.finditer(title)):
        before, after = title[: mark.start()], title[mark.end() :]
        if before and letters(after) in sites:
            return before
        if after and letters(before) in sites:
            return after
    return title


def _heading_in(title: str, headings: list[str], sites: set[str]) -> str:
    """The longest heading that is a part of the title, or "".

    Old pages have the site's name as <h1>. So a heading that is not the first part, or resembles the site, counts only
    if it is longer than the other parts.
    """
    marks = _SEPARATOR.finditer(title)
    parts = {title, *_SEPARATOR.split(title)}.union(*({title[: m.start()], title[m.end() :]} for m in marks))
    heading = max((heading for heading in headings if heading in parts), key=len, default="")
    if title.startswith(heading) and not any(len(site) > 2 and site in letters(heading) for site in sites):
        return heading
    return heading if len(heading) >= max(map(len, _SEPARATOR.split(title.replace(heading, "")))) else ""
