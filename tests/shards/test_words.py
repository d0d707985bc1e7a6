import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import any_text, split

from shards.unicode import IDEOGRAPH, classes, text_buffers
from shards.words import _room, max_words, word_spans, words_of


def words_by_kernel(texts: list[str]) -> list[list[str]]:
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    by_text = []
    for start, end in itertools.pairwise(offsets):
        starts, ends = np.empty(max_words(end - start), np.int64), np.empty(max_words(end - start), np.int64)
        n = word_spans(data, start, end, classes(), starts, ends)
        by_text.append([data[a:b].tobytes().decode() for a, b in zip(starts[:n], ends[:n], strict=True)])
    return by_text


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


dense = st.lists(st.sampled_from(["a", "字", "é", "\u3099", " ", "\x1c", "\x85"]), max_size=30).map("".join)


@given(st.lists(st.one_of(dense, any_text), max_size=3))
def test_a_batch_has_room_for_its_words(texts: list[str]) -> None:
    assert _room(*text_buffers(pa.array(texts, pa.large_string()))) >= sum(len(split(text)) for text in texts)


def test_words_of_a_batch_are_those_of_its_texts_one_by_one() -> None:
    texts = ["padding", "Numba 编译器", None, "", "a b"]
    array = pa.array(texts, pa.large_string()).slice(1)
    words = words_of(array)
    data, _ = text_buffers(array)
    spans = [data[a:b].tobytes().decode() for a, b in zip(words.starts, words.ends, strict=True)]
    assert [spans[a:b] for a, b in itertools.pairwise(words.rows)] == [split(text or "") for text in texts[1:]]


def test_the_words_of_a_text_are_computed_once_for_all_stages() -> None:
    text = pa.array(["a b", "字字"], pa.large_string())
    assert words_of(text) is words_of(text.slice(0))
    assert words_of(text, segmented=True) is words_of(text, segmented=True)
    assert words_of(text.slice(1)).starts.tolist() == [3, 6]
    assert words_of(pa.array(["c"], pa.large_string())).starts.tolist() == [0]


def test_no_text_can_hold_a_lone_surrogate() -> None:
    with pytest.raises(UnicodeEncodeError):
        pa.array(["a\ud800b"], pa.large_string())


def test_text_buffers_is_read_only_whatever_the_array_was_made_from() -> None:
    for text in (
        pa.array(["a"], pa.large_string()),
        pa.array([None], pa.large_string()),
        pa.array([], pa.large_string()),
    ):
        assert not any(part.flags.writeable for part in text_buffers(text))


@pytest.mark.parametrize("segmented", [False, True])
def test_arrays_without_text_follow_each_other(segmented: bool) -> None:
    """Their data buffers are empty or none at all."""
    empty = pa.array([], pa.large_string())
    for text in (empty, pa.array([""], pa.large_string()), pa.array([None], pa.large_string()), empty.slice(0), empty):
        assert list(words_of(text, segmented=segmented).starts) == []


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(["我们的村子", "磨坊 mill", "ｶﾀｶﾅ、ひらがな", "", "村"])), max_size=6
    )
)
def test_rows_that_are_cut_by_a_segmenter_stand_beside_rows_that_are_not(rows: list[tuple[bool, str]]) -> None:
    text, chosen = pa.array([row[1] for row in rows], pa.large_string()), np.array([row[0] for row in rows], np.bool_)
    data, _ = text_buffers(text)

    def cut(segmented: bool | np.ndarray) -> list[list[str]]:
        w = words_of(text, segmented=segmented)
        words = [data[a:b].tobytes().decode() for a, b in zip(w.starts, w.ends, strict=True)]
        return [words[a:b] for a, b in itertools.pairwise(w.rows)]

    whole, single = cut(True), cut(False)
    assert cut(chosen) == [whole[n] if is_chosen else single[n] for n, is_chosen in enumerate(chosen)]
