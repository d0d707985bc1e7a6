"""The title of a page, without the name of its site."""

import re
from typing import Any

import numpy as np

from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tags import TAGS
from cleaners.extraction.metadata.address import hosts, letters
from cleaners.extraction.metadata.declared import string_of
from cleaners.extraction.metadata.elements import clean, first, texts
from cleaners.extraction.prose import unescape

_TITLE_NAMES = ("og:title", "twitter:title", "dc.title", "dcterms.title", "parsely-title", "sailthru.title", "headline")
_H1 = TAGS["h1"]
# Between a title and the name of its site. "mill-house" and "mill: a story" have no site.
_SEPARATOR = re.compile(r"\s+[-–—·•»«]+\s+|\s*[|｜_]+\s*")
_COLON = re.compile(r"\s*:\s+")  # "CNN: a story", where the page says that it is of CNN


def title_of(data: np.ndarray, tree: Tree, metas: dict[str, str], things: list[dict[str, Any]], url: str) -> str:
    """The title by <meta>, else JSON-LD, else <title>, else the first <h1>.

    The site's name is cut from either end if the page proves that it is one: by its metadata, by its address, or by an
    <h1> that is the rest.
    """
    declared = first(clean(metas.get(name, "")) for name in _TITLE_NAMES)
    declared = declared or first(clean(unescape(string_of(thing, "headline"))) for thing in things)
    declared = declared or first(clean(text) for text in texts(data, tree, tags.TITLE))
    headings = [clean(text) for text in texts(data, tree, _H1)]
    names = hosts(url)
    title = _without_site(declared, {letters(metas.get("og:site_name", "")), *names} - {""})
    return _heading_of(title, headings, names) or title or first(headings)


def _without_site(title: str, sites: set[str]) -> str:
    for mark in (*_SEPARATOR.finditer(title), *_COLON.finditer(title)):
        before, after = title[: mark.start()], title[mark.end() :]
        if before and letters(after) in sites:
            return before
        if after and letters(before) in sites:
            return after
    return title


def _heading_of(title: str, headings: list[str], names: set[str]) -> str:
    """The longest heading that is a part of the title, or "".

    Old pages have the site's name as <h1>. So a heading that is not the first part, or resembles the address, counts
    only if it is longer than the other parts.
    """
    marks = _SEPARATOR.finditer(title)
    parts = {title, *_SEPARATOR.split(title)}.union(*({title[: m.start()], title[m.end() :]} for m in marks))
    heading = max((heading for heading in headings if heading in parts), key=len, default="")
    if title.startswith(heading) and not any(len(host) > 2 and host in letters(heading) for host in names):
        return heading
    return heading if len(heading) >= max(map(len, _SEPARATOR.split(title.replace(heading, "")))) else ""
