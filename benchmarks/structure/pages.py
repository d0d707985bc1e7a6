"""Labelled pages: HTML beside the Markdown of its main text."""

import hashlib
import re
from typing import NamedTuple

from lxml.html import HtmlElement

_PART = re.compile(
    r"#(?P<id>[\w:-]+)|\.(?P<class>[^\s.#\[:>]+)|\[(?P<name>[\w-]+)=(?P<value>[^\]]+)\]|:nth\((?P<nth>\d+)\)"
)


class LabelledPage(NamedTuple):
    """A page with its truth."""

    name: str
    set: str  # "debian", "hand" or "own"
    half: str  # "tuned", which changes may be fitted to, or "apart"
    html: bytes
    main: str  # selector of the element that holds the main text
    markdown: str


def half_of(project: str) -> str:
    """The half of a project's or a site's pages: all in the same one."""
    return ("tuned", "apart")[hashlib.sha256(project.encode()).digest()[0] & 1]


def select(root: HtmlElement, selector: str) -> list[HtmlElement]:
    """The elements that a selector finds, in page order.

    A selector is CSS with elements, ids, classes, attributes and descendants; `:nth(2)` takes the second one found.
    """
    path, nth = "", 0
    for step in selector.split():
        tag = re.match(r"[\w-]*", step)
        path += f"//{tag[0] if tag and tag[0] else '*'}"
        for part in _PART.finditer(step):
            if part["id"]:
                path += f'[@id="{part["id"]}"]'
            elif part["class"]:
                path += f'[contains(concat(" ", normalize-space(@class), " "), " {part["class"]} ")]'
            elif part["name"]:
                path += f'[@{part["name"]}="{part["value"]}"]'
            else:
                nth = int(part["nth"])
    found: list[HtmlElement] = root.xpath(path)
    return found[nth - 1 : nth] if nth else found
