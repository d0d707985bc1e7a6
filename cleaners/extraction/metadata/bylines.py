"""The authors of a page: people before organisations, what is declared before what is shown."""

from collections.abc import Iterator
from typing import Any

from cleaners.extraction.json_ld import types_of
from cleaners.extraction.metadata.address import letters
from cleaners.extraction.metadata.declared import Metas, string_of
from cleaners.extraction.metadata.elements import clean
from cleaners.extraction.metadata.named import Named
from cleaners.extraction.metadata.people import (
    MAX_AUTHORS_CHARS,
    byline_in,
    declared_names,
    has_no_capitals,
    is_group,
    names_in,
)
from cleaners.extraction.prose import unescape

_MAX_DECLARED = 50  # authors that are read; fewer fill the column
_MAX_LABEL = 150  # characters before a name
_MAX_SHOWN = 6  # names in a byline: more are those of a list
_AUTHOR_NAMES = (
    "citation_author", "author", "article:author", "dc.creator", "dcterms.creator", "dc.contributor", "parsely-author",
    "sailthru.author", "cxenseparse:author", "byl", "byline", "article_author", "article.author", "og:author",
    "og:article:author", "authors", "creator", "twitter:creator",
)  # fmt: skip


def authors_of(
    metas: Metas,
    things: list[dict[str, Any]],
    people: dict[str, dict[str, Any]],
    named: Named,
    sites: set[str],
) -> str:
    """The names of the authors, separated by ", ", or "".

    The first source that names somebody else than the site (`sites`, in letters) counts, else the first one.
    """
    fallback: list[str] = []
    for names, may_be_people in _declared(metas, things, people):
        if may_be_people and not all(letters(name) in sites or is_group(name) for name in names):
            return _joined(names)
        fallback = fallback or names
    for names, is_sure in _shown(named):
        found = [name for name in names if not is_group(name) and letters(name) not in sites]
        if (is_sure and found) or any(" " in name for name in found) or (names and is_sure and not fallback):
            return _joined(names)
    return _joined(fallback)


def _declared(
    metas: Metas, things: list[dict[str, Any]], people: dict[str, dict[str, Any]]
) -> Iterator[tuple[list[str], bool]]:
    """(names, whether they may be of people) of each source for programs, in order."""
    for thing in things:
        authors = [
            _resolved(author, people)
            for author in _as_list(thing.get("author") or thing.get("creator"))[:_MAX_DECLARED]
        ]
        people_alone = [author for author in authors if not _is_organization(author)]
        names = [name for author in people_alone or authors for name in declared_names(_name(author))]
        yield names, bool(names and people_alone)
    values = [[clean(value) for value in metas.get(key, ())[:_MAX_DECLARED]] for key in _AUTHOR_NAMES]
    for some in (*values, list(_labelled(metas))):
        names = [name for value in some for name in declared_names(value)]
        yield names, bool(names)


def _shown(named: Named) -> Iterator[tuple[list[str], bool]]:
    """(names, whether a single word may be one) of each byline of the page.

    A word may be one with markup or after a word as "By", or if it is the only one and of a script without capitals. In
    other scripts it may be a button's.
    """
    for parts, is_marked in named.authors():
        names = names_in(parts) or (declared_names(" | ".join(parts)) if is_marked else [])
        if len(names) > _MAX_SHOWN:
            continue
        yield names, is_marked or _is_alone(names) or bool(byline_in(" ".join(parts)))
    for line in named.lines:
        if byline := byline_in(line):
            yield (names := names_in([byline])), _is_alone(names)


def _is_alone(names: list[str]) -> bool:
    return len(names) == 1 and has_no_capitals(names[0])


def _labelled(metas: Metas) -> Iterator[str]:
    """The values that WordPress labels for Twitter: `twitter:label1` "Written by" and `twitter:data1`."""
    for number in "12":
        label = "".join(metas.get(f"twitter:label{number}", ())[:1])[:_MAX_LABEL]
        if byline_in(f"{label}: x"):
            yield from metas.get(f"twitter:data{number}", ())[:1]


def _resolved(author: Any, people: dict[str, dict[str, Any]]) -> Any:
    """An author of JSON-LD, or the thing with its "@id"."""
    if isinstance(author, dict) and not author.get("name"):
        return people.get(string_of(author, "@id"), author)
    return author


def _name(author: Any) -> str:
    name = author.get("name") if isinstance(author, dict) else author
    return clean(unescape(name)) if isinstance(name, str) else ""


def _is_organization(author: Any) -> bool:
    return isinstance(author, dict) and any(kind.endswith("organization") for kind in types_of(author))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _joined(names: list[str]) -> str:
    return clean(", ".join(dict.fromkeys(names)), MAX_AUTHORS_CHARS)
