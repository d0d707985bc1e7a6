"""Headings of chosen text: in Markdown, a heading belongs to the text right below it.

The choice of blocks weighs words, and a heading has few. Labels of main text often leave the title of a page out, so
the model does, too.
"""

import numpy as np

from cleaners.extraction.features.page import ParsedPage
from cleaners.extraction.html.nodes import ARIA_HIDDEN, HIDDEN
from cleaners.extraction.html.tags import HEADING, RULES


def with_headings(page: ParsedPage, chosen: np.ndarray) -> np.ndarray:
    """bool[blocks]: the chosen blocks and the visible headings between which and a chosen block only headings stand."""
    elements = page.tree.nodes[page.blocks["element"]]
    is_heading = (RULES[elements["tag"]] & HEADING > 0) & (elements["flags"] & (HIDDEN | ARIA_HIDDEN) == 0)
    out = chosen.copy()
    for b in np.flatnonzero(is_heading & ~chosen)[::-1].tolist():
        out[b] = b + 1 < len(out) and out[b + 1]
    return out
