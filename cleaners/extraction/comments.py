"""Readers' comments as text of their own, for those who want them beside the main text."""

from cleaners.extraction.features.comment_marks import in_comments
from shards.compiled import kernel

_MIN_WORDS = 4
_MAX_LINK_SHARE = 0.5  # of the block's text


@kernel
def comment_blocks(page, containers):
    """bool[blocks]: the sentences in comments, without buttons, names and dates."""
    measures = page.measured.measures
    out = in_comments(page, containers)
    for b in range(len(measures)):
        m = measures[b]
        out[b] = (
            out[b]
            and m.words >= _MIN_WORDS
            and m.link_chars <= _MAX_LINK_SHARE * m.chars
            and (m.punctuation > 0 or m.words > 2 * _MIN_WORDS)
            and not m.hidden
        )
    return out
