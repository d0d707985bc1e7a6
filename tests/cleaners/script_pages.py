"""Pages whose text stands in scripts, and what is found there."""

import json
from typing import Any

from cleaners.extraction.engine import script_texts
from cleaners.extraction.model import load_model, model_path

PROSE = "The mill stands by the river, and it has ground the corn of the valley for three hundred years. " * 4


def body(html: str) -> str:
    """The text in the scripts of a page, as the engine looks for it."""
    return "\n".join(script_texts(html.encode(), load_model(model_path())))


def ld(value: Any) -> str:
    return f'<script type="application/ld+json">{json.dumps(value)}</script>'


def state(value: Any) -> str:
    return f'<script id="__NEXT_DATA__" type="application/json">{json.dumps(value)}</script>'
