"""Title, author, date, address and language as a page declares them: <meta>, JSON-LD, <time>, <title>, <h1>, its URL.

Nothing is taken from running text, whose dates and people may be those of other things.
"""

import datetime
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import numpy as np

from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.nodes import FOREIGN, IN_TEMPLATE, Tree
from cleaners.extraction.html.tags import TAGS
from cleaners.extraction.html.text import max_text_bytes, write_text
from cleaners.extraction.json_ld import ld_values, objects, types_of, value_of
from cleaners.extraction.prose import unescape

MAX_TITLE_CHARS = 1_000
_MAX_AUTHOR_CHARS = 200
_MAX_DATE_CHARS = 100  # no date is longer, and the search for months is quadratic in them
_MAX_ADDRESS_CHARS = 2_000  # many servers refuse longer ones
_FIRST_YEAR = 1995
_HTTP_EQUIV = attributes.ATTRIBUTES["http-equiv"]
_BASE, _META, _LINK, _H1, _TIME = (TAGS[name] for name in "base meta link h1 time".split())
# Keys of JSON-LD that hold what the page is about, and keys that hold other pages.
_OWN = {"@graph", "mainEntity", "mainEntityOfPage"}
_OTHERS = {"itemListElement", "blogPost", "blogPosts", "citation", "mentions", "isBasedOn", "isRelatedTo", "comment"}
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
_ADDRESS = re.compile(r"\s*https?://(?:www\.)?([^#]*)", re.IGNORECASE)
# Between a title and the name of its site. "mill-house" and "mill: a story" have no site.
_SEPARATOR = re.compile(r"\s+[-–—·•»«]+\s+|\s*[|｜_]+\s*")
_COLON = re.compile(r"\s*:\s+")  # "CNN: a story", where the page says that it is of CNN
_UPDATED, _PUBLISHED = re.compile(r"updat|modif"), re.compile(r"publi|entry-date|posted|created")
_LD_DATES = ("datePublished", "dateCreated")
_LANGUAGE = re.compile(r"^[a-zA-Z]{2,3}(?:[-_][a-zA-Z0-9]{2,8}){0,5}$")
# The tree does not keep `xml:lang`, which stands in the first bytes of XHTML. The search is quadratic in their number.
_XML_LANG = re.compile(rb"<html\b[^>]*?\sxml:lang\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
_MAX_BYTES_BEFORE_LANGUAGE = 2_000
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
class PageMetadata:
    """Metadata of a page, None where it declares nothing."""

    title: str | None = None
    author: str | None = None
    date: str | None = None  # YYYY-MM-DD, when it was first published
    canonical_url: str | None = None
    declared_language: str | None = None  # BCP 47, as "pt-BR"


def page_metadata(data: np.ndarray, tree: Tree, url: str, max_date: str) -> PageMetadata:
    """The metadata that a page declares.

    `max_date` (YYYY-MM-DD) is the day on which the page was fetched; later dates are ignored. With "" no date is looked
    for, since the result would depend on today.
    """
    metas, values = _metas(data, tree), ld_values(data, tree)
    own = [thing for thing in objects(values, _OWN.__contains__) if types_of(thing) & _ARTICLES]
    canonical = _canonical(data, tree, url, [metas.get("og:url", "")])
    things = _by_address(own, values, {url, canonical or url})
    people = {_string(thing, "@id"): thing for thing in objects(values) if "@id" in thing and "name" in thing}
    author = _first(_names(thing.get("author"), people) for thing in things) or _first(
        _clean(metas.get(name, ""), _MAX_AUTHOR_CHARS) for name in _AUTHOR_NAMES if not _is_address(metas.get(name, ""))
    )
    return PageMetadata(
        _title(data, tree, metas, things, url) or None,
        author or None,
        _date(data, tree, metas, things, url, max_date) if max_date else None,
        canonical or _canonical(data, tree, url, _only_address(own)),
        _language(data, tree, metas, things),
    )


def parse_date(text: str) -> datetime.date | None:
    """A date in ISO 8601, with the year first, or with the month by name. 03/04/2020 is ambiguous and so None."""
    text = text.strip()[:_MAX_DATE_CHARS]
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
    """The first content for each name or property, in lower case."""
    out: dict[str, str] = {}
    for node in _elements(tree, _META):
        content = value_of(data, tree, node, attributes.CONTENT)
        for attribute in (attributes.PROPERTY, attributes.NAME, attributes.ITEMPROP, _HTTP_EQUIV):
            if content and (name := value_of(data, tree, node, attribute).strip().lower()):
                out.setdefault(name, content)
    return out


def _by_address(own: list[dict[str, Any]], values: list[Any], pages: set[str]) -> list[dict[str, Any]]:
    """Articles of JSON-LD: first those with an address of the page, then its `own`, then articles within these.

    Articles in lists of other pages are left out.
    """
    wanted = {_bare(page) for page in pages}
    held = objects(values, lambda key: key not in _OTHERS)
    things = [*own, *(thing for thing in held if types_of(thing) & _ARTICLES)]
    return sorted(things, key=lambda thing: wanted.isdisjoint(map(_bare, _addresses(thing))))


def _addresses(thing: dict[str, Any]) -> list[str]:
    page = thing.get("mainEntityOfPage")
    addresses = [thing.get("url"), *([page.get("@id"), page.get("url")] if isinstance(page, dict) else [page])]
    return [address for address in [*addresses, thing.get("@id")] if isinstance(address, str) and _bare(address)]


def _only_address(own: list[dict[str, Any]]) -> list[str]:
    """The address of the page's articles, if they have one in common. A page with many is a list."""
    by_bare = {_bare(address): address.split("#")[0] for thing in own for address in _addresses(thing)[:1]}
    return list(by_bare.values()) if len(by_bare) == 1 else []


def _string(thing: dict[str, Any], key: str) -> str:
    return value if isinstance(value := thing.get(key), str) else ""


def _bare(address: str) -> str:
    """An address without scheme, "www.", fragment and last slash, for comparisons; "" if it is none."""
    match = _ADDRESS.match(address)
    return match[1].strip().rstrip("/").lower() if match else ""


def _title(data: np.ndarray, tree: Tree, metas: dict[str, str], things: list[dict[str, Any]], url: str) -> str:
    """The title by <meta>, else JSON-LD, else <title>, else the first <h1>.

    The site's name is cut from either end if the page proves that it is one: by its metadata, by its address, or by an
    <h1> that is the rest.
    """
    declared = _first(_clean(metas.get(name, "")) for name in _TITLE_NAMES)
    declared = declared or _first(_clean(unescape(_string(thing, "headline"))) for thing in things)
    declared = declared or _first(_clean(text) for text in _texts(data, tree, tags.TITLE))
    headings = [_clean(text) for text in _texts(data, tree, _H1)]
    hosts = _hosts(url)
    title = _without_site(declared, {_letters(metas.get("og:site_name", "")), *hosts} - {""})
    return _heading_of(title, headings, hosts) or title or _first(headings)


def _without_site(title: str, sites: set[str]) -> str:
    for mark in (*_SEPARATOR.finditer(title), *_COLON.finditer(title)):
        before, after = title[: mark.start()], title[mark.end() :]
        if before and _letters(after) in sites:
            return before
        if after and _letters(before) in sites:
            return after
    return title


def _heading_of(title: str, headings: list[str], hosts: set[str]) -> str:
    """The longest heading that is a part of the title, or "".

    Old pages have the site's name as <h1>. So a heading that is not the first part, or resembles the address, counts
    only if it is longer than the other parts.
    """
    marks = _SEPARATOR.finditer(title)
    parts = {title, *_SEPARATOR.split(title)}.union(*({title[: m.start()], title[m.end() :]} for m in marks))
    heading = max((heading for heading in headings if heading in parts), key=len, default="")
    if title.startswith(heading) and not any(len(host) > 2 and host in _letters(heading) for host in hosts):
        return heading
    return heading if len(heading) >= max(map(len, _SEPARATOR.split(title.replace(heading, "")))) else ""


def _letters(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _hosts(url: str) -> set[str]:
    """Names of a site by its address: "millnews" and "millnewsorg" for www.mill-news.org."""
    labels = _bare(url).split("/")[0].split(":")[0].split(".")
    return {_letters(label) for label in labels[:-1]} | {_letters("".join(labels))}


def _date(
    data: np.ndarray, tree: Tree, metas: dict[str, str], things: list[dict[str, Any]], url: str, max_date: str
) -> str | None:
    last = datetime.date.fromisoformat(max_date)

    def valid(texts: Iterable[str]) -> str | None:
        for text in texts:
            date = parse_date(text)
            if date is not None and date.year >= _FIRST_YEAR and date <= last:
                return date.isoformat()
        return None

    def of_times() -> Iterator[str]:
        outer = set(_outer(tree, _TIME))
        for node in _elements(tree, _TIME):
            names = " ".join(value_of(data, tree, node, k) for k in (attributes.CLASS, attributes.ITEMPROP)).lower()
            if _PUBLISHED.search(names) or not _UPDATED.search(names):
                yield value_of(data, tree, node, attributes.DATETIME) or (
                    _text(data, tree, node) if node in outer else ""
                )

    sources: tuple[Callable[[], Iterable[str]], ...] = (
        lambda: (metas.get(name, "") for name in _DATE_NAMES),
        lambda: (str(thing[key]) for thing in things for key in _LD_DATES if isinstance(thing.get(key), str | int)),
        lambda: ("-".join(match.groups()) for match in _OF_PATH.finditer(url)),
        of_times,
    )
    return next((date for source in sources if (date := valid(source()))), None)


def _canonical(data: np.ndarray, tree: Tree, url: str, others: list[str]) -> str | None:
    """The address by <link rel=canonical>, else by `others`."""
    base = _first(value_of(data, tree, node, attributes.HREF).strip() for node in _elements(tree, _BASE))
    links = [
        value_of(data, tree, node, attributes.HREF)
        for node in _elements(tree, _LINK)
        if "canonical" in value_of(data, tree, node, attributes.REL).lower().split()
    ]
    for link in (_clean(link, _MAX_ADDRESS_CHARS + 1) for link in (*links, *others)):
        try:
            address = urljoin(urljoin(url, base), link) if link else ""
        except ValueError:
            continue
        if _ADDRESS.match(address) and len(address) <= _MAX_ADDRESS_CHARS:
            return address
    return None


def _language(data: np.ndarray, tree: Tree, metas: dict[str, str], things: list[dict[str, Any]]) -> str | None:
    """The declared language as a BCP 47 tag.

    The outermost element comes first, since browsers and screen readers follow it (the HTML standard, 3.2.6.2), then
    the header that the standard names next. Only machines read the others, and programs fill them in with their
    defaults.
    """
    body = np.flatnonzero(tree.nodes["tag"] == tags.BODY)[0]
    xml = _XML_LANG.search(data[:_MAX_BYTES_BEFORE_LANGUAGE].tobytes())
    for declared in (
        value_of(data, tree, 0, attributes.LANG),
        xml[1].decode() if xml else "",
        value_of(data, tree, body, attributes.LANG),
        metas.get("content-language", ""),
        metas.get("og:locale", ""),
        *(_string(thing, "inLanguage") for thing in things),
    ):
        tag = declared.split(",")[0].strip()
        if _LANGUAGE.match(tag):
            first, *rest = tag.replace("_", "-").split("-")
            region_or_script = {2: str.upper, 4: str.title}
            return "-".join([first.lower(), *(region_or_script.get(len(part), str)(part) for part in rest)])
    return None


def _names(value: Any, people: dict[str, dict[str, Any]]) -> str:
    """The names of an author in JSON-LD: a name, an object with `name` or the "@id" of one in `people`, or a list."""
    names = []
    for author in value if isinstance(value, list) else [value]:
        name = author
        if isinstance(author, dict):
            name = author.get("name") or people.get(_string(author, "@id"), {}).get("name")
        if isinstance(name, str) and not _is_address(name):
            names.append(_clean(unescape(name), _MAX_AUTHOR_CHARS))
    return ", ".join(dict.fromkeys(name for name in names if name))[:_MAX_AUTHOR_CHARS]


def _is_address(text: str) -> bool:
    text = text.strip().lower()
    return text.startswith(("http://", "https://", "www.", "@")) or ("@" in text and " " not in text)


def _elements(tree: Tree, tag: int) -> list[int]:
    """Elements of a tag outside of templates and SVG. The <title> of SVG holds HTML again; its parent is foreign."""
    nodes = tree.nodes
    numbers = np.flatnonzero(nodes["tag"] == tag)
    excluded = (nodes["flags"][numbers] & IN_TEMPLATE) | (nodes["flags"][nodes["parent"][numbers]] & FOREIGN)
    return [int(node) for node in numbers[excluded == 0]]


def _outer(tree: Tree, tag: int) -> Iterator[int]:
    """The elements of a tag that stand in no other of it. Reading a text for each open <time> would be quadratic."""
    after = 0
    for node in _elements(tree, tag):
        if node >= after:
            after = tree.nodes[node]["after"]
            yield node


def _texts(data: np.ndarray, tree: Tree, tag: int) -> Iterator[str]:
    return (_text(data, tree, node) for node in _outer(tree, tag))


def _text(data: np.ndarray, tree: Tree, node: int) -> str:
    size = int(tree.nodes[node]["end"] - tree.nodes[node]["start"])
    out = np.empty(max_text_bytes(max(size, 0)) + 8, np.uint8)
    return out[: write_text(data, tree.nodes, node, 0, out, 0)].tobytes().decode("utf-8", "replace")


def _clean(text: Any, max_chars: int = MAX_TITLE_CHARS) -> str:
    if not isinstance(text, str):
        return ""
    return " ".join(text.encode("utf-8", "replace").decode().replace("\0", "").split())[:max_chars].rstrip()


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
