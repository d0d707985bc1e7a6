"""Addresses: the canonical one of a page, and the names of sites in them."""

import re
from urllib.parse import urljoin

import numpy as np

from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tags import TAGS
from cleaners.extraction.json_ld import attribute_values
from cleaners.extraction.metadata.elements import clean, elements, first

_MAX_ADDRESS_CHARS = 2_000  # many servers refuse longer ones
_MAX_LINKS = 10  # that say they are canonical; pages have one
_BASE, _LINK = TAGS["base"], TAGS["link"]
_NO_LETTERS = re.compile(r"[\W_]+")
_ADDRESS = re.compile(r"\s*https?://(?:www\.)?([^#]*)", re.IGNORECASE)


def canonical_url(data: np.ndarray, tree: Tree, url: str, others: list[str]) -> str | None:
    """The address by <link rel=canonical>, else by `others`."""
    bases = attribute_values(data, tree, elements(tree, _BASE))
    base = _joined(url, first(values.get(attributes.HREF, "").strip() for values in bases)) or url
    links = [
        link.get(attributes.HREF, "")
        for link in attribute_values(data, tree, elements(tree, _LINK))
        if "canonical" in link.get(attributes.REL, "").lower().split()
    ]
    for link in (clean(link, _MAX_ADDRESS_CHARS + 1) for link in (*links[:_MAX_LINKS], *others)):
        address = _joined(base, link) if link else ""
        if _ADDRESS.match(address) and len(address) <= _MAX_ADDRESS_CHARS:
            return address
    return None


def _joined(base: str, address: str) -> str:
    """The address as `base` completes it; "" if it is none or too long."""
    try:
        return urljoin(base, address) if len(address) <= _MAX_ADDRESS_CHARS else ""
    except ValueError:
        return ""


def bare(address: str) -> str:
    """An address without scheme, "www.", fragment and last slash, for comparisons; "" if it is none."""
    match = _ADDRESS.match(address)
    return match[1].strip().rstrip("/").lower() if match else ""


def hosts(url: str) -> set[str]:
    """Names of a site by its address: "millnews" and "millnewsorg" for www.mill-news.org."""
    labels = bare(url).split("/")[0].split(":")[0].split(".")
    return {letters(label) for label in labels[:-1]} | {letters("".join(labels))}


def letters(name: str) -> str:
    """The letters and digits of a name in lower case, for comparisons."""
    return _NO_LETTERS.sub("", name.lower())
