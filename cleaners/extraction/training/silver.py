"""Pages nobody labelled: the text on which two engines agree, corrected by snippets that somebody marked.

trafilatura and resiliparse err in different ways. Where the words of both have an F1 of `AGREEMENT`, trafilatura's text
is taken for the main text, with less weight than one chosen by hand. Snippets ("this stands in the main text", "this
does not") then overrule it, and where the engines differ only the blocks of snippets teach.
"""

from collections.abc import Sequence

import numpy as np

from cleaners.engines import resiliparse, trafilatura
from cleaners.extraction.training.score import f1

AGREEMENT = 0.85
MIN_CHARS = 300
WEIGHT = 0.4
_SNIPPET_WEIGHT = 3.0
_MIN_SNIPPET, _MIN_PART = 3, 20  # characters


def agreed_text(html: str, url: str) -> str | None:
    """trafilatura's text if resiliparse has nearly the same, else None."""
    text = trafilatura(html, url, favour="balanced")
    if len(text) < MIN_CHARS or f1(text, resiliparse(html, url, favour="balanced")) < AGREEMENT:
        return None
    return text


def correct(
    lines: Sequence[str],
    wanted: np.ndarray,
    weight: np.ndarray,
    even: np.ndarray,
    inside: Sequence[str],
    outside: Sequence[str],
) -> None:
    """Set `wanted` and `weight`, float32[blocks], of the blocks (`lines`, their texts) that hold a snippet or are part
    of one. `even` is the weight of blocks where nothing is known. A block that holds both kinds is left as it is."""
    folded = [_fold(line) for line in lines]
    hits = [{i for snippet in map(_fold, given) for i in _blocks_of(snippet, folded)} for given in (inside, outside)]
    for share, found, others in ((1, hits[0], hits[1]), (0, hits[1], hits[0])):
        for i in found - others:
            wanted[i] = share
            weight[i] = even[i] * _SNIPPET_WEIGHT


def _blocks_of(snippet: str, lines: Sequence[str]) -> list[int]:
    if len(snippet) < _MIN_SNIPPET:
        return []
    return [i for i, line in enumerate(lines) if snippet in line or (len(line) > _MIN_PART and line in snippet)]


def _fold(text: str) -> str:
    return " ".join(text.split())
