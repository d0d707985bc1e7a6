"""Labels of pages without a main text: the text on which two engines agree, corrected by labelled snippets.

trafilatura and resiliparse err in different ways. If their texts have an F1 of `AGREEMENT`, trafilatura's is taken as
the main text, with less weight than one chosen by hand. Snippets ("this is part of the main text", "this is not")
overrule it. If the engines differ, only the blocks of snippets have weight.
"""

from collections.abc import Sequence

import numpy as np

from cleaners.engines import resiliparse, trafilatura
from cleaners.extraction.training.score import f1

AGREEMENT = 0.85
MIN_CHARS = 300  # of a text that is taken
WEIGHT = 0.4  # of a page; 1 is that of a page labelled by hand
_SNIPPET_WEIGHT = 3.0  # of a snippet's block, in weights of other blocks
_MIN_SNIPPET, _MIN_PART = 3, 20  # characters of a snippet, and of a block that is part of one


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
    """Set `wanted` and `weight`, float32[blocks], of blocks that hold a snippet or are part of one.

    `lines` are the texts of the blocks, `even` their weights if nothing is known. A block that holds snippets from both
    `inside` and `outside` the main text is left as it is.
    """
    folded = [_fold(line) for line in lines]
    in_main, in_rest = (
        {i for snippet in map(_fold, snippets) for i in _blocks_of(snippet, folded)} for snippets in (inside, outside)
    )
    for share, blocks in ((1, in_main - in_rest), (0, in_rest - in_main)):
        for i in blocks:
            wanted[i] = share
            weight[i] = even[i] * _SNIPPET_WEIGHT


def _blocks_of(snippet: str, lines: Sequence[str]) -> list[int]:
    if len(snippet) < _MIN_SNIPPET:
        return []
    return [i for i, line in enumerate(lines) if snippet in line or (len(line) > _MIN_PART and line in snippet)]


def _fold(text: str) -> str:
    return " ".join(text.split())
