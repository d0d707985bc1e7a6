"""The name of the site that a page belongs to."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from cleaners.extraction.json_ld import types_of
from cleaners.extraction.metadata.declared import Metas, string_of
from cleaners.extraction.metadata.elements import clean, first
from cleaners.extraction.prose import unescape

_MAX_SITE_CHARS = 200
_NAMES = ("og:site_name", "application-name", "apple-mobile-web-app-title", "dc.publisher", "citation_journal_title")


def site_name(metas: Metas, things: list[dict[str, Any]]) -> str:
    """The name by Open Graph, else by the WebSite or the publisher in JSON-LD, else by other <meta>, or ""."""
    return first(
        clean(name, _MAX_SITE_CHARS)
        for name in chain([metas.one(_NAMES[0])], _in_json_ld(things), map(metas.one, _NAMES[1:]))
        if "://" not in name
    )


def _in_json_ld(things: list[dict[str, Any]]) -> Iterator[str]:
    for thing in things:
        if "website" in types_of(thing):
            yield unescape(string_of(thing, "name"))
    for thing in things:
        publisher = thing.get("publisher")
        if isinstance(publisher, dict):
            yield unescape(string_of(publisher, "name"))
