"""The state that programs write into the scripts of a page, and the prose in it."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

import numpy as np
import orjson

from cleaners.extraction.flight import FLIGHT_NAMES, flight_page
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.json_ld import MAX_DEPTH, parse_json, scripts
from cleaners.extraction.prose import MIN_PROSE_WORDS, distinct, is_prose, plain_lines, unescape
from cleaners.extraction.script_literals import read_literal

_MAX_JSON = 100  # values a script; an error of `json` counts the lines before it, so that each costs the whole script
_MIN_CHARS = 2 * MIN_PROSE_WORDS  # of prose; a word has 2 characters or more
# Types of scripts that hold JSON, and endings of those that are run: "3f2a-text/javascript" is Cloudflare's.
_JSON_TYPES = ("json", "fastboot/shoebox")
_RUN_TYPES = ("javascript", "ecmascript", "module")
_END = "\0"  # of a paragraph
_DECODER = json.JSONDecoder(strict=False)
# A literal that is assigned, or among the first arguments of a call: `window.__NAME__ = {…}`, `a.push([…])`,
# `start(app, "#root", {…})`, `load(JSON.parse("…"))`, `set("{\"a\": …}")`.
_STATE = re.compile(
    r"""(?:(?<![=!<>])=(?![=>])|\((?:\s*+(?:[\w$.]++|"[^"\n]{0,80}+"|'[^'\n]{0,80}+')\s*+,){0,4}+)\s*+"""
    r"""(?=[{\[]|["'](?:[{\[]|\\x[57][bB])|\(\s*+function\b|(?:window\.)?+JSON\.parse|decodeURI|Object\.|[\w$.]{1,80}+\s*+\|\|)"""
)
_NAME_CHARS = 80  # before an assignment or a call that name it
_NAME = re.compile(r"[\w$.\[\]\"'-]*\s*$")
_IS_JSON = re.compile(r"\{\s*+[\"}]|\[\s*+[\[{\"\d\]]")
# Angular (up to 15) writes its state with these for the characters that HTML knows.
_ANGULAR = re.compile("&([aqslg]);")
_ANGULAR_CHARACTERS = {"a": "&", "q": '"', "s": "'", "l": "<", "g": ">"}
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


def state_of(data: np.ndarray, tree: Tree) -> tuple[list[Any], str]:
    """(values of the state, HTML that React Server Components wrote as rows, or "")"""
    values, run = [], []
    for kind, script in scripts(data, tree, _is_wanted):
        if kind.endswith(_JSON_TYPES):
            values.append(_json(script))
        else:
            values += _states(script)
            run.append(script)
    page = flight_page(run)
    return values + page.data, page.html


def state_texts(values: Iterable[Any]) -> list[str]:
    """The texts of prose in the state: those under keys for texts, else all."""
    prose = [piece for value in values for piece in _prose(value)]
    return distinct([text for is_named, text in prose if is_named] or [text for _, text in prose])


def _is_wanted(kind: str) -> bool:
    return not kind or (kind.endswith((*_JSON_TYPES, *_RUN_TYPES)) and not kind.endswith("ld+json"))


def _json(script: str) -> Any:
    """The value of a script of JSON, which may be escaped as a whole."""
    value = parse_json(script)
    if value is None and "&q;" in script:
        value = parse_json(_ANGULAR.sub(lambda match: _ANGULAR_CHARACTERS[match[1]], script))
    elif value is None and "&quot;" in script:
        value = parse_json(unescape(script))
    elif value is None and script.lstrip().startswith(("%7B", "%5B")):
        value = parse_json(unquote(script))
    return value


def _states(script: str) -> Iterator[Any]:
    """The literals of a script that are not named for words of the whole site."""
    at = num_json = 0
    while state := _STATE.search(script, at):
        at, value = state.end(), None
        is_json = num_json < _MAX_JSON and _IS_JSON.match(script, at) is not None
        if is_json:
            num_json += 1
            try:
                value, end = _DECODER.raw_decode(script, at)
            except (ValueError, RecursionError):
                is_json = False
        if not is_json:
            value, end = read_literal(script, at)
        name = _NAME.search(script, max(0, state.start() - _NAME_CHARS), state.start())
        is_other = name and (_NAMES_CHROME.search(name[0]) or FLIGHT_NAMES.search(name[0]))
        if end - at >= _MIN_CHARS and not is_other:
            yield _json_within(value) if isinstance(value, str) else value
        at = max(at, end)


def _prose(value: Any) -> Iterator[tuple[bool, str]]:
    """(whether its key names a text, the text) for all prose in embedded data."""
    for is_named, pieces in _texts(value):
        if sum(map(len, pieces)) >= _MIN_CHARS:  # parsing is slow
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
        if isinstance(item, str) and (inner := _json_within(item)) is not None:
            stack.append((inner, is_named, None, depth + 1))
        elif isinstance(item, str):
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


def _json_within(text: str) -> Any:
    """The object or list that a string holds as JSON, or None."""
    if len(text) < _MIN_CHARS or text[0] not in "{[":
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
