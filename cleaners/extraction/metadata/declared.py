"""What a page declares for programs: <meta>, and the things of JSON-LD that are the page."""

from typing import Any, NamedTuple

import numpy as np

from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tags import TAGS
from cleaners.extraction.json_ld import attribute_values, ld_values, objects, types_of
from cleaners.extraction.metadata.address import bare
from cleaners.extraction.metadata.elements import elements

_NAMES = (attributes.PROPERTY, attributes.NAME, attributes.ITEMPROP, attributes.ATTRIBUTES["http-equiv"])
_META = TAGS["meta"]
# Keys of JSON-LD that hold what the page is about, and keys that hold other pages.
_OWN = {"@graph", "mainEntity", "mainEntityOfPage"}
_OTHERS = {"itemListElement", "blogPost", "blogPosts", "citation", "mentions", "isBasedOn", "isRelatedTo", "comment"}
_ARTICLES = {
    "article", "newsarticle", "blogposting", "report", "techarticle", "scholarlyarticle", "socialmediaposting",
    "liveblogposting", "reportagenewsarticle", "opinionnewsarticle", "analysisnewsarticle", "reviewnewsarticle",
    "discussionforumposting", "question", "recipe", "howto", "product", "event", "jobposting", "videoobject", "book",
    "webpage", "creativework", "claimreview", "review", "backgroundnewsarticle", "medicalwebpage", "podcastepisode",
}  # fmt: skip


class JsonLd(NamedTuple):
    """The JSON-LD of a page."""

    values: list[Any]
    things: list[dict[str, Any]]  # all of them, outer ones first
    own: list[dict[str, Any]]  # articles that are what the page is about
    people: dict[str, dict[str, Any]]  # things with a name, by their "@id"

    def articles(self, pages: set[str]) -> list[dict[str, Any]]:
        """Articles: first those with an address of the page, then its own, then articles within these.

        Articles in lists of other pages are left out.
        """
        wanted = {bare(page) for page in pages}
        held = objects(self.values, lambda key: key not in _OTHERS)
        things = [*self.own, *(thing for thing in held if types_of(thing) & _ARTICLES)]
        return sorted(things, key=lambda thing: wanted.isdisjoint(map(bare, _addresses(thing))))

    def addresses(self) -> list[str]:
        """The address of the page's articles, if they have one in common. A page with many is a list."""
        by_bare = {bare(address): address.split("#")[0] for thing in self.own for address in _addresses(thing)[:1]}
        return list(by_bare.values()) if len(by_bare) == 1 else []


class Metas(dict[str, list[str]]):
    """The contents of <meta> by name, property, `itemprop` or `http-equiv` in lower case, in the order of the page."""

    def one(self, name: str) -> str:
        """The first content, or ""."""
        return self[name][0] if name in self else ""


def metas_of(data: np.ndarray, tree: Tree) -> Metas:
    out = Metas()
    for values in attribute_values(data, tree, elements(tree, _META)):
        content = values.get(attributes.CONTENT, "")
        names = {name.strip().lower() for key in _NAMES if (name := values.get(key))} if content else ()
        for name in names:
            out.setdefault(name, []).append(content)
    return out


def json_ld(data: np.ndarray, tree: Tree) -> JsonLd:
    values = ld_values(data, tree)
    own = [thing for thing in objects(values, _OWN.__contains__) if types_of(thing) & _ARTICLES]
    things = list(objects(values))
    people = {string_of(thing, "@id"): thing for thing in things if "@id" in thing and "name" in thing}
    return JsonLd(values, things, own, people)


def string_of(thing: dict[str, Any], key: str) -> str:
    return value if isinstance(value := thing.get(key), str) else ""


def _addresses(thing: dict[str, Any]) -> list[str]:
    page = thing.get("mainEntityOfPage")
    addresses = [thing.get("url"), *([page.get("@id"), page.get("url")] if isinstance(page, dict) else [page])]
    return [address for address in [*addresses, thing.get("@id")] if isinstance(address, str) and bare(address)]
