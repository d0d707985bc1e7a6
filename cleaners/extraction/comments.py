"""What readers wrote below an article: blocks that an element named for comments holds."""

import numpy as np
from numba import njit

from cleaners.extraction.hashing import hash_of

# Tokens of class, id or itemprop (`hashing.path_tokens`) of a list of comments or of one. Not "comment-count" and its
# like: a whole that has parts is marked, and its parts are looked at only with what else is in the name.
_NAMES = np.array(
    [
        hash_of(name) ^ (0x9E3779B9 if "-" in name or "_" in name else 0)
        for name in (
            "comments comment commentlist comment-list comments-list comment_list comment-body comment-content "
            "comments-area comment-text commenttext disqus_thread disqus_comments usercomments kommentare kommentar "
            "commentaires commentaire comentarios comentario commenti pinglun comment-box комментарии"
        ).split()
    ],
    np.uint32,
)
_MIN_WORDS = 4
_MOST_LINKS = 0.5  # share of the block's text in links
_MOST_OF_PAGE = 0.9  # an element with more of the page's text is named for what it may have, not for what it is


@njit(cache=True)
def comment_blocks(page, containers):  # type: ignore[no-untyped-def]
    """bool[blocks]: sentences of readers. Buttons, names and dates are none."""
    nodes, measures = page.tree.nodes, page.measured.measures
    inside = np.zeros(len(nodes), np.bool_)
    most = _MOST_OF_PAGE * containers.chars[0]
    for i in range(1, len(nodes)):
        inside[i] = inside[nodes[i].parent]
        if inside[i] or containers.chars[i] > most:
            continue
        for k in range(page.token_offsets[i], page.token_offsets[i + 1]):
            for name in _NAMES:
                if page.tokens[k] == name:
                    inside[i] = True
    out = np.zeros(len(measures), np.bool_)
    for b in range(len(measures)):
        m = measures[b]
        out[b] = (
            inside[page.blocks[b].element]
            and m.words >= _MIN_WORDS
            and m.link_chars <= _MOST_LINKS * m.chars
            and (m.punctuation > 0 or m.words > 2 * _MIN_WORDS)
            and not m.hidden
        )
    return out
