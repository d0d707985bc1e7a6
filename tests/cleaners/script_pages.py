"""Pages whose text stands in scripts, and what is found there."""

import json
from typing import Any

import numpy as np

from cleaners.extraction.html.tree import parse
from cleaners.extraction.json_ld import ld_text, ld_values
from cleaners.extraction.page_state import state_text

PROSE = "The mill stands by the river, and it has ground the corn of the valley for three hundred years. " * 4


def body(html: str) -> str:
    """The text in the scripts of a page, as the engine looks for it."""
    data = np.frombuffer(html.encode(), np.uint8)
    tree = parse(data)
    return ld_text(ld_values(data, tree)) or state_text(data, tree)


def ld(value: Any) -> str:
    return f'<script type="application/ld+json">{json.dumps(value)}</script>'


def state(value: Any) -> str:
    return f'<script id="__NEXT_DATA__" type="application/json">{json.dumps(value)}</script>'
