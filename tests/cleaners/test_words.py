import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import any_text, split

from shards.unicode import IDEOGRAPH, classes, text_buffers
from shards.words import max_words, word_spans


def words_by_kernel(texts: list[str]) -> list[list[str]]:
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    found = []
    for start, end in itertools.pairwise(offsets):
        starts, ends = np.empty(max_words(end - start), np.int64), np.empty(max_words(end - start), np.int64)
        n = word_spans(data, start, end, classes(), starts, ends)
        found.append([data[a:b].tobytes().decode() for a, b in zip(starts[:n], ends[:n], strict=True)])
    return found


@given(any_text)
def test_the_kernel_splits_as_the_oracle_does(text: str) -> None:
    assert words_by_kernel(["padding 前 ", text])[1] == split(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_without_ideographs_words_are_those_of_str_split(text: str) -> None:
    text = "".join(c for c in text if classes()[ord(c)] != IDEOGRAPH)
    assert words_by_kernel([text])[0] == text.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\u3000", []),
        ("Numba 0.68 编译器, fast.", ["Numba", "0.68", "编", "译", "器", ",", "fast."]),
        ("か\u3099く", ["か\u3099", "く"]),  # a combining mark stays on its character
        ("a\x00b", ["a\x00b"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("ภาษาไทย ดี", ["ภาษาไทย", "ดี"]),
        ("👨\u200d🌲 x", ["👨\u200d🌲", "x"]),
    ],
)
def test_words_of(text: str, words: list[str]) -> None:
    assert words_by_kernel([text])[0] == words == split(text)


def test_no_text_has_more_words_than_max_words() -> None:
    for text in ("a b c d e", "a世b世", "世界", "a"):
        assert len(words_by_kernel([text])[0]) <= max_words(len(text.encode()))
    assert len(words_by_kernel(["a b c"])[0]) == max_words(5)


def test_text_buffers_is_read_only_whatever_the_array_was_made_from() -> None:
    for text in (
        pa.array(["a"], pa.large_string()),
        pa.array([None], pa.large_string()),
        pa.array([], pa.large_string()),
    ):
        assert not any(part.flags.writeable for part in text_buffers(text))
