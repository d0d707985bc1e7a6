"""`cleaners.datatrove.words` against the same rules as regular expressions, applied as spaCy applies its own."""

import itertools
import re
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_oracle import any_text

from cleaners.datatrove import affixes
from cleaners.datatrove.words import tokens_of
from shards.unicode import IDEOGRAPH, classes, text_buffers


def tokens(texts: list[str | None]) -> list[list[str]]:
    array = pa.array(texts, pa.large_string())
    words = tokens_of(array)
    data, _ = text_buffers(array)
    spans = [data[a:b].tobytes().decode() for a, b in zip(words.starts, words.ends, strict=True)]
    return [spans[a:b] for a, b in itertools.pairwise(words.rows)]


def _set(bit: int) -> str:
    return "[" + "".join(re.escape(chr(c)) for c in np.flatnonzero(affixes.traits() & bit)) + "]"


_PREFIX = re.compile(rf"US\$|[CA]\$|\.\.+|\+(?![0-9])|(?!\+){_set(affixes.PREFIX)}")
_SUFFIX = re.compile(
    rf"\.\.+$|(?<=[0-9])(?:{'|'.join(map(re.escape, affixes.AFTER_DIGITS))})$|['’][sS]$|……$|{_set(affixes.SUFFIX)}$"
    rf"|(?<={_set(affixes.BEFORE_DOT)})\.$|(?<={_set(affixes.UPPER)}{_set(affixes.UPPER)})\.$|(?<=°[FfCcKk])\.$"
)
_ALPHA = _set(affixes.ALPHA)
_INFIX = re.compile(
    rf"\.\.+|…|{_set(affixes.SYMBOL)}|(?<=[0-9])[+\-*^](?=[0-9-])"
    rf"|(?<={_set(affixes.LOWER | affixes.QUOTE)})\.(?={_set(affixes.UPPER | affixes.QUOTE)})"
    rf"|(?<={_ALPHA}),(?={_ALPHA})|(?<=[0-9]|{_ALPHA})(?:[-–—~]|--|---|——)(?={_ALPHA})"
    rf"|(?<=[0-9]|{_ALPHA})[:<>=/](?={_ALPHA})"
)
_HOST = _set(affixes.HOST)
_URL = re.compile(
    rf"(?:(?:{_HOST}|[+\-._]){{2,}}://)?(?:.+@)?(?:{_HOST}(?:(?:{_HOST}|[_-]){{0,62}}{_HOST})?\.)+"
    rf"{_set(affixes.LOWER)}{{2,63}}(?::[0-9]{{2,5}})?(?:[/?#].*)?",
    re.DOTALL,
)


def plain_tokens(text: str) -> list[str]:
    """The tokens of a text without ideographs, as spaCy's `Tokenizer.explain` describes them."""
    return [token for word in text.split() for token in _cut(word)]


def _cut(word: str) -> list[str]:
    exceptions = affixes.exceptions()
    front, back = [], []
    while word and word not in exceptions:
        prefix = match[0] if (match := _PREFIX.match(word)) else ""
        if prefix and word[len(prefix) :] in exceptions:
            front.append(prefix)
            word = word[len(prefix) :]
            break
        rest = word[len(prefix) :]
        suffix = match[0] if (match := _SUFFIX.search(rest)) else ""
        if suffix and word[: -len(suffix)] in exceptions:
            back.append(suffix)
            word = word[: -len(suffix)]
            break
        if not prefix and not suffix:
            break
        front += [prefix] * bool(prefix)
        back += [suffix] * bool(suffix)
        word = rest[: len(rest) - len(suffix)]
    if word in exceptions:
        front += exceptions[word]
    elif _URL.fullmatch(word):
        front.append(word)
    else:
        at = 0
        for match in _INFIX.finditer(word):
            if match.start():
                front += [word[at : match.start()], match[0]]
                at = match.end()
        front.append(word[at:])
    return [token for token in (*front, *reversed(back)) if token]


pieces = st.sampled_from(
    "don't It's U.S. e.g. etc. km 5km $ US$ € 100 3.5 +49 …… … ... .. . , ; : ! ? ( ) [ ] \" ' ’ s S 's ’s – — -- --- "
    "- ~ / = < > * ^ + % ° °C. C. :) :-( ^_^ http:// ftp:// a.b c.de @ ex-ample.org:80 #tag _ well known End Start ÄÖ. "
    "é Ж ж. н.э. г. bzw. ☃ 😀 ️ \u0301 ا ، हिन्दी । 한국어 \0 nt dont cannot I'm and/or A$ C$ ab, cd °".split(" ")
)
crowded = st.lists(st.one_of(pieces, st.sampled_from(" \n\xa0")), max_size=12).map("".join)


def without_ideographs(text: str) -> str:
    return "".join(c for c in text if classes()[ord(c)] != IDEOGRAPH)


@settings(max_examples=500)
@given(st.one_of(crowded, any_text.map(without_ideographs), st.text(st.characters(max_codepoint=126), max_size=40)))
def test_the_kernel_cuts_words_as_the_oracle_does(text: str) -> None:
    assert tokens(["padding", text, "behind."])[1] == plain_tokens(text)


@given(any_text)
def test_tokens_hold_all_of_the_text_but_white_space(text: str) -> None:
    assert "".join(tokens([text])[0]) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \n\u3000", ""),
        ("The mill (old, grey) grinds.", "The mill ( old , grey ) grinds ."),
        ("Don't! It's o'clock, they’ll cannot", "Do n't ! It 's o'clock , they ’ll can not"),
        ("U.S. Mr. e.g., etc. USA. end.", "U.S. Mr. e.g. , etc . USA . end ."),
        ("well-known 1990-1995 co--op. end.Start", "well - known 1990 - 1995 co -- op . end . Start"),
        ("$3.50, 5km, 20%... US$100", "$ 3.50 , 5 km , 20 % ... US$ 100"),
        ("http://a.bc/d-e?f, (mail@ex-ample.org)", "http://a.bc/d-e?f , ( mail@ex-ample.org )"),
        ("a\x00b.", "a\x00b ."),
        ("и/или т.д. 15-го «да»", "и / или т.д. 15 - го « да »"),
        ("z.B. 3 Mio. Euro.", "z.B. 3 Mio. Euro ."),
        (":) (8) and/or #tag", ":) ( 8) and/or # tag"),
        ("IBM 中文， ok", "IBM 中文 ， ok"),  # few ideographs: letters
    ],
)
def test_tokens_are_those_of_spacy(text: str, expected: str) -> None:
    assert tokens([text])[0] == expected.split(" ") * bool(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我们喜欢编译器。", "我们 喜欢 编译器 。"),
        ("他说：“很好！” Numba 3.14%", "他 说 ： “ 很 好 ！ ” Numba 3.14%"),
        ("日期：2019-09-09，邮编", "日期 ： 2019 - 09 - 09 ， 邮编"),
    ],
)
def test_chinese_is_cut_by_jieba_with_punctuation_apart(text: str, expected: str) -> None:
    assert tokens(["Before.", text, "Behind."]) == [["Before", "."], expected.split(" "), ["Behind", "."]]


def test_japanese_is_cut_by_sudachi_with_punctuation_apart() -> None:
    pytest.importorskip("sudachipy")
    assert tokens(["東京タワーは、とても高いです。"])[0] == "東京 タワー は 、 とても 高い です 。".split(" ")


def test_a_word_of_a_megabyte_is_cut_in_linear_time() -> None:
    tokens(["warm."])
    for word in ("x" * 1_000_000, "!" * 1_000_000, "." * 1_000_000, "a-" * 500_000, "a@a." * 250_000, "é" * 500_000):
        began = time.process_time()
        pieces_of_word = tokens([word])[0]
        assert time.process_time() - began < 2
        assert "".join(pieces_of_word) == word
    assert len(tokens(["!" * 1_000_000])[0]) == 1_000_000


def test_a_batch_and_a_slice_have_the_tokens_of_their_texts() -> None:
    texts = ["padding!", "It's so.", None, "", "我们喜欢。", "a b"]
    array = pa.array(texts, pa.large_string()).slice(1)
    words = tokens_of(array)
    assert words.starts[0] == len("padding!")
    assert np.diff(words.rows).tolist() == [len(row) for row in tokens(texts[1:])]


def test_the_tokens_of_a_text_are_computed_once_for_all_stages() -> None:
    text = pa.array(["a, b"], pa.large_string())
    words = tokens_of(text)
    assert tokens_of(text.slice(0)) is words
    assert len(tokens_of(pa.array(["c"], pa.large_string())).starts) == 1


def test_english_exceptions_do_not_cut_german_words() -> None:
    text = "im Im So Do Wir"
    assert tokens([text])[0] == text.split()
