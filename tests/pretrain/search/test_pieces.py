"""Pieces of text by a regular expression, and lookups by a naive scan."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pretrain.search.pieces import END, mark_starts, next_piece, piece_spans
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, SPACE, classes

LETTERS = "ab é\u0301 2,.年に\u3099\n"


def plain_pieces(text: str) -> list[str]:
    """By a look at the class of each character."""
    table = classes()
    shape = "".join(
        {SPACE: " ", LETTER: "l", NUMBER: "l", MARK: "m", IDEOGRAPH: "i"}.get(int(table[ord(c)]), "x") for c in text
    )
    return [text[m.start() : m.end()] for m in re.finditer(r"[lm][lm]*|im*|x", shape)]


def pieces(text: str) -> list[str]:
    data = np.frombuffer(text.encode(), np.uint8)
    starts, ends = (np.empty(len(data), np.int64) for _ in range(2))
    count = piece_spans(data, 0, len(data), classes(), starts, ends)
    return [data[a:b].tobytes().decode() for a, b in zip(starts[:count], ends[:count], strict=True)]


def test_a_piece_is_a_word_an_ideograph_or_another_character() -> None:
    assert pieces("See the mill, 2024年") == ["See", "the", "mill", ",", "2024", "年"]


@given(st.text(alphabet=LETTERS, max_size=30))
def test_pieces_are_those_of_the_plain_rule(text: str) -> None:
    assert pieces(text) == plain_pieces(text)


@given(st.text(alphabet=LETTERS, max_size=20))
def test_the_next_piece_is_the_first_one_of_the_rest(text: str) -> None:
    data = np.frombuffer(text.encode() + bytes([END]), np.uint8)
    start, end = next_piece(data, 0, classes())
    assert [data[start:end].tobytes().decode()] == (plain_pieces(text) or [""])[:1]


def test_starts_are_marked_in_each_text() -> None:
    data = np.frombuffer(b"a b\xffc\xff\xff", np.uint8)
    marks = np.zeros(len(data), bool)
    mark_starts(data, np.array([0, 4, 6, 7]), classes(), marks)
    assert np.flatnonzero(marks).tolist() == [0, 2, 4]
