"""The authors of a page."""

from typing import Any

from cleaners.extraction.metadata.declared import string_of
from cleaners.extraction.metadata.elements import clean, first
from cleaners.extraction.prose import unescape

_MAX_AUTHOR_CHARS = 200
_AUTHOR_NAMES = (
    "author", "article:author", "dc.creator", "dcterms.creator", "parsely-author", "sailthru.author", "byl", "byline",
    "twitter:creator",
)  # fmt: skip


def authors_of(metas: dict[str, str], things: list[dict[str, Any]], people: dict[str, dict[str, Any]]) -> str:
    """The names of the authors, separated by ", ", or ""."""
    return first(_names(thing.get("author"), people) for thing in things) or first(
        clean(metas.get(name, ""), _MAX_AUTHOR_CHARS) for name in _AUTHOR_NAMES if not _is_address(metas.get(name, ""))
    )


def _names(value: Any, people: dict[str, dict[str, Any]]) -> str:
    """The names of an author in JSON-LD: a name, an object with `name` or the "@id" of one in `people`, or a list."""
    names = []
    for author in value if isinstance(value, list) else [value]:
        name = author
        if isinstance(author, dict):
            name = author.get("name") or people.get(string_of(author, "@id"), {}).get("name")
        if isinstance(name, str) and not _is_address(name):
            names.append(clean(unescape(name), _MAX_AUTHOR_CHARS))
    return ", ".join(dict.fromkeys(name for name in names if name))[:_MAX_AUTHOR_CHARS]


def _is_address(text: str) -> bool:
    text = text.strip().lower()
    return text.startswith(("http://", "https://", "www.", "@")) or ("@" in text and " " not in text)
