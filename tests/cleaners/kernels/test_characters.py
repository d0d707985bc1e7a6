import math
import re
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import any_text, split

from cleaners.kernels.characters import character_counts, word_lengths
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, SPACE, classes, text_buffers
from shards.words import words_of

pieces = st.sampled_from(["【", "】", "字", "一二", "#", "##", ".", "..", "…", "12", "３", "\n", " ", "a", "あ"])


@given(st.one_of(any_text, st.lists(pieces, max_size=20).map("".join)))
def test_character_counts_are_those_of_plain_python(text: str) -> None:
    data, offsets = text_buffers(pa.array(["padding 字", text], pa.large_string()))
    counts, entropy = character_counts(data, offsets, classes())
    kinds = [int(classes()[ord(c)]) for c in text]
    chars = [c for c, kind in zip(text, kinds, strict=True) if kind != SPACE]
    brackets = "".join(c for c, kind in zip(text, kinds, strict=True) if kind != SPACE or c == "\n")
    assert counts[1].tolist() == [
        len(chars),
        sum(kind in (LETTER, MARK, NUMBER, IDEOGRAPH) for kind in kinds),
        kinds.count(NUMBER),
        len(re.findall("[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\U00020000-\U000323af〇]", text)),
        len(set(chars)),
        len(re.findall("#+", text)),
        len(re.findall(r"…+|\.{2,}", text)),
        sum(map(len, re.findall("【(.*?)】", brackets))),
    ]
    probabilities = [n / len(chars) for n in Counter(chars).values()]
    assert entropy[1] == pytest.approx(-sum(p * math.log(p) for p in probabilities))


@given(st.one_of(any_text, st.lists(pieces, max_size=20).map("".join)))
def test_word_lengths_are_those_of_plain_python(text: str) -> None:
    array = pa.array(["padding 字", text], pa.large_string())
    words = words_of(array)
    counted = word_lengths(text_buffers(array)[0], words.rows, words.starts, words.ends, classes())
    lengths = [sum(classes()[ord(c)] in (LETTER, MARK, NUMBER, IDEOGRAPH) for c in word) for word in split(text)]
    assert counted[1].tolist() == [sum(length > 0 for length in lengths), sum(lengths)]
