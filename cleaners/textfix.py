"""Repairs of extracted text: RefinedWeb's limit on empty lines and its removal of URLs (arXiv 2306.01116, G.1)."""

import re
from functools import cache

# ASCII and, for Latin and Cyrillic hosts and paths, letters below U+2000: a URL ends where Chinese text goes on.
_CHARS = r"[A-Za-z0-9_!#$%&'*+,./:;=?@\[\]~\u00c0-\u1fff-]"
_URL = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.(?=[\w-]+\.))"
    rf"(?:{_CHARS}|\({_CHARS}*\))*"  # a parenthesis only with its partner
    r"(?<![!',.:;?\[\]])",  # punctuation at the end belongs to the sentence
    re.IGNORECASE,
)


def limit_newlines(text: str, max_newlines: int = 2) -> str:
    """`text` with at most that many newlines in a row; a line of white space alone is an empty line."""
    return _more_newlines(max_newlines).sub("\n" * max_newlines, text)


@cache
def _more_newlines(max_newlines: int) -> re.Pattern[str]:
    return re.compile(rf"\n(?:[^\S\n]*\n){{{max_newlines},}}")


def remove_urls(text: str) -> str:
    """`text` without http, https and ftp URLs and "www." addresses; the sentence around them stays as it is."""
    if "://" not in text and "www." not in text.lower():
        return text
    return _URL.sub("", text)
