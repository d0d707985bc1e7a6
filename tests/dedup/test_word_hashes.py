"""Word and n-gram hashes equal plain Python on all scripts."""

import numpy as np
import pyarrow as pa
import pytest
from dedup_oracles import plain_ngram_hash, plain_ngrams, plain_word_hash, plain_word_spans, plain_words, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.word_hashes import distinct_ngrams, hashed_words, word_hashes

WILD = st.lists(st.text("aB1 ,.'ßЁё的是カé\u0301\u0308🙂\n", max_size=30) | st.text(max_size=8), min_size=1, max_size=6)
HAND_MADE = ["", "\0", "\0a\0", "😀🎉", "a😀b", "中文字", "中a文", "שלום עולם", "مرحبا", "e\u0301a", "ÀÉ ß İ"]
CHINESE = ["我们喜欢Numba编译器。很 大", "", "the cat", "中华人民共和国, 成立了！3天", "今日は、いい天気ですね。"]


def large(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


@settings(max_examples=150, deadline=None)
@given(WILD, st.booleans(), st.integers(1, 4))
def test_words_spans_and_ngrams_are_those_of_plain_python(texts: list[str], segmented: bool, n: int) -> None:
    array = large(["x", *texts]).slice(1)
    words = hashed_words(array, segmented=segmented)
    wanted = [plain_word_spans(text, segmented=segmented) for text in texts]
    offsets = np.frombuffer(array.buffers()[1], np.int64)[1:]
    spans = [(offsets[r] + start, offsets[r] + end) for r, row in enumerate(wanted) for _, start, end in row]
    assert list(zip(words.starts, words.ends, strict=True)) == spans
    assert rows_of(words.hashes, words.rows) == [[plain_word_hash(word) for word, _, _ in row] for row in wanted]
    hashes, starts = word_hashes(array, segmented=segmented)
    plain_hashes = [[plain_word_hash(word) for word in plain_words(text, segmented=segmented)] for text in texts]
    assert rows_of(hashes, starts) == plain_hashes
    if not segmented:
        rows = rows_of(*distinct_ngrams(hashes, starts, n))
        plain = [{plain_ngram_hash([plain_word_hash(w) for w in gram]) for gram in plain_ngrams(t, n)} for t in texts]
        assert [set(row) for row in rows] == plain
        assert [len(row) for row in rows] == [len(row) for row in plain]


def test_hand_made_texts_and_a_line_of_a_megabyte_have_the_words_of_plain_python() -> None:
    texts = [*HAND_MADE, "aB1 " * 250_000, "字" * 3_000]
    assert rows_of(*word_hashes(large(texts))) == [[plain_word_hash(w) for w in plain_words(text)] for text in texts]


def test_a_slice_of_an_array_and_null_rows_are_read_where_they_lie() -> None:
    array = pa.array(["skip me", "a b c", None, "d e"], pa.large_string())[1:]
    expected = [[plain_word_hash(w) for w in words] for words in (["a", "b", "c"], [], ["d", "e"])]
    assert rows_of(*word_hashes(array)) == expected


def test_each_ideograph_is_a_word() -> None:
    assert plain_words("我爱北京 Beijing很大") == ["我", "爱", "北", "京", "beijing", "很", "大"]
    assert len(word_hashes(large(["我爱北京 Beijing很大"]))[0]) == 7


@pytest.mark.parametrize("first", range(len(CHINESE)))
def test_segmented_words_are_those_of_the_segmenter_without_punctuation(first: int) -> None:
    assert plain_words(CHINESE[0], segmented=True) == ["我们", "喜欢", "numba", "编译器", "很", "大"]
    expected = [[plain_word_hash(word) for word in plain_words(text, segmented=True)] for text in CHINESE[first:]]
    assert rows_of(*word_hashes(large(CHINESE)[first:], segmented=True)) == expected


def test_stored_hashes_keep_their_values() -> None:
    """Indexes hold them; a change of any constant makes every index useless."""
    words = hashed_words(large(["Don't stop: 编译器"]))
    assert words.hashes[:2].tolist() == [9356199301709968574, 1888638255233648819]
    assert distinct_ngrams(words.hashes, words.rows, 3)[0][0] == 10506930802119836592
