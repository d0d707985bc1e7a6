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
from cleaners.extraction.metadata.dates_in_text import parse_date
from cleaners.extraction.metadata.elements import elements, outer, text_of

_FIRST_YEAR = 1995
_TIME = TAGS["time"]
_DATE_NAMES = (
    "article:published_time", "og:published_time", "datepublished", "dc.date.issued", "dcterms.issued",
    "dcterms.created", "dc.date", "dcterms.date", "parsely-pub-date", "sailthru.date", "pubdate", "publishdate",
    "publish-date", "publication_date", "article.published", "date", "og:article:published_time",
    "cxenseparse:recs:publishtime",
)  # fmt: skip
_UPDATED, _PUBLISHED = re.compile(r"updat|modif"), re.compile(r"publi|entry-date|posted|created")
_LD_DATES = ("datePublished", "dateCreated")
_OF_PATH = re.compile(r"/(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?=[/.\-_?]|$)")


def date_of(
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
        outermost = set(outer(tree, _TIME))
        for node in elements(tree, _TIME):
            names = " ".join(value_of(data, tree, node, k) for k in (attributes.CLASS, attributes.ITEMPROP)).lower()
            if _PUBLISHED.search(names) or not _UPDATED.search(names):
                yield value_of(data, tree, node, attributes.DATETIME) or (
                    text_of(data, tree, node) if node in outermost else ""
                )

    sources: tuple[Callable[[], Iterable[str]], ...] = (
        lambda: (metas.get(name, "") for name in _DATE_NAMES),
        lambda: (str(thing[key]) for thing in things for key in _LD_DATES if isinstance(thing.get(key), str | int)),
        lambda: ("-".join(match.groups()) for match in _OF_PATH.finditer(url)),
        of_times,
    )
    return next((date for source in sources if (date := valid(source()))), None)
