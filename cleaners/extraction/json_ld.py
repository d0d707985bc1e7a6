"""What scripts say of a page: JSON-LD, and the data that some pages carry instead of text.

JSON of pages is broken in many ways: wrapped in comments or CDATA, with bare line ends in strings, with commas before
brackets. What two simple repairs do not mend is left out; nothing here raises, and time is linear.
"""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import numpy as np
import orjson

from cleaners.extraction import attributes
from cleaners.extraction.nodes import Tree, attribute_of
from cleaners.extraction.tags import SCRIPT
from cleaners.extraction.text import max_text_bytes, write_text
from cleaners.extraction.tree import parse

MAX_BODY_CHARS = 5_000_000
_MAX_DEPTH = 60
_MIN_PROSE_CHARS, _MIN_PROSE_WORDS = 200, 30
_JSON_TYPES = {"application/json", "application/ld+json"}
_WRAPPING = re.compile(
    r"^\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/|<!\[CDATA\[)|(?:-->|//\s*\]\]>|\]\]>)\s*;?\s*$"
)
_CONTROL = re.compile(r"[\x00-\x1f]+")
_LATE_COMMA = re.compile(r",\s*(?=[\]}])")
# State that programs write into a page: `window.__NAME__ = {…}`.
_STATE = re.compile(r"^\s*(?:window|self|var|let|const)\b[^={\[\n]{0,80}=\s*(?=[{\[])")
_BODY_KEYS = ("articleBody", "text", "description")
_BODY_TYPES = {
    "articleBody": None,  # of anything
    "text": {"discussionforumposting", "question", "answer", "comment", "socialmediaposting", "blogposting"},
    "description": {"product", "jobposting", "event", "recipe", "course", "book", "videoobject", "place", "hotel"},
}
_TAG = re.compile(r"<[a-zA-Z/!][^>]*>")
_NOT_PROSE = re.compile(r"[{};]\s*[\w.#@-]+\s*[:{(]|\bfunction\b|=>|https?://\S+\s*$")


def scripts(data: np.ndarray, tree: Tree, types: set[str]) -> Iterator[tuple[str, str]]:
    """(type, content) of scripts of these types ("" for none given), in the order of the page."""
    for node in np.flatnonzero(tree.nodes["tag"] == SCRIPT).tolist():
        kind = value_of(data, tree, node, attributes.TYPE).strip().lower()
        if kind in types and tree.nodes[node]["behind"] > node + 1:
            text = tree.nodes[node + 1]
            yield kind, data[text["start"] : text["end"]].tobytes().decode("utf-8", "replace")


def value_of(data: np.ndarray, tree: Tree, node: int, attribute: int) -> str:
    """The value of a node's attribute, character references decoded, "" without."""
    k = attribute_of(tree, node, attribute)
    if k < 0:
        return ""
    raw = data[tree.attributes[k]["start"] : tree.attributes[k]["end"]].tobytes().decode("utf-8", "replace")
    return unescape(raw) if "&" in raw else raw


def parse_json(text: str) -> Any:
    """The value, or None."""
    for _ in range(2):
        text = _WRAPPING.sub("", text, count=2)
    for repair in (None, _CONTROL, _LATE_COMMA):
        if repair is not None:
            text = repair.sub(" " if repair is _CONTROL else "", text)
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
    try:
        return json.JSONDecoder(strict=False).raw_decode(text.lstrip())[0]
    except (ValueError, RecursionError):
        return None


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a value, outer ones first, in order."""
    stack = [(value, 0)]
    while stack:
        found, depth = stack.pop()
        if depth > _MAX_DEPTH:
            continue
        if isinstance(found, dict):
            yield found
            stack += [(inner, depth + 1) for inner in reversed(found.values()) if isinstance(inner, dict | list)]
        elif isinstance(found, list):
            stack += [(inner, depth + 1) for inner in reversed(found) if isinstance(inner, dict | list)]


def types_of(found: dict[str, Any]) -> set[str]:
    kinds = found.get("@type")
    return {kind.lower() for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str)}


def ld_objects(data: np.ndarray, tree: Tree) -> list[dict[str, Any]]:
    return [found for _, text in scripts(data, tree, {"application/ld+json"}) for found in objects(parse_json(text))]


def article_body(data: np.ndarray, tree: Tree) -> str:
    """The text that scripts carry: `articleBody` and its like of JSON-LD, else prose in embedded data, else ""."""
    found = ld_objects(data, tree)
    for key in _BODY_KEYS:
        wanted = _BODY_TYPES[key]
        texts = [
            clean
            for thing in found
            if isinstance(thing.get(key), str) and (wanted is None or types_of(thing) & wanted)
            if (clean := plain_text(thing[key]))
        ]
        if text := _joined(texts):
            return text
    texts = []
    for kind, script in scripts(data, tree, {"application/json", "", "text/javascript"}):
        if kind != "application/json":
            state = _STATE.match(script)
            if state is None:
                continue
            script = script[state.end() :]
        texts += [clean for value in _strings(parse_json(script)) if _is_prose(clean := plain_text(value))]
    return _joined(texts)


def plain_text(value: str) -> str:
    """Of a string that may hold HTML, escaped or not."""
    value = value.encode("utf-8", "replace").decode().replace("\0", "")
    if "&lt;" in value and not _TAG.search(value):
        value = unescape(value)
    if _TAG.search(value):
        page = np.frombuffer(value.encode(), np.uint8)
        out = np.empty(max_text_bytes(len(page)), np.uint8)
        value = out[: write_text(page, parse(page).nodes, 0, 0, out, 0)].tobytes().decode()
    elif "&" in value:
        value = unescape(value)
    return "\n".join(line for line in (" ".join(line.split()) for line in value.splitlines()) if line)


def _strings(value: Any) -> Iterator[str]:
    for found in objects(value):
        for inner in found.values():
            for text in inner if isinstance(inner, list) else [inner]:
                if isinstance(text, str) and len(text) >= _MIN_PROSE_CHARS:
                    yield text


def _is_prose(text: str) -> bool:
    if len(text) < _MIN_PROSE_CHARS or _NOT_PROSE.search(text[:2000]):
        return False
    letters = sum(c.isalpha() or c.isspace() for c in text[:2000]) / len(text[:2000])
    dense = len(re.findall(r"[\u3040-\u9fff]", text[:2000])) > _MIN_PROSE_WORDS
    return letters > 0.8 and (dense or len(text[:2000].split()) >= _MIN_PROSE_WORDS)


def _joined(texts: list[str]) -> str:
    """Each once, and none that stands in another before it."""
    kept: list[str] = []
    size = 0
    for text in dict.fromkeys(texts):
        if size + len(text) > MAX_BODY_CHARS:
            break
        if not (kept and text in kept[-1]):
            kept.append(text)
            size += len(text)
    return "\n".join(kept)
