"""Shingle sets equal plain Python on all scripts."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from dedup_oracles import plain_ngram_hash, plain_word_hash, plain_words, rows_of
from hypothesis import given
from hypothesis import strategies as st

from dedup.lsh import shingles
from dedup.lsh.shingles import shingle_sets, shingles_of
from dedup.word_hashes import word_hashes
from shards.unicode import IDEOGRAPH, classes

TEXTS = [
    "",
    "\0",
    "\0a\0",
    "one",
    "😀🎉",
    "a😀b",
    "中文字",
    "中a文",
    "שלום עולם",
    "مرحبا بالعالم",
    "e\u0301a",
    "ÀÉ ß İ",
    "가나 다라",
]


def plain_characters(text: str) -> str:
    words = plain_words(text)
    ideograph = [classes()[ord(word[0])] == IDEOGRAPH for word in words]
    spaces = ["", *("" if a and b else " " for a, b in pairwise(ideograph))]
    return "".join(map("".join, zip(spaces, words, strict=False)))


def plain_shingles(words: list[int], n: int) -> list[int]:
    n = min(n, len(words))
    firsts = range(len(words) - n + 1) if words else ()
    return sorted({plain_ngram_hash(words[first : first + n]) >> 32 for first in firsts})


def hashed(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    return word_hashes(pa.array(texts, pa.large_string()))


def sets_of(texts: list[str], n: int) -> list[list[int]]:
    return rows_of(*shingle_sets(*hashed(texts), n))


def check(texts: list[str], n: int) -> None:
    words = [[plain_word_hash(word) for word in plain_words(text)] for text in texts]
    assert sets_of(texts, n) == [plain_shingles(w, n) for w in words]
    for unit, split in (("words", plain_words), ("characters", plain_characters)):
        expected = [plain_shingles([plain_word_hash(word) for word in split(text)], n) for text in texts]
        assert rows_of(*shingles_of(pa.array(texts, pa.large_string()), n, unit)) == expected


@given(st.lists(st.text(), max_size=5), st.integers(1, 6))
def test_kernels_equal_plain_python_on_any_text(texts: list[str], n: int) -> None:
    check(texts, n)


@given(st.lists(st.text("aAéЖ中のא١ \0\n,😀\u0301", max_size=60), max_size=4), st.integers(1, 6))
def test_kernels_equal_plain_python_where_words_and_separators_mix(texts: list[str], n: int) -> None:
    check(texts, n)


def test_kernels_equal_plain_python_on_hand_made_texts_and_a_line_of_a_megabyte() -> None:
    check([*TEXTS, "aB1 " * 250_000, "字" * 3_000], 5)


def test_case_punctuation_and_spacing_do_not_matter_but_the_order_of_words_does() -> None:
    plain, marked, turned = sets_of(["the cat sat", "  The CAT... sat!\n", "cat the sat"], 2)
    assert plain == marked
    assert plain != turned


def test_fewer_words_than_a_shingle_make_one_shingle_and_no_words_make_none() -> None:
    assert [len(s) for s in sets_of(["a b c d e", "a b c d", "a", "...", ""], 5)] == [1, 1, 1, 0, 0]


def test_each_ideograph_counts_as_a_word() -> None:
    assert len(sets_of(["我爱北京天安门"], 5)[0]) == 3


MIXED = ["我们喜欢Numba编译器。很 大", "", "the cat", "中华人民共和国, 成立了！3天", "今日は、いい天気ですね。"]


@pytest.mark.parametrize("n", [1, 3])
def test_segmented_shingles_are_of_the_words_of_the_segmenter(n: int) -> None:
    expected = [plain_shingles([plain_word_hash(w) for w in plain_words(text, segmented=True)], n) for text in MIXED]
    for cut in range(len(MIXED)):
        found = shingles_of(pa.array(MIXED, pa.large_string())[cut:], n, segmented=True)
        assert rows_of(*found) == expected[cut:]


def test_spaces_and_punctuation_do_not_count_among_characters() -> None:
    texts = ["The cat, sat.", "the  CAT sat", "thecat sat", "我爱 北京 a", "我爱北京a"]
    found = rows_of(*shingles_of(pa.array(texts, pa.large_string()), 4, "characters"))
    assert found[0] == found[1] != found[2]
    assert found[3] == found[4]
    assert [len(s) for s in found] == [8, 8, 7, 3, 3]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 5_000])
def test_radix_sort_sorts(size: int) -> None:
    values = np.random.default_rng(size).integers(0, 1 << 32, size).astype(np.uint32)
    values[: size // 3] = 7
    expected = np.sort(values)
    shingles._sort(values, np.empty(size, np.uint32))
    np.testing.assert_array_equal(values, expected)
