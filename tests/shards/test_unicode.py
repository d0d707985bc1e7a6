import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.compiled import kernel
from shards.unicode import (
    IDEOGRAPH,
    LETTER,
    MARK,
    NUMBER,
    OTHER,
    PUNCTUATION,
    SPACE,
    SYMBOL,
    classes,
    decode,
    lowercase,
    text_buffers,
)


@kernel
def decode_all(data, code_points):
    i = n = 0
    while i < len(data):
        code_points[n], i = decode(data, i)
        n += 1
    return n


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_decode_gives_the_code_points_of_python(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    code_points = np.zeros(len(data), np.int64)
    n = decode_all(data, code_points)
    assert code_points[:n].tolist() == [ord(c) for c in text]


@pytest.mark.parametrize(
    ("characters", "expected"),
    [
        ("aЯéß", LETTER),
        ("\u0301\u0902", MARK),
        ("7٣²", NUMBER),
        (".«—", PUNCTUATION),
        ("$+©", SYMBOL),
        (" \n\t\u00a0\u3000\u2028", SPACE),
        ("字あアーㄅ𠀀〇", IDEOGRAPH),
        ("\x00\u200d\U0010ffff", OTHER),
    ],
)
def test_each_character_has_one_class(characters: str, expected: int) -> None:
    assert {int(classes()[ord(c)]) for c in characters} == {expected}


def test_letters_of_python_are_letters_or_ideographs() -> None:
    for c in range(0x1_0000):
        if unicodedata.category(chr(c))[0] == "L":
            assert classes()[c] in (LETTER, IDEOGRAPH)


def test_lower_case_is_a_single_code_point_or_the_character_itself() -> None:
    assert [chr(lowercase()[ord(c)]) for c in "AЁaİ中𐐀"] == ["a", "ё", "a", "İ", "中", "𐐨"]


def test_buffers_are_views_without_a_copy_also_of_slices_and_nulls() -> None:
    whole = pa.array(["before", "текст", None, ""], pa.large_string())
    data, offsets = text_buffers(whole.slice(1))
    assert [data[a:b].tobytes().decode() for a, b in pairwise(offsets)] == ["текст", "", ""]
    assert offsets[0] == len("before")
    assert not data.flags.writeable
    assert not offsets.flags.writeable
    data, offsets = text_buffers(pa.array([], pa.large_string()))
    assert (data.tolist(), offsets.tolist()) == ([], [0])
