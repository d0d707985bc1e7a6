"""Title, author, date, address and language as a page declares them: <meta>, JSON-LD, <time>, <title>, <h1>, its URL.

Nothing is taken from running text, which names the dates and people of other things.
"""

import datetime
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import numpy as np

from cleaners.extraction import attributes, tags
from cleaners.extraction.json_ld import ld_objects, types_of, value_of
from cleaners.extraction.nodes import FOREIGN, Tree
from cleaners.extraction.tags import TAGS
from cleaners.extraction.text import max_text_bytes, write_text

MAX_TITLE_CHARS = 1_000
_MAX_AUTHOR_CHARS = 200
_FIRST_YEAR = 1995
_META, _LINK, _H1, _TIME = (TAGS[name] for name in "meta link h1 time".split())
_ARTICLES = {
    "article", "newsarticle", "blogposting", "report", "techarticle", "scholarlyarticle", "socialmediaposting",
    "liveblogposting", "reportagenewsarticle", "opinionnewsarticle", "analysisnewsarticle", "reviewnewsarticle",
    "discussionforumposting", "question", "recipe", "howto", "product", "event", "jobposting", "videoobject", "book",
    "webpage", "creativework",
}  # fmt: skip
_TITLE_NAMES = ("og:title", "twitter:title", "dc.title", "dcterms.title", "parsely-title", "sailthru.title", "headline")
_AUTHOR_NAMES = (
    "author", "article:author", "dc.creator", "dcterms.creator", "parsely-author", "sailthru.author", "byl", "byline",
    "twitter:creator",
)  # fmt: skip
_DATE_NAMES = (
    "article:published_time", "og:published_time", "datepublished", "dc.date.issued", "dcterms.issued",
    "dcterms.created", "dc.date", "dcterms.date", "parsely-pub-date", "sailthru.date", "pubdate", "publishdate",
    "publish-date", "publication_date", "article.published", "date", "og:article:published_time",
    "cxenseparse:recs:publishtime",
)  # fmt: skip
_LANGUAGE = re.compile(r"^[a-zA-Z]{2,3}(?:[-_][a-zA-Z0-9]{2,8})*$")
_ISO = re.compile(r"^\s*(\d{4})-?(\d{2})-?(\d{2})(?!\d)")
_OF_PATH = re.compile(r"/(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?=[/.\-_?]|$)")
_NUMBERS = re.compile(r"^\D{0,12}(\d{4})\s*[./年년-]\s*(\d{1,2})\s*[./月월-]\s*(\d{1,2})(?!\d)")
_WORDS = re.compile(r"(\d{1,2})(?:st|nd|rd|th|\.|er)?\s+(?:de\s+)?([^\W\d]{3,})\.?,?\s+(?:de\s+|del\s+)?(\d{4})")
_WORD_FIRST = re.compile(r"([^\W\d]{3,})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
_MONTHS = {
    stem: number
    for number, stems in enumerate(
        (
            "jan ene янв sty gen oca", "feb fév fev февр фев lut şub", "mar mär мар", "apr avr abr апр kwi nis",
            "may mai mag мая май maj mei", "jun juin giu июн cze haz", "jul juil lug июл lip tem",
            "aug aoû aou ago авг sie ağu",
            "sep set сен wrz eyl", "oct okt ott out окт paź eki", "nov noy ноя lis kas", "dec dez déc dic дек gru ara",
        ),
        1,
    )
    for stem in stems.split()
}  # fmt: skip


@dataclass(frozen=True)
class PageData:
    title: str | None = None
    author: str | None = None
    date: str | None = None  # YYYY-MM-DD, when it was first published
    canonical_url: str | None = None
    declared_language: str | None = None  # BCP 47, as "pt-BR"


def page_data(data: np.ndarray, tree: Tree, url: str, max_date: str) -> PageData:
    """`max_date` (YYYY-MM-DD) is the day the page was fetched: a later date is none of it. With "" none is looked for,
    since the result would depend on today."""
    metas = _metas(data, tree)
    things = [thing for thing in ld_objects(data, tree) if types_of(thing) & _ARTICLES]
    title = _title(data, tree, metas, things)
    author = _first(_names(value) for thing in things for value in [thing.get("author")]) or _first(
        _clean(metas.get(name, ""), _MAX_AUTHOR_CHARS) for name in _AUTHOR_NAMES if not _is_address(metas.get(name, ""))
    )
    date = _date(data, tree, metas, things, url, max_date) if max_date else None
    return PageData(title or None, author or None, date, _canonical(data, tree, url), _language(data, tree, metas))


def parse_date(text: str) -> datetime.date | None:
    """ISO 8601, year first, or with the month by name; 03/04/2020 is nobody's date."""
    if match := _ISO.match(text) or _NUMBERS.match(text):
        year, month, day = map(int, match.groups())
    elif match := _WORDS.search(text):
        day, month, year = int(match[1]), _month(match[2]), int(match[3])
    elif match := _WORD_FIRST.search(text):
        day, month, year = int(match[2]), _month(match[1]), int(match[3])
    else:
        return None
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None


def _month(word: str) -> int:
    word = word.lower()
    return next((_MONTHS[word[:n]] for n in (4, 3) if word[:n] in _MONTHS), 0)


def _metas(data: np.ndarray, tree: Tree) -> dict[str, str]:
    """Content by name or property in small letters, the first of each."""
    out: dict[str, str] = {}
    for node in np.flatnonzero(tree.nodes["tag"] == _META).tolist():
        content = value_of(data, tree, node, attributes.CONTENT)
        for attribute in (attributes.PROPERTY, attributes.NAME, attributes.ITEMPROP, _HTTP_EQUIV):
            if content and (name := value_of(data, tree, node, attribute).strip().lower()):
                out.setdefault(name, content)
    return out


_HTTP_EQUIV = attributes.ATTRIBUTES["http-equiv"]


def _title(data: np.ndarray, tree: Tree, metas: dict[str, str], things: list[dict[str, Any]]) -> str:
    told = _first(_clean(metas.get(name, "")) for name in _TITLE_NAMES)
    told = told or _first(_clean(thing.get("headline") or "") for thing in things)
    headings = [_clean(text) for text in _texts(data, tree, _H1)]
    own = _first(_clean(text) for text in _texts(data, tree, tags.TITLE))
    site = _clean(metas.get("og:site_name", ""))
    title = told or own
    # "Headline - Site": the site goes where the page itself proves that it is one.
    for heading in headings:
        if heading and title != heading and title.startswith(heading) and _is_suffix(title[len(heading) :]):
            return heading
    if site and title.endswith(site) and _is_suffix(title[: -len(site)][-3:]):
        return title[: -len(site)].rstrip(" -–—|·•:»")
    return title or _first(headings)


def _is_suffix(rest: str) -> bool:
    mark = rest.strip()[:1]
    return mark in tuple("-–—|·•:»") and (mark != "-" or rest[0] == " ")  # "mill-house" has no suffix


def _date(
    data: np.ndarray, tree: Tree, metas: dict[str, str], things: list[dict[str, Any]], url: str, max_date: str
) -> str | None:
    last = datetime.date.fromisoformat(max_date)

    def valid(found: Iterable[str]) -> str | None:
        for text in found:
            date = parse_date(text)
            if date is not None and date.year >= _FIRST_YEAR and date <= last:
                return date.isoformat()
        return None

    def of_times() -> Iterator[str]:
        for node in np.flatnonzero(tree.nodes["tag"] == _TIME).tolist():
            yield value_of(data, tree, node, attributes.DATETIME) or _text(data, tree, node)

    sources: tuple[Callable[[], Iterable[str]], ...] = (
        lambda: (metas.get(name, "") for name in _DATE_NAMES),
        lambda: (str(thing[key]) for thing in things for key in ("datePublished", "dateCreated") if thing.get(key)),
        lambda: ("-".join(match.groups()) for match in _OF_PATH.finditer(url)),
        of_times,
    )
    return next((date for source in sources if (date := valid(source()))), None)


def _canonical(data: np.ndarray, tree: Tree, url: str) -> str | None:
    for node in np.flatnonzero(tree.nodes["tag"] == _LINK).tolist():
        if "canonical" in value_of(data, tree, node, attributes.REL).lower().split():
            try:
                found = urljoin(url, value_of(data, tree, node, attributes.HREF).strip())
            except ValueError:
                continue
            if found.startswith(("http://", "https://")):
                return found[: 2 * MAX_TITLE_CHARS]
    return None


def _language(data: np.ndarray, tree: Tree, metas: dict[str, str]) -> str | None:
    own = value_of(data, tree, 0, attributes.LANG)
    for told in (own, metas.get("content-language", ""), metas.get("og:locale", "")):
        told = told.strip().split(",")[0].strip()
        if _LANGUAGE.match(told):
            first, *rest = told.replace("_", "-").split("-")
            region_or_script = {2: str.upper, 4: str.title}
            return "-".join([first.lower(), *(region_or_script.get(len(part), str)(part) for part in rest)])
    return None


def _names(value: Any) -> str:
    """Of an author in JSON-LD: a name, an object with one, or a list of these."""
    found = []
    for one in value if isinstance(value, list) else [value]:
        name = one.get("name") if isinstance(one, dict) else one
        if isinstance(name, str) and not _is_address(name):
            found.append(_clean(name, _MAX_AUTHOR_CHARS))
    return ", ".join(dict.fromkeys(name for name in found if name))[:_MAX_AUTHOR_CHARS]


def _is_address(text: str) -> bool:
    return text.strip().lower().startswith(("http://", "https://", "www.", "@"))


def _texts(data: np.ndarray, tree: Tree, tag: int) -> Iterator[str]:
    for node in np.flatnonzero(tree.nodes["tag"] == tag).tolist():
        # A picture's <title> holds HTML again, so that only its parent is foreign.
        if not tree.nodes[tree.nodes[node]["parent"]]["flags"] & FOREIGN:
            yield _text(data, tree, node)


def _text(data: np.ndarray, tree: Tree, node: int) -> str:
    size = int(tree.nodes[node]["end"] - tree.nodes[node]["start"])
    out = np.empty(max_text_bytes(max(size, 0)) + 8, np.uint8)
    return out[: write_text(data, tree.nodes, node, 0, out, 0)].tobytes().decode("utf-8", "replace")


def _clean(text: Any, most: int = MAX_TITLE_CHARS) -> str:
    if not isinstance(text, str):
        return ""
    return " ".join(text.encode("utf-8", "replace").decode().replace("\0", "").split())[:most].rstrip()


def _first(found: Iterable[str]) -> str:
    return next((text for text in found if text), "")
