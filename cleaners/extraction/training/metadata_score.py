"""Scores of metadata against labels: title, authors and date of a page, each equal to its label or not.

    title     the same letters and digits, whatever the case, the punctuation, the accents' encoding and white space
    author    the same set of names, compared as titles are, whatever their order
    date      the same day

Nothing is half right: a title with the name of its site, one of two authors and the day after are all wrong. Pages
whose label is empty are not counted.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FIELDS = ("title", "author", "date")
_BETWEEN_NAMES = re.compile(r"[,;|/•·、，；]|\s[-–—]\s|\s(?:and|und|et|y|e|en|og|och|i|и|&)\s", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:by|the)\s+", re.IGNORECASE)


@dataclass
class MetadataScores:
    """How many pages have a label for each field, and how many of them are right or have none given."""

    labelled: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    empty: Counter[str] = field(default_factory=Counter)

    def add(self, found: Mapping[str, str | None], truth: Mapping[str, Any]) -> None:
        for name in FIELDS:
            if truth.get(name):
                self.labelled[name] += 1
                self.empty[name] += not found.get(name)
                self.right[name] += is_right(name, found.get(name) or "", truth[name])

    def share_right(self, name: str) -> float:
        return self.right[name] / self.labelled[name] if self.labelled[name] else 0.0

    def share_empty(self, name: str) -> float:
        return self.empty[name] / self.labelled[name] if self.labelled[name] else 0.0


def is_right(name: str, found: str, truth: str | list[str]) -> bool:
    """Whether a field of `FIELDS` equals its label. A list of authors is a string or a list of strings."""
    if name == "author":
        return names_in(found) == names_in(truth) != set()
    assert isinstance(truth, str)
    return found[:10] == truth[:10] if name == "date" else folded(found) == folded(truth) != ""


def names_in(authors: str | list[str]) -> set[str]:
    """The folded names in a list of authors, without "by" and "the" before them."""
    parts = [authors] if isinstance(authors, str) else authors
    names = [name for part in parts for name in _BETWEEN_NAMES.split(part)]
    return {folded(_ARTICLE.sub("", name.strip())) for name in names} - {""}


def folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
