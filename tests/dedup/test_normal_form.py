"""The normal form makes equal what looks equal, leaves everything else, and is found without a look at each text."""

import unicodedata
from itertools import pairwise, product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.normal_form import NormalForm, changed_rows, comparable, normal_form
from shards.unicode import text_buffers

MARKS = [chr(c) for c in range(0x3_2400) if unicodedata.combining(chr(c))]
ODD = "aeз\u0435ёяЯ中か가각ᄀ\u1161\u11a8=<«,. \n\u00ad\u200b\ufe0f\u0640\ufe71ｅＡ１ｶﾞﬁ½²"
ODD += "\u0301\u0308\u0323\u0316\u064b\u0651\u09c7\u09be"
WILD = st.lists(st.text(ODD, max_size=12) | st.text(st.sampled_from([*ODD, *MARKS]), max_size=6) | st.text(max_size=8))


def large(texts: list[str | None]) -> pa.LargeStringArray:
    return pa.array(["x", *texts], pa.large_string()).slice(1)


@settings(max_examples=300, deadline=None)
@given(WILD)
def test_pieces_give_the_form_of_the_whole_and_rows_without_pieces_are_in_it(texts: list[str]) -> None:
    made, changed = comparable(large(texts)), set(changed_rows(large(texts)).tolist())
    assert made.to_pylist() == [normal_form(text) for text in texts]
    assert all(k in changed or normal_form(text) == text for k, text in enumerate(texts))
    assert len(changed_rows(made)) == 0 or comparable(made).equals(made)


def test_every_pair_of_a_letter_and_a_mark_has_the_form_of_the_whole() -> None:
    texts = ["".join(pair) for pair in product("aeEщёиג가か=", MARKS)] + ["a" + a + b for a, b in pairwise(MARKS)]
    assert comparable(large(texts)).to_pylist() == [normal_form(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Nach\u00adrich\u00adten", "Nachrichten"),
        ("wo\u2060rd wo\u200brd wo\ufeffrd", "word word word"),
        ("e\u0301le\u0300ve", "élève"),
        ("Ｆｕｌｌ　１２", "Full　12"),
        ("за\u0301мок, ё\u0301лка, и\u0306од", "замок, ёлка, йод"),
        ("г\u0301 к\u0301", "ѓ ќ"),  # letters of Macedonian
        ("cafe\u0301, a\u0301", "café, á"),
        ("كتـــاب", "كتاب"),
        ("می\u200cخواهم", "میخواهم"),
        ("\u0651\u064e ل", "\u064e\u0651 ل"),
        ("ｶﾞｲﾄﾞ ﬁn m² ½ ①", "ガイド fin m2 1⁄2 1"),
        ("\u1112\u1161\u11ab", "한"),
        ("❤\ufe0f 葛\U000e0100", "❤ 葛"),
        ("\ufeff", ""),
    ],
)
def test_what_looks_the_same_has_one_form(text: str, form: str) -> None:
    assert comparable(large([text])).to_pylist() == [form] == [normal_form(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Plain “English” – don´t, naïve café… 20 °C ™",
        "Сегодня ё, й и № 5 — «ещё»",
        "今天（星期一），天气很好！　……他说：「好」。ガイド",
        "Tiếng Việt, Ünïcödé, 한국어, हिन्दी ज़, বাংলা, ไทยนี้, שָׁלוֹם",
        " \u0301",
        "",
    ],
)
def test_plain_text_of_any_script_is_not_touched(text: str) -> None:
    array = large([text, None])
    assert not len(changed_rows(array))
    assert comparable(array) is array


def test_a_long_run_of_marks_is_cut_into_pieces() -> None:
    marks = "\u0301\u0323" * 50_000
    (form,) = comparable(large([f"a{marks}\u00ad b\u00ad"])).to_pylist()
    assert form.endswith("\u0301 b")
    assert len(form) in range(len(marks), len(marks) + 10)


def test_a_span_of_the_form_leads_to_the_bytes_it_comes_from() -> None:
    texts = ["x", "«１２» o\u00adn\u00ade the\u200b \u200btwo", "a", "re\u0301\u00ad, e\u0301te\u0301"]
    source = large(texts)
    form = NormalForm.of(source)
    data, made = (text_buffers(array)[0].tobytes() for array in (source, form.text))
    words = ("12", "one", "the", "two", "ré", "été")
    starts = np.array([made.index(word.encode()) for word in words])
    spans = zip(*form.sources(starts, starts + [len(word.encode()) for word in words]), strict=True)
    found = [data[start:end].decode().strip("\u200b") for start, end in spans]
    assert found == ["１２", "o\u00adn\u00ade", "the", "two", "re\u0301\u00ad", "e\u0301te\u0301"]
