"""The state that programs write into the scripts of a page, and the prose in it."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.json_ld import MAX_DEPTH, parse_json, scripts
from cleaners.extraction.prose import MIN_PROSE_WORDS, is_prose, joined, plain_lines

_MAX_STATES = 100  # a script; an error of `json` counts the lines before it, so that each costs the whole script
_SCRIPTS = {"", "text/javascript", "application/javascript", "module"}
_END = "\0"  # of a paragraph
_DECODER = json.JSONDecoder(strict=False)
# State that programs write into a page: `window.__NAME__ = {…}`, `window["__NAME__"] = JSON.parse("…")`.
_STATE = re.compile(
    r"\b(?:window|self|globalThis|var|let|const)\b[^={};\n]{0,80}=\s*(?:(JSON\.parse\(\s*)(?=[\"'])|(?=[{\[]))"
)
_LITERAL = re.compile(r""""[^"\\]*+(?:\\.[^"\\]*+)*+"|'[^'\\]*+(?:\\.[^'\\]*+)*+'""", re.DOTALL)
_ESCAPE = re.compile(r'\\.|"', re.DOTALL)
_JSON_ESCAPES = {"\\'": "'", "\\x": "\\u00", '"': '\\"'}  # by the escapes of a JavaScript literal
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


def state_text(data: np.ndarray, tree: Tree) -> str:
    """The prose in the state: that under keys for texts, else all, else ""."""
    prose = [piece for value in _embedded(data, tree) for piece in _prose(value)]
    return joined([text for is_named, text in prose if is_named] or [text for _, text in prose])


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
        if sum(map(len, pieces)) >= 2 * MIN_PROSE_WORDS:  # a word has 2 characters or more; parsing is slow
            text = plain_lines("".join(pieces).split(_END))
            if is_prose(text):
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
        elif isinstance(item, dict) and depth <= MAX_DEPTH:
            stack += [
                (inner, _NAMES_TEXT.search(key) is not None, whole, depth + 1)
                for key, inner in reversed(item.items())
                if not _NAMES_CHROME.search(key)
            ]
        elif isinstance(item, list) and depth <= MAX_DEPTH:
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
