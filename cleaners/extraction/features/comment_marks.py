"""Readers' comments as pages mark them: blocks in an element that is named for comments, or after a heading that is.

The forests learn from the mark where comments are main text: in threads, and hardly ever below an article (`Comments`).
"""

import numpy as np

from cleaners.extraction.features.columns import Comments
from cleaners.extraction.features.hashing import hash_of
from cleaners.extraction.features.page import is_prose
from cleaners.extraction.html.tags import HEADING, RULES
from shards.compiled import kernel

# Tokens of class, id or itemprop (`hashing.path_tokens`) of a list of comments or of one comment. Parts are tokens too,
# for id="comment-123" and "user-comments". So "comment-count" counts, which has few words, and so does "has-comments",
# which has most of the page (`_MAX_SHARE`).
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
# Words of a heading over comments: one of these among at most three, or one of the pairs among eight characters.
_HEADINGS = np.array(
    [
        hash_of(word)
        for word in (
            "comments comment kommentare kommentar commentaires commentaire comentarios comentários commenti reacties "
            "kommentarer kommentit komentarze komentáře yorumlar комментарии комментария комментариев коментарі 댓글"
        ).split()
    ],
    np.uint32,
)
_PAIRS = np.array([[hash_of(c) for c in pair] for pair in "评论 評論 留言 跟帖 跟贴 コメ".split()], np.uint32)
_FILTER = np.zeros(1024, np.bool_)  # of names by their lowest bits: most tokens are none
_FILTER[_NAMES & 1023] = True
_MAX_WORDS, _MAX_CHARACTERS = 3, 8
_MAX_SHARE = 0.9  # of the page's text: an element with more is named for comments that it may have among other things


@kernel
def in_comments(page, containers):
    """bool[blocks]: whether a block is part of the comments, their buttons and names included."""
    nodes = page.tree.nodes
    inside, is_named = np.zeros(len(nodes), np.bool_), np.zeros(len(nodes), np.bool_)
    max_chars = _MAX_SHARE * containers.chars[0]
    for i in range(1, len(nodes)):
        is_named[i] = is_named[page.alike[i]]
        if page.alike[i] == i:
            for k in range(page.token_offsets[i], page.token_offsets[i + 1]):
                token = page.tokens[k]
                if _FILTER[token & np.uint32(1023)]:
                    for j in range(len(_NAMES)):  # a loop over the array itself takes as long as many comparisons
                        is_named[i] |= token == _NAMES[j]
        inside[i] = inside[nodes[i].parent] or (is_named[i] and containers.chars[i] <= max_chars)
    out = np.zeros(len(page.blocks), np.bool_)
    is_done = np.zeros(len(nodes), np.bool_)  # of headings: one may hold many blocks
    for b in range(len(out)):
        element = page.blocks[b].element
        if RULES[nodes[element].tag] & HEADING and not is_done[element] and _says_comments(page.measured, b):
            is_done[element] = True
            _mark_below(nodes, containers, element, inside)
        out[b] = inside[element]
    return out


@kernel
def _says_comments(measured, b):
    words = measured.words[measured.offsets[b] : measured.offsets[b + 1]]
    if len(words) > _MAX_CHARACTERS:
        return False
    for k in range(len(words)):
        for j in range(len(_HEADINGS)):
            if words[k] == _HEADINGS[j] and len(words) <= _MAX_WORDS:
                return True
        for j in range(len(_PAIRS)):
            if k and words[k - 1] == _PAIRS[j, 0] and words[k] == _PAIRS[j, 1]:
                return True
    return False


@kernel
def _mark_below(nodes, containers, heading, inside):
    """Set `inside` of all nodes from a heading to the next heading of its level or above."""
    top = heading
    while top > 1 and containers.chars[nodes[top].parent] <= containers.chars[heading]:
        top = nodes[top].parent
    for i in range(nodes[top].after, nodes[nodes[top].parent].after):
        tag = nodes[i].tag
        if RULES[tag] & HEADING and tag <= nodes[heading].tag:
            break
        inside[i] = True


@kernel
def write_comment_features(page, containers, x):
    nodes, measures = page.tree.nodes, page.measured.measures
    inside = in_comments(page, containers)
    first = -1
    words = comment_words = prose = prose_outside = np.float32(0)
    for b in range(len(x)):
        m = measures[b]
        words += m.words
        if inside[b]:
            comment_words += m.words
            first = b if first < 0 else first
        if is_prose(nodes[page.blocks[b].element].tag, m):
            prose += m.words
            prose_outside += m.words * (not inside[b])
    for b in range(len(x)):
        row = x[b]
        row[Comments.IN_COMMENTS] = inside[b]
        row[Comments.SINCE_COMMENTS] = b - first if first >= 0 else -999
        row[Comments.COMMENT_SHARE] = comment_words / max(words, np.float32(1))
        row[Comments.PROSE_OUTSIDE] = prose_outside / prose if prose > 0 else np.float32(-1)
