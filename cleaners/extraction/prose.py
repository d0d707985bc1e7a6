"""Strings of data as text: their HTML is read, and prose is told from code, addresses and labels."""

import html
import re
import unicodedata
from collections.abc import Iterable

import numpy as np

from cleaners.extraction.html.text import max_text_bytes, write_text
from cleaners.extraction.html.tree import parse

MAX_BODY_CHARS = 5_000_000
MIN_PROSE_WORDS = 33  # some 200 characters of English
MIN_LINE_WORDS = 5  # on average: menus have fewer
_TAG = re.compile(r"<[a-zA-Z/!][^<>]*>")
# Chinese and Japanese have about two characters a word; Thai, Lao, Burmese and Khmer, without spaces too, about five.
_WORD = re.compile(
    r"[\u3040-\u9fff]{1,2}|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{1,5}"
    r"|[^\s\u3040-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+"
)
_NOT_PROSE = re.compile(r"[{};]\s*[\w.#@-]+\s*[:{(]|\bfunction\s*\w*\([^(){]*\)\s*\{|=>")


def unescape(text: str) -> str:
    """Decode character references; leave all of them if one has more digits than Python reads."""
    try:
        return html.unescape(text)
    except ValueError:
        return text


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


def plain_lines(values: Iterable[object]) -> str:
    """The lines of those values that are strings."""
    return "\n".join(text for value in values if isinstance(value, str) and (text := plain_text(value)))


def num_words(text: str) -> int:
    return len(_WORD.findall(text))


def is_prose(text: str) -> bool:
    """Whether the first 2,000 characters are sentences: enough words, in all and a line, and neither code nor data."""
    head = text[:2000]
    words = num_words(head)
    letters = sum(c.isalpha() or c.isspace() or unicodedata.category(c)[0] == "M" for c in head)  # M: vowels of Hindi
    return (
        words >= max(MIN_PROSE_WORDS, MIN_LINE_WORDS * len(head.splitlines()))
        and letters > 0.8 * len(head)
        and not _NOT_PROSE.search(head)
    )


def distinct(texts: Iterable[str]) -> list[str]:
    """The texts in order, each once, without empty ones and those that stand in the text before.

    These are looked for in order, each after the one before, so that a text is searched once.
    """
    kept: list[str] = []
    size = at = 0
    for text in dict.fromkeys(filter(None, texts)):
        if size + len(text) > MAX_BODY_CHARS:
            break
        at = kept[-1].find(text, at) if kept else -1
        if at < 0:
            kept.append(text)
            size, at = size + len(text), 0
    return kept
