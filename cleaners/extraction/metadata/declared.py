"""What a page declares for programs: <meta>, and the things of JSON-LD that are the page."""

from typing import Any, NamedTuple

import numpy as np

from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tags import TAGS
from cleaners.extraction.json_ld import ld_values, objects, types_of, value_of
from cleaners.extraction.metadata.address import bare
from cleaners.extraction.metadata.elements import elements

_HTTP_EQUIV = attributes.ATTRIBUTES["http-equiv"]
_META = TAGS["meta"]
# Keys of JSON-LD that hold what the page is about, and keys that hold other pages.
_OWN = {"@graph", "mainEntity", "mainEntityOfPage"}
_OTHERS = {"itemListElement", "blogPost", "blogPosts", "citation", "mentions", "isBasedOn", "isRelatedTo", "comment"}
_ARTICLES = {
    "article", "newsarticle", "blogposting", "report", "techarticle", "scholarlyarticle", "socialmediaposting",
    "liveblogposting", "reportagenewsarticle", "opinionnewsarticle", "analysisnewsarticle", "reviewnewsarticle",
    "discussionforumposting", "question", "recipe", "howto", "product", "event", "jobposting", "videoobject", "book",
    "webpage", "creativework",
}  # fmt: skip


class JsonLd(NamedTuple):
    """The JSON-LD of a page."""

    values: list[Any]
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


def metas_of(data: np.ndarray, tree: Tree) -> dict[str, str]:
    """The first content for each name or property, in lower case."""
    out: dict[str, str] = {}
    for node in elements(tree, _META):
        content = value_of(data, tree, node, attributes.CONTENT)
        for attribute in (attributes.PROPERTY, attributes.NAME, attributes.ITEMPROP, _HTTP_EQUIV):
            if content and (name := value_of(data, tree, node, attribute).strip().lower()):
                out.setdefault(name, content)
    return out


def json_ld(data: np.ndarray, tree: Tree) -> JsonLd:
    values = ld_values(data, tree)
    own = [thing for thing in objects(values, _OWN.__contains__) if types_of(thing) & _ARTICLES]
    people = {string_of(thing, "@id"): thing for thing in objects(values) if "@id" in thing and "name" in thing}
    return JsonLd(values, own, people)


def string_of(thing: dict[str, Any], key: str) -> str:
    return value if isinstance(value := thing.get(key), str) else ""


def _addresses(thing: dict[str, Any]) -> list[str]:
    page = thing.get("mainEntityOfPage")
    addresses = [thing.get("url"), *([page.get("@id"), page.get("url")] if isinstance(page, dict) else [page])]
    return [address for address in [*addresses, thing.get("@id")] if isinstance(address, str) and bare(address)]
