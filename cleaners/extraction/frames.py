"""The page that a page of frames holds for browsers without frames, in <noframes>. It is all the text that it has.

    <frameset><frame src=a.html><noframes><body><p>One…</body></noframes></frameset>   ──▶   <body><p>One…</body>

The content of <noframes> is raw text to a parser, and nobody sees it on pages without frames.
"""

import numpy as np

from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tags import FRAMESET, TAGS, VERBATIM

_NOFRAMES = TAGS["noframes"]


def frameless_page(data: np.ndarray, tree: Tree) -> bytes:
    """The HTML of the <noframes> of a page of frames, b"" if it has none."""
    kinds, parents = tree.nodes["tag"], tree.nodes["parent"]
    if not np.any(kinds == FRAMESET):
        return b""
    texts = tree.nodes[(kinds == VERBATIM) & (kinds[parents] == _NOFRAMES)]
    return b"\n".join(data[text["start"] : text["end"]].tobytes() for text in texts)
