"""Elements of a page and their texts."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from cleaners.extraction.html.nodes import FOREIGN, IN_TEMPLATE, Tree
from cleaners.extraction.html.text import max_text_bytes, write_text
from shards.compiled import kernel

MAX_TITLE_CHARS = 1_000


def elements(tree: Tree, tag: int) -> list[int]:
    """Elements of a tag outside of templates and SVG. The <title> of SVG holds HTML again; its parent is foreign."""
    found: list[int] = _elements(tree.nodes, tag).tolist()
    return found


@kernel
def _elements(nodes, tag):
    out = np.empty(len(nodes), np.int32)
    size = 0
    for i in range(1, len(nodes)):
        if nodes[i].tag == tag and not (nodes[i].flags & IN_TEMPLATE or nodes[nodes[i].parent].flags & FOREIGN):
            out[size] = i
            size += 1
    return out[:size]


def outer(tree: Tree, tag: int) -> Iterator[int]:
    """The elements of a tag that stand in no other of it. Reading a text for each open <time> would be quadratic."""
    after = 0
    for node in elements(tree, tag):
        if node >= after:
            after = tree.nodes[node]["after"]
            yield node


def texts(data: np.ndarray, tree: Tree, tag: int) -> Iterator[str]:
    return (text_of(data, tree, node) for node in outer(tree, tag))


def text_of(data: np.ndarray, tree: Tree, node: int) -> str:
    size = int(tree.nodes[node]["end"] - tree.nodes[node]["start"])
    out = np.empty(max_text_bytes(max(size, 0)) + 8, np.uint8)
    return out[: write_text(data, tree.nodes, node, 0, out, 0)].tobytes().decode("utf-8", "replace")


def clean(text: Any, max_chars: int = MAX_TITLE_CHARS) -> str:
    """The text with single spaces and without NUL and lone surrogates; "" if it is no text."""
    if not isinstance(text, str):
        return ""
    return " ".join(text.encode("utf-8", "replace").decode().replace("\0", "").split())[:max_chars].rstrip()


def first(found: Iterable[str]) -> str:
    """The first text that is not empty, or ""."""
    return next((text for text in found if text), "")
