"""Data in the scripts of a page: JSON-LD, and JSON that some pages carry instead of text.

JSON of pages is broken in many ways: wrapped in comments or CDATA, with bare line ends in strings, with commas before
brackets. JSON that two simple repairs do not mend is left out. Nothing here raises, and time is linear.
"""

import html
import itertools
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson

from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import Tree, attribute_of
from cleaners.extraction.html.tags import SCRIPT
from cleaners.extraction.html.text import max_text_bytes, write_text
from cleaners.extraction.html.tree import parse

MAX_BODY_CHARS = 5_000_000
_MAX_DEPTH = 60
_MAX_STATES = 100  # a script; an error of `json` counts the lines before it, so that each costs the whole script
_MIN_PROSE_WORDS = 33  # some 200 characters of English
_MIN_LINE_WORDS = 5  # on average: menus have fewer
_SCRIPTS = {"", "text/javascript", "application/javascript", "module"}
_WRAPPING = re.compile(r"^(?:\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/|<!\[CDATA\[))+")
_CONTROL = re.compile(r"[\x00-\x1f]+")
_LATE_COMMA = re.compile(r",\s*(?=[\]}])")
_END = "\0"  # of a paragraph
_DECODER = json.JSONDecoder(strict=False)
# State that programs write into a page: `window.__NAME__ = {…}`, `window["__NAME__"] = JSON.parse("…")`.
_STATE = re.compile(
    r"\b(?:window|self|globalThis|var|let|const)\b[^={};\n]{0,80}=\s*(?:(JSON\.parse\(\s*)(?=[\"'])|(?=[{\[]))"
)
_LITERAL = re.compile(r""""[^"\\]*+(?:\\.[^"\\]*+)*+"|'[^'\\]*+(?:\\.[^'\\]*+)*+'""", re.DOTALL)
_ESCAPE = re.compile(r'\\.|"', re.DOTALL)
_JSON_ESCAPES = {"\\'": "'", "\\x": "\\u00", '"': '\\"'}  # by the escapes of a JavaScript literal
_BODY_KEYS = ("articleBody", "text", "description")
_BODY_TYPES = {
    "articleBody": None,  # of anything
    "text": {"discussionforumposting", "question", "answer", "comment", "socialmediaposting", "blogposting"},
    "description": {"product", "jobposting", "event", "recipe", "course", "book", "videoobject", "place", "hotel"},
}
_TAG = re.compile(r"<[a-zA-Z/!][^<>]*>")
# Keys of embedded data that hold texts or lists of paragraphs, and keys of words that the whole site shares.
_NAMES_TEXT = re.compile(
    r"(?:body|content|text|html|paragraphs?|description|markdown|rendered|blocks|children|elements|value|article)$",
    re.IGNORECASE,
)
_NAMES_CHROME = re.compile(
    r"cookie|consent|gdpr|ccpa|privacy|i18n|l10n|locale|locali[sz]|translat|messages|strings|dictionar|labels?$|footer|"
    r"banner|alt_?text",
    re.IGNORECASE,
)
# Chinese and Japanese have about two characters a word; Thai, Lao, Burmese and Khmer, without spaces too, about five.
_WORD = re.compile(
    r"[\u3040-\u9fff]{1,2}|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{1,5}"
    r"|[^\s\u3040-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+"
)
_NOT_PROSE = re.compile(r"[{};]\s*[\w.#@-]+\s*[:{(]|\bfunction\s*\w*\([^(){]*\)\s*\{|=>")


def scripts(data: np.ndarray, tree: Tree, types: set[str]) -> Iterator[tuple[str, str]]:
    """(type, content) of the scripts of these types ("" for scripts without a type), in the order of the page.

    Parameters of a type, as in "application/ld+json; charset=utf-8", are ignored.
    """
    for node in np.flatnonzero(tree.nodes["tag"] == SCRIPT).tolist():
        kind = value_of(data, tree, node, attributes.TYPE).split(";")[0].strip().lower()
        if kind in types and tree.nodes[node]["after"] > node + 1:
            text = tree.nodes[node + 1]
            yield kind, data[text["start"] : text["end"]].tobytes().decode("utf-8", "replace")


def value_of(data: np.ndarray, tree: Tree, node: int, attribute: int) -> str:
    """The value of a node's attribute with its character references decoded, or ""."""
    k = attribute_of(tree, node, attribute)
    if k < 0:
        return ""
    raw = data[tree.attributes[k]["start"] : tree.attributes[k]["end"]].tobytes().decode("utf-8", "replace")
    return unescape(raw)


def unescape(text: str) -> str:
    """Decode character references; leave all of them if one has more digits than Python reads."""
    try:
        return html.unescape(text)
    except ValueError:
        return text


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
        if depth > _MAX_DEPTH:
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
    return [parse_json(text) for _, text in scripts(data, tree, {"application/ld+json"})]


def ld_objects(data: np.ndarray, tree: Tree) -> list[dict[str, Any]]:
    return list(objects(ld_values(data, tree)))


def article_body(data: np.ndarray, tree: Tree) -> str:
    """The text in scripts: `articleBody` and similar keys of JSON-LD, else prose in embedded data, else ""."""
    things = ld_objects(data, tree)
    for key in _BODY_KEYS:
        wanted = _BODY_TYPES[key]
        texts = [
            clean
            for thing in things
            if key in thing and (wanted is None or types_of(thing) & wanted)
            if (clean := _plain_lines(thing[key] if isinstance(thing[key], list) else [thing[key]]))
        ]
        if text := _joined(texts):
            return text
    prose = [piece for value in _embedded(data, tree) for piece in _prose(value)]
    return _joined([text for is_named, text in prose if is_named] or [text for _, text in prose])


def plain_text(value: str) -> str:
    """The lines of a string that may hold HTML, escaped or not."""
    value = value.encode("utf-8", "replace").decode().replace("\0", "")
    if "&lt;" in value and not _TAG.search(value):
        value = unescape(value)
    if _TAG.search(value):
        page = np.frombuffer(value.encode(), np.uint8)
        out = np.empty(max_text_bytes(len(page)), np.uint8)
        value = out[: write_text(page, parse(page).nodes, 0, 0, out, 0)].tobytes().decode()
    else:
        value = unescape(value)
    return "\n".join(line for line in (" ".join(line.split()) for line in value.splitlines()) if line)


def _plain_lines(values: list[Any]) -> str:
    return "\n".join(text for value in values if isinstance(value, str) and (text := plain_text(value)))


def _embedded(data: np.ndarray, tree: Tree) -> Iterator[Any]:
    for kind, script in scripts(data, tree, {"application/json", *_SCRIPTS}):
        if kind == "application/json":
            yield parse_json(script)
        else:
            yield from itertools.islice(_states(script), _MAX_STATES)


def _states(script: str) -> Iterator[Any]:
    """The value of each assignment in a script, or None if it is no JSON."""
    at = 0
    while state := _STATE.search(script, at):
        at, value = state.end(), None
        if not state[1]:
            try:
                value, at = _DECODER.raw_decode(script, at)
            except (ValueError, RecursionError):
                pass
        elif literal := _LITERAL.match(script, at):
            at = literal.end()
            escaped = _ESCAPE.sub(lambda match: _JSON_ESCAPES.get(match[0], match[0]), literal[0][1:-1])
            value = parse_json(f'"{escaped}"')
            value = parse_json(value) if isinstance(value, str) else None
        yield None if _NAMES_CHROME.search(state[0]) else value


def _prose(value: Any) -> Iterator[tuple[bool, str]]:
    """(whether its key names a text, the text) for all prose in embedded data."""
    for is_named, pieces in _texts(value):
        if sum(map(len, pieces)) >= 2 * _MIN_PROSE_WORDS:  # a word has 2 characters or more; parsing is slow
            text = _plain_lines("".join(pieces).split(_END))
            if _is_prose(text):
                yield is_named, text


def _texts(value: Any) -> list[tuple[bool, list[str]]]:
    """(whether its key names a text, pieces) of the texts in a value.

    A list under such a key is one text with all texts in it, as in [{"p": [{"text": "One "}, {"text": "line"}]}, …].
    Each of its items is a paragraph, and so is a list within, whose objects are pieces of one line.
    """
    texts: list[tuple[bool, list[str]]] = []
    stack: list[tuple[Any, bool, list[str] | None, int]] = [(value, False, None, 0)]
    while stack:
        item, is_named, whole, depth = stack.pop()
        if isinstance(item, str):
            if whole is None:
                texts.append((is_named, [item]))
            elif is_named:
                whole.append(item)
        elif isinstance(item, dict) and depth <= _MAX_DEPTH:
            stack += [
                (inner, _NAMES_TEXT.search(key) is not None, whole, depth + 1)
                for key, inner in reversed(item.items())
                if not _NAMES_CHROME.search(key)
            ]
        elif isinstance(item, list) and depth <= _MAX_DEPTH:
            pieces: list[str] = [] if whole is None else whole
            if whole is None:
                texts.append((is_named, pieces))
            is_text = is_named or whole is None  # else strings in a list such as {"marks": ["bold"]}
            end = (_END, is_text, pieces, depth)
            stack.append(end)
            for inner in reversed(item):
                is_string = isinstance(inner, str)
                if is_string or whole is None:
                    stack.append(end)
                is_part = is_string or is_named or whole is not None
                stack.append((inner, is_text if is_string else is_named, pieces if is_part else None, depth + 1))
            stack.append(end)
    return texts


def _is_prose(text: str) -> bool:
    head = text[:2000]
    words = len(_WORD.findall(head))
    letters = sum(c.isalpha() or c.isspace() or unicodedata.category(c)[0] == "M" for c in head)  # M: vowels of Hindi
    return (
        words >= max(_MIN_PROSE_WORDS, _MIN_LINE_WORDS * len(head.splitlines()))
        and letters > 0.8 * len(head)
        and not _NOT_PROSE.search(head)
    )


def _joined(texts: list[str]) -> str:
    """Join the texts, each once, without those that stand in the text before.

    These are looked for in order, each after the one before, so that a text is searched once.
    """
    kept: list[str] = []
    size = at = 0
    for text in dict.fromkeys(texts):
        if size + len(text) > MAX_BODY_CHARS:
            break
        at = kept[-1].find(text, at) if kept else -1
        if at < 0:
            kept.append(text)
            size, at = size + len(text), 0
    return "\n".join(kept)
