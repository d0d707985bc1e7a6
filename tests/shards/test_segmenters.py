"""The oracle cuts each run of ideographs with the segmenter by itself, in plain Python."""

import re
import subprocess
import sys
import time
from functools import cache

import pyarrow as pa
import pytest
import rjieba
from hypothesis import given
from hypothesis import strategies as st
from sudachipy import Dictionary, SplitMode
from word_oracle import any_text, split

from shards import segmenters
from shards.unicode import IDEOGRAPH, MARK, classes, text_buffers
from shards.words import words_of

chinese = st.lists(
    st.sampled_from("我们 喜欢 编译器 磨坊 河边 的 。 ， Numba 2024 \n Ｔ恤 〇 𠀀 か".split(" ")), max_size=12
)
japanese = st.lists(
    st.sampled_from("今日は 天気 が いい です ね 。 国家公務員 ｱｲｳ か\u3099く ー Numba \n".split(" ")), max_size=12
)
some_text = st.one_of(any_text, chinese.map("".join), japanese.map("".join))


def segmented(texts: list[str | None]) -> list[list[str]]:
    array = pa.array(texts, pa.large_string())
    words = words_of(array, segmented=True)
    data, _ = text_buffers(array)
    words_in_order = [data[a:b].tobytes().decode() for a, b in zip(words.starts, words.ends, strict=True)]
    return [words_in_order[a:b] for a, b in zip(words.rows, words.rows[1:], strict=False)]


@cache
def sudachi() -> object:
    return Dictionary().tokenizer(mode=SplitMode.A)


def oracle(text: str) -> list[str]:
    """The words of the character fallback, joined where the segmenter's words of their run go on."""
    ideographs = [c for c in text if classes()[ord(c)] == IDEOGRAPH]
    kana = [c for c in ideographs if re.match("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d\U0001b000-\U0001b16f]", c)]
    runs: list[list[str]] = []
    position = -1
    for word in split(text):
        start = text.index(word, max(position, 0))
        if (
            classes()[ord(word[0])] != IDEOGRAPH
            or not runs
            or start != position
            or classes()[ord(runs[-1][0][0])] != IDEOGRAPH
        ):
            runs.append([])
        runs[-1].append(word)
        position = start + len(word)
    whole = "\n".join("".join(run) for run in runs if classes()[ord(run[0][0])] == IDEOGRAPH) + "\n"
    if kana and len(kana) >= 0.1 * len(ideographs):
        cut = [token.surface() for token in sudachi().tokenize(whole)]
    else:
        cut = rjieba.cut(whole)
    begins: set[int] = set()
    character = 0
    for word in cut:
        begins |= set(range(character, character + len(word))) if len(word) > 32 else {character}
        character += len(word)
    words: list[str] = []
    character = 0
    for run in runs:
        if classes()[ord(run[0][0])] != IDEOGRAPH:
            words += run
            continue
        for k, word in enumerate(run):
            if k and character not in begins:
                words[-1] += word
            else:
                words.append(word)
            character += len(word)
        character += 1
    return words


@given(some_text)
def test_the_kernels_join_as_the_oracle_does(text: str) -> None:
    assert segmented(["padding 前边", None, text])[2] == oracle(text)


@given(some_text)
def test_segmenting_joins_ideographs_and_changes_nothing_else(text: str) -> None:
    words = segmented([text])[0]
    assert "".join(words) == "".join(split(text))
    for word in words:
        assert len(word) <= 32 or not any(classes()[ord(c)] == IDEOGRAPH for c in word)
        if len(split(word)) > 1:
            assert {int(classes()[ord(c)]) for c in word} <= {IDEOGRAPH, MARK}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我们喜欢Numba编译器。", ["我们", "喜欢", "Numba", "编译器", "。"]),
        ("中文\n中文 中文", ["中文", "中文", "中文"]),
        ("国家公務員はいい", ["国家", "公務", "員", "は", "いい"]),  # mode A; mode C has 国家公務員
        ("a\x00b 中\x00文", ["a\x00b", "中", "\x00", "文"]),
        ("", []),
        (" \n", []),
        ("مرحبا ok", ["مرحبا", "ok"]),
    ],
)
def test_words_of_a_segmenter(text: str, words: list[str]) -> None:
    assert segmented([text])[0] == words


@pytest.mark.parametrize("character", "字あアー𠀀")
def test_no_line_of_a_segmented_text_is_one_word(character: str) -> None:
    assert len(segmented([character * 100])[0]) >= 4


@pytest.mark.parametrize("text", ["我们喜欢编译器" * 50_000, "今日は天気がいい" * 42_000])
def test_a_line_of_a_megabyte_is_cut_in_seconds(text: str) -> None:
    assert len(text.encode()) > 1_000_000
    began = time.monotonic()
    words = segmented([text])[0]
    assert time.monotonic() - began < 10
    assert "".join(words) == text
    assert len(text) / 4 < len(words) < len(text)


def test_japanese_without_its_segmenter_stays_single_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenters, "cuts_japanese", lambda: False)
    assert segmented(["今日は天気がいい"])[0] == list("今日は天気がいい")
    assert "中文" in segmented(["中文在这里"])[0]


def test_texts_without_ideographs_load_no_segmenter() -> None:
    code = (
        "import sys, pyarrow as pa; from shards.words import words_of;"
        "words_of(pa.array(['plain text', 'простой'], pa.large_string()), segmented=True);"
        "assert not {'rjieba', 'sudachipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
