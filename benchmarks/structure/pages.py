"""Labelled pages: HTML beside the Markdown of its main text."""

import hashlib
from typing import NamedTuple


class LabelledPage(NamedTuple):
    """A page with its truth."""

    name: str
    set: str  # "debian", "hand" or "own"
    half: str  # "tuned", which changes may be fitted to, or "apart"
    html: bytes
    main: str  # CSS selector of the element that holds the main text
    markdown: str


def half_of(project: str) -> str:
    """The half of a project's or a site's pages: all in the same one."""
    return ("tuned", "apart")[hashlib.sha256(project.encode()).digest()[0] & 1]
