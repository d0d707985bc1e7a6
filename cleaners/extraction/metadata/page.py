"""All metadata of a page."""

from dataclasses import dataclass

import numpy as np

from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.metadata.address import canonical_url, hosts, letters
from cleaners.extraction.metadata.bylines import authors_of
from cleaners.extraction.metadata.dates import date_of
from cleaners.extraction.metadata.declared import json_ld, metas_of
from cleaners.extraction.metadata.language import declared_language
from cleaners.extraction.metadata.named import Named
from cleaners.extraction.metadata.site import site_name
from cleaners.extraction.metadata.titles import title_of


@dataclass(frozen=True)
class PageMetadata:
    """Metadata of a page, None where it declares nothing."""

    title: str | None = None
    author: str | None = None
    date: str | None = None  # YYYY-MM-DD, when it was first published
    site_name: str | None = None
    canonical_url: str | None = None
    declared_language: str | None = None  # BCP 47, as "pt-BR"


def page_metadata(data: np.ndarray, tree: Tree, url: str, max_date: str) -> PageMetadata:
    """The metadata of a page.

    `max_date` (YYYY-MM-DD) is the day on which the page was fetched, in UTC; later dates are ignored. With "" no date
    is looked for, since the result would depend on today.
    """
    metas, ld = metas_of(data, tree), json_ld(data, tree)
    canonical = canonical_url(data, tree, url, [metas.one("og:url")])
    things = ld.articles({url, canonical or url})
    site = site_name(metas, ld.things)
    sites = {letters(site), *hosts(url)} - {""}
    title = title_of(data, tree, metas, things, sites)
    named = Named(data, tree, title.heading)
    language = declared_language(data, tree, metas, things)
    return PageMetadata(
        title.text or None,
        authors_of(metas, things, ld.people, named, sites) or None,
        date_of(data, tree, metas, things, url, named, language or "", max_date) if max_date else None,
        site or None,
        canonical or (canonical_url(data, tree, url, addresses) if (addresses := ld.addresses()) else None),
        language,
    )
