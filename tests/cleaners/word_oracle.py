"""Words by a regular expression over `str.isspace` and the table of ideographs: the oracle of `shards.words`."""

import re

from hypothesis import strategies as st

from shards.unicode import IDEOGRAPH, MARK, classes

# Text of every script, and more often of what splits words: spaces, ideographs, marks, line breaks.
any_text = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(" \n\t\u3000\u00a0\x00\x1c\x85世界かカ゛\u3099é\u0301ا\u200f😀👨\u200d🌲...#the日"),
    ),
    max_size=60,
)


def split(text: str) -> list[str]:
    """The words of `text`, as plainly as they can be said."""
    kinds = "".join("IMSx"[_kind(c)] for c in text)
    return [text[m.start() : m.end()] for m in re.finditer(r"IM*|(?<!I)M[xM]*|x[xM]*", kinds)]


def _kind(character: str) -> int:
    kind = classes()[ord(character)]
    return 0 if kind == IDEOGRAPH else 1 if kind == MARK else 2 if character.isspace() else 3
