"""JSON in scripts, and the texts of JSON-LD.

JSON of pages is broken in many ways: wrapped in comments or CDATA, with bare line ends in strings, with commas before
brackets. JSON that two simple repairs do not mend is left out. Nothing here raises, and time is linear.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson

from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import Tree, attribute_of
from cleaners.extraction.html.tags import SCRIPT
from cleaners.extraction.prose import joined, plain_lines, unescape

MAX_DEPTH = 60
_LD_TYPES = {"application/ld+json"}
_WRAPPING = re.compile(r"^(?:\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/|<!\[CDATA\[))+")
_CONTROL = re.compile(r"[\x00-\x1f]+")
_LATE_COMMA = re.compile(r",\s*(?=[\]}])")
_DECODER = json.JSONDecoder(strict=False)
_BODY_KEYS = ("articleBody", "text", "description")
_BODY_TYPES = {
    "articleBody": None,  # of anything
    "text": {"discussionforumposting", "question", "answer", "comment", "socialmediaposting", "blogposting"},
    "description": {"product", "jobposting", "event", "recipe", "course", "book", "videoobject", "place", "hotel"},
}


def scripts(data: np.ndarray, tree: Tree, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """(type, content) of the scripts whose type is wanted ("" for scripts without one), in the order of the page.

    Types are in lower case. Parameters, as in "application/ld+json; charset=utf-8", are ignored.
    """
    for node in np.flatnonzero(tree.nodes["tag"] == SCRIPT).tolist():
        kind = value_of(data, tree, node, attributes.TYPE).split(";")[0].strip().lower()
        if tree.nodes[node]["after"] > node + 1 and is_wanted(kind):
            text = tree.nodes[node + 1]
            yield kind, data[text["start"] : text["end"]].tobytes().decode("utf-8", "replace")


def value_of(data: np.ndarray, tree: Tree, node: int, attribute: int) -> str:
    """The value of a node's attribute with its character references decoded, or ""."""
    k = attribute_of(tree, node, attribute)
    if k < 0:
        return ""
    raw = data[tree.attributes[k]["start"] : tree.attributes[k]["end"]].tobytes().decode("utf-8", "replace")
    return unescape(raw)


def parse_json(text: str) -> Any:
    """The first value in a text, or None."""
    text = _WRAPPING.sub("", text)
    for repair in (None, _CONTROL, _LATE_COMMA):
        if repair is not None:
            text = repair.sub(" " if repair is _CONTROL else "", text)
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
    try:
        return _DECODER.raw_decode(text.lstrip())[0]
    except (ValueError, RecursionError):
        return None


def objects(value: Any, enters: Callable[[str], bool] = lambda key: True) -> Iterator[dict[str, Any]]:
    """All objects in a value in order, outer ones first. Keys that are not to be entered are skipped."""
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_DEPTH:
            continue
        if isinstance(item, dict):
            yield item
            stack += [(inner, depth + 1) for key, inner in reversed(item.items()) if enters(key)]
        elif isinstance(item, list):
            stack += [(inner, depth + 1) for inner in reversed(item)]


def types_of(thing: dict[str, Any]) -> set[str]:
    """The types in lower case, without their vocabulary: "article" for "schema:Article", "https://schema.org/Article"."""
    kinds = thing.get("@type")
    return {
        re.split("[/:#]", kind.lower())[-1]
        for kind in (kinds if isinstance(kinds, list) else [kinds])
        if isinstance(kind, str)
    }


def ld_values(data: np.ndarray, tree: Tree) -> list[Any]:
    return [parse_json(text) for _, text in scripts(data, tree, _LD_TYPES.__contains__)]


def ld_objects(data: np.ndarray, tree: Tree) -> list[dict[str, Any]]:
    return list(objects(ld_values(data, tree)))


def ld_text(values: list[Any]) -> str:
    """The text in JSON-LD: `articleBody` and similar keys, else ""."""
    things = list(objects(values))
    for key in _BODY_KEYS:
        wanted = _BODY_TYPES[key]
        texts = [
            clean
            for thing in things
            if key in thing and (wanted is None or types_of(thing) & wanted)
            if (clean := plain_lines(thing[key] if isinstance(thing[key], list) else [thing[key]]))
        ]
        if text := joined(texts):
            return text
    return ""
