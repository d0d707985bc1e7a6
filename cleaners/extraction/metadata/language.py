"""The language that a page declares."""

import re
from typing import Any

import numpy as np

from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.json_ld import value_of
from cleaners.extraction.metadata.declared import Metas, string_of

_LANGUAGE = re.compile(r"^[a-zA-Z]{2,3}(?:[-_][a-zA-Z0-9]{2,8}){0,5}$")
# The tree does not keep `xml:lang`, which stands in the first bytes of XHTML. The search is quadratic in their number.
_XML_LANG = re.compile(rb"<html\b[^>]*?\sxml:lang\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
_MAX_BYTES_BEFORE_LANGUAGE = 2_000


def declared_language(data: np.ndarray, tree: Tree, metas: Metas, things: list[dict[str, Any]]) -> str | None:
    """The declared language as a BCP 47 tag.

    The outermost element comes first, since browsers and screen readers follow it (the HTML standard, 3.2.6.2), then
    the header that the standard names next. Only machines read the others, and programs fill them in with their
    defaults.
    """
    body = np.flatnonzero(tree.nodes["tag"] == tags.BODY)[0]
    xml = _XML_LANG.search(data[:_MAX_BYTES_BEFORE_LANGUAGE].tobytes())
    for declared in (
        value_of(data, tree, 0, attributes.LANG),
        xml[1].decode() if xml else "",
        value_of(data, tree, body, attributes.LANG),
        metas.one("content-language"),
        metas.one("og:locale"),
        *(string_of(thing, "inLanguage") for thing in things),
    ):
        tag = declared.split(",")[0].strip()
        if _LANGUAGE.match(tag):
            language, *rest = tag.replace("_", "-").split("-")
            region_or_script = {2: str.upper, 4: str.title}
            return "-".join([language.lower(), *(region_or_script.get(len(part), str)(part) for part in rest)])
    return None
