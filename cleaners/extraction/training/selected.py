"""Labels by CSS selectors: the main text of a page as its elements, for those who label whole sites."""

import numpy as np
from resiliparse.parse.html import DOMNode, HTMLTree

from cleaners.extraction.features.page import read_page
from cleaners.extraction.training.labels import block_texts
from shards.errors import UserError


def selected_text(url: str, html: str, select: str, remove: str | None) -> str:
    """The lines of the elements that `select` matches, without elements that `remove` matches."""
    tree = HTMLTree.parse(html)
    for node in _matches(url, tree, remove) if remove else ():
        node.decompose()
    nodes = _matches(url, tree, select)
    if not nodes:
        raise UserError(f'{url}: "select" {select!r} finds no element')
    outer = [node for node in nodes if not any(node != other and _holds(other, node) for other in nodes)]
    return "\n".join(line for node in outer for line in _lines(node.html.encode()) if line)


def _lines(html: bytes) -> list[str]:
    return [" ".join(line.split()) for line in block_texts(html, read_page(np.frombuffer(html, np.uint8)))]


def _matches(url: str, tree: HTMLTree, selector: str) -> list[DOMNode]:
    try:
        return list(tree.document.query_selector_all(selector)) if tree.document else []
    except ValueError as error:
        raise UserError(f"{url}: {selector!r} is no CSS selector ({error})") from None


def _holds(outer: DOMNode, node: DOMNode) -> bool:
    parent = node.parent
    while parent is not None and parent != outer:
        parent = parent.parent
    return parent is not None
