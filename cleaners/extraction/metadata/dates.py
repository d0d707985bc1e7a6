"""The day on which a page was first published."""

import datetime
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tags import TAGS
from cleaners.extraction.json_ld import value_of
from cleaners.extraction.metadata.dates_in_text import Written, read_date
from cleaners.extraction.metadata.declared import Metas
from cleaners.extraction.metadata.elements import clean, elements, outer, text_of
from cleaners.extraction.metadata.named import Named

_FIRST_YEAR = 1995
_TIME = TAGS["time"]
_PUBLISHED_NAMES = ("article:published_time", "og:published_time", "og:article:published_time", "datepublished")
_OTHER_NAMES = (
    "citation_publication_date", "citation_online_date", "dc.date.issued", "dcterms.issued", "dcterms.created",
    "dc.date.created", "parsely-pub-date", "sailthru.date", "article:published", "article.published", "pubdate",
    "pub_date", "publishdate", "publish-date", "publish_date", "published_date", "publication_date", "published",
    "cxenseparse:recs:publishtime", "cxenseparse:publishtime", "article_date_original", "originalpublicationdate",
    "release_date", "dc.date", "dcterms.date", "date", "citation_date", "bt:pubdate",
)  # fmt: skip
_LD_PUBLISHED, _LD_CREATED = ("datePublished",), ("dateCreated", "uploadDate")
_UPDATED = re.compile(
    r"updat|modif|aktualis|mise à jour|mis à jour|actualiz|aggiorn|atualiz|обновл|更新|수정|päivitetty"
)
_IS_PUBLISHED = re.compile(r"publi|entry-date|posted|created")
_YEAR, _MONTH, _DAY = r"((?:19|20)\d{2})", r"(0[1-9]|1[0-2])", r"(0[1-9]|[12]\d|3[01])"
_OF_PATH = (
    re.compile(r"/(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?=[/.\-_?]|$)"),
    re.compile(rf"(?<!\d){_YEAR}-{_MONTH}-{_DAY}(?!\d)"),
    # 20140321, and 201403211530… as in the numbers of Korean news
    re.compile(rf"(?<!\d){_YEAR}{_MONTH}{_DAY}(?:(?:[01]\d|2[0-3])[0-5]\d\d*)?(?!\d)"),
    re.compile(r"/(\d{4})/([a-z]{3})/(\d{1,2})/"),
)
_ONE_DAY = datetime.timedelta(days=1)


def date_of(
    data: np.ndarray,
    tree: Tree,
    metas: Metas,
    things: list[dict[str, Any]],
    url: str,
    named: Named,
    language: str,
    max_date: str,
) -> str | None:
    """The day of publication, as the page's own clock has it, where it is not after `max_date` in UTC.

    Sources are tried in order: what is declared as the time of publication, other declarations, the address, <time>,
    elements that are named for dates, and the lines beside the heading.
    """
    last = datetime.date.fromisoformat(max_date)

    def valid(found: Iterable[str]) -> Written | None:
        for text in found:
            written = read_date(text, language) if text else None
            if written and written.day.year >= _FIRST_YEAR and written.day_of_utc() <= last:
                return written
        return None

    def of_things(keys: tuple[str, ...]) -> Iterator[str]:
        return (str(thing[key]) for thing in things for key in keys if isinstance(thing.get(key), str | int))

    def of_times() -> Iterator[str]:
        return (stamp or text for stamp, text in _times(data, tree))

    sources: tuple[Callable[[], Iterable[str]], ...] = (
        lambda: map(metas.one, _PUBLISHED_NAMES),
        lambda: of_things(_LD_PUBLISHED),
        named.published,
        lambda: map(metas.one, _OTHER_NAMES),
        lambda: of_things(_LD_CREATED),
        lambda: _in_path(url),
        of_times,
        lambda: (text for names, text in named.dates() if not _is_update(f"{names} {text}")),
        lambda: _in_lines(named),
    )
    found = next((written for source in sources if (written := valid(source()))), None)
    if found is None:
        return None
    if found.is_utc:
        found = _local(found, [valid([text]) for text in of_things(_LD_PUBLISHED)], data, tree, url, language)
    return found.day.isoformat()


def _local(
    found: Written, others: list[Written | None], data: np.ndarray, tree: Tree, url: str, language: str
) -> Written:
    """The same moment on the page's own calendar, which a <time>, its text or the address may tell."""
    for stamp, text in _times(data, tree):
        written = read_date(stamp, language)
        if written and written.moment == found.moment:
            shown = read_date(text, language)
            near = shown is not None and abs(shown.day - found.day) <= _ONE_DAY
            others += [shown if near else None, written]
    for text in _in_path(url):
        written = read_date(text)
        if written and abs(written.day - found.day) == _ONE_DAY:
            others.append(written)
    return next(
        (other for other in others if other and not other.is_utc and other.moment in (None, found.moment)), found
    )


def _times(data: np.ndarray, tree: Tree) -> Iterator[tuple[str, str]]:
    """(datetime, text) of each <time> that is not one of an update."""
    outermost = set(outer(tree, _TIME))
    for node in elements(tree, _TIME):
        names = " ".join(value_of(data, tree, node, k) for k in (attributes.CLASS, attributes.ITEMPROP))
        if not _is_update(names):
            text = clean(text_of(data, tree, node)) if node in outermost else ""
            yield value_of(data, tree, node, attributes.DATETIME), text


def _in_lines(named: Named) -> Iterator[str]:
    updates = {text for names, text in named.dates() if _is_update(names)}
    return (line for line in named.lines if not _is_update(line) and line not in updates)


def _is_update(names: str) -> bool:
    names = names.lower()
    return bool(_UPDATED.search(names)) and not _IS_PUBLISHED.search(names)


def _in_path(url: str) -> Iterator[str]:
    for pattern in _OF_PATH:
        for match in pattern.finditer(url.split("?")[0]):
            yield " ".join(reversed(match.groups())) if match[2].isalpha() else "-".join(match.groups())
