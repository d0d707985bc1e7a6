"""Each rule with a document just inside and one just outside its limit, and the lines that go."""

import re
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage_cases import reasons_of, texts
from word_oracle import split

from cleaners.assets.wordlist import WordFinder
from cleaners.c4 import C4Config
from cleaners.kernels.phrases import PhraseFinder
from shards.errors import UserError
from shards.unicode import text_buffers
from tests.cleaners.kernels.test_sentences import sentences, some_line

CONFIG = C4Config(name="c4")
DATATROVE = C4Config(name="c4", min_words_per_line=3, min_sentences=5, line_ends=".?!\"'")
PROSE = "One line of plain prose. It has two more sentences. They are short."


def kept(line: str, config: C4Config = CONFIG) -> str:
    """What is left of a line between two lines of prose."""
    text = config.build()(texts(f"{PROSE}\n{line}\n{PROSE}"))["text"][0].as_py()
    return text.removeprefix(PROSE).removesuffix(PROSE).strip("\n")


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("terminal punctuation", "This line has its end.", "This line has no end"),
        ("terminal punctuation", 'She said "it is over"', "She said 'it is over'"),
        ("an ellipsis is none", "This line is over now..", "This line goes on now..."),
        ("five words", "This line has five words.", "This line has four."),
        ("a word over 1,000 characters", f"a b c d {'x' * 999}.", f"a b c d {'x' * 1000}."),
        ("javascript", "Java is a script language.", "Please enable JavaScript in here."),
        ("policy phrases", "A policy of much privacy.", "Read our Privacy Policy in full."),
        ("policy phrases", "This cookie is in use.", "This site uses cookies and more."),
    ],
)
def test_a_line_needs(rule: str, inside: str, outside: str) -> None:
    assert kept(inside) == inside
    assert kept(outside) == ""


def test_the_variant_of_datatrove_is_numbers() -> None:
    assert kept("Three words here.", DATATROVE) == "Three words here."
    assert kept("Two words.", DATATROVE) == ""
    assert kept("She said 'over'", DATATROVE) == "She said 'over'"
    assert reasons_of(DATATROVE, f"{PROSE}\nThis makes it four.") == ["too_few_sentences"]
    assert reasons_of(DATATROVE, f"{PROSE}\nThis makes it four. And five.") == []


def test_no_line_needs_an_end_where_the_bound_is_off() -> None:
    config = C4Config.parse({"name": "c4", "line_ends": False}, "recipe.toml: stage[0] c4")
    assert kept("This line has no end", config) == "This line has no end"
    assert C4Config.parse(config.model_dump(mode="json"), "recipe.toml: stage[0] c4") == config


def test_a_chinese_line_is_many_words() -> None:
    config = C4Config(name="c4", line_ends="。！？…", min_words_per_line=3)
    assert kept("我" * 1100 + "。", config) == "我" * 1100 + "。"
    assert kept("没有句号", config) == ""


def test_citations_go_from_the_lines() -> None:
    text = "A fact[1] that needs a source.[citation needed] [edit]\nAn array[i] that is kept here[12]."
    row = CONFIG.build()(texts(text)).to_pylist()[0]
    assert row["text"] == "A fact that needs a source.\nAn array[i] that is kept here."
    assert row["c4.citations_removed"] == 4
    assert kept("Four words are this. [1]") == ""  # words are counted without it


def test_lorem_ipsum() -> None:
    assert reasons_of(CONFIG, f"{PROSE}\nLorem and ipsum are two words.") == []
    assert reasons_of(CONFIG, f"{PROSE}\nHere stands Lorem Ipsum as text.") == ["lorem_ipsum"]


def test_an_empty_phrase_is_the_users_error() -> None:
    with pytest.raises(UserError, match="line_phrases"):
        C4Config.parse({"name": "c4", "line_phrases": [""]}, "recipe.toml: stage[0] c4")


def test_curly_bracket() -> None:
    assert reasons_of(CONFIG, f"{PROSE}\nif (x) {{ return;") == []  # that line goes, and the page stays
    assert reasons_of(CONFIG, f"{PROSE}\nOur privacy policy is {{here}} for you.") == []  # so does this one
    assert reasons_of(CONFIG, f"{PROSE}\nA set is written as {{1, 2}}.") == ["curly_bracket"]


def test_too_few_sentences() -> None:
    assert reasons_of(CONFIG, PROSE) == []
    assert reasons_of(CONFIG, "One line of plain prose. It has one more sentence.") == ["too_few_sentences"]


def test_bad_word(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text("darn\nholy cow\n坏话\n", encoding="utf-8")
    config = C4Config(name="c4", bad_words=str(path))
    assert reasons_of(config, f"{PROSE}\nHe darned the socks of a holy cowboy.") == []
    assert reasons_of(config, f"{PROSE}\nWell, DARN it was all he said.") == ["bad_word"]
    assert reasons_of(config, f"{PROSE}\nThat was a holy cow at last.") == ["bad_word"]
    assert reasons_of(config, f"{PROSE}\nHe said 他说坏话了 and then he left.") == ["bad_word"]
    assert reasons_of(config, f"{PROSE}\nDarn") == []  # a line that goes takes its words along
    assert config.build()(texts("Darn it, darn it all."))["c4.bad_words"].to_pylist() == [2]
    assert config.lists() == {"c4.bad_words": str(path)}
    assert CONFIG.lists() == {}


def test_a_list_that_is_missing_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.txt: the list cannot be read"):
        C4Config(name="c4", bad_words=str(tmp_path / "none.txt")).build()


@given(st.lists(st.sampled_from(["ab", "ab cd", "cd", "$x", "坏", "🖕", "a.b"]), max_size=4), some_line)
def test_words_are_found_as_a_pattern_for_each_finds_them(entries: list[str], line: str) -> None:
    text = f"{line} AB,cd {line} 坏 ab cd $x🖕 a.b"
    found = 0
    for entry in set(entries):
        anywhere = entry in ("坏", "🖕")
        pattern = re.escape(entry) if anywhere else rf"(?<!\w){re.escape(entry)}(?!\w)"
        if not (entry == "ab" and "ab cd" in entries):  # the longest match counts
            found += len(re.findall(pattern, text.lower()))
        else:
            found += len(re.findall(r"(?<!\w)ab(?! cd(?!\w))(?!\w)", text.lower()))
    assert WordFinder(entries).count(text) == found


@given(st.lists(some_line, max_size=6))
def test_what_stays_is_that_of_plain_python(given_lines: list[str]) -> None:
    text = "\n".join(given_lines)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    kept_lines = [
        line for line in lines if len(split(line)) >= 2 and line.endswith((".", "!", "?", "。")) and line[-3:] != "..."
    ]
    config = C4Config(name="c4", min_words_per_line=2, line_ends=".!?。", remove_citations=False)
    row = config.build()(texts("padding", text)).to_pylist()[1]
    assert row["text"] == "\n".join(kept_lines)
    assert row["c4.sentence_count"] == sum(len(sentences(line)) for line in kept_lines)
    assert row["c4.lines_removed"] == len(lines) - len(kept_lines)


pieces = st.lists(
    st.sampled_from(
        [
            *("[1]", "[edit]", "[citation needed]", "[[2]]", "[x]", "JavaScript", "lorem ipsum", "{", "use cookies"),
            *("\n", "\n \n", "one two three.", "世界。", "é\u3000", " ", "\t", "So it is...", "policy"),
        ]
    ),
    max_size=20,
).map("".join)


@given(st.lists(st.one_of(st.none(), pieces), max_size=3))
def test_spans_cut_from_the_text_what_the_stage_takes_out(given: list[str | None]) -> None:
    config = C4Config(name="c4", min_words_per_line=2, line_ends=".!?。")
    for text, row in zip(given, config.build()(texts(*given)).to_pylist(), strict=True):
        spans = row["c4.cut_spans"]
        assert (text is None) == (spans is None)
        if text is not None:
            edges = [0, *spans, len(text.encode())]
            assert sorted(set(spans)) == spans
            left = b"".join(text.encode()[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
            assert left.decode() == row["text"] == kept_by_plain_python(text)


def kept_by_plain_python(text: str) -> str:
    kept = []
    for line in re.sub(r"\[(?:[0-9]*|edit|citation needed)\]", "", text).split("\n"):
        line, low = line.strip(), line.lower()
        prose = len(split(line)) >= 2 and line.endswith((".", "!", "?", "。")) and not line.endswith("...")
        if prose and ("lorem ipsum" in low or not any(phrase in low for phrase in CONFIG.line_phrases)):
            kept.append(line)
    return "\n".join(kept)


def test_the_line_rule_of_map_neo_is_settings() -> None:
    config = C4Config(name="c4", line_ends="。！？….!?", min_words_per_line=3, segmented=True)
    assert kept("我们喜欢磨坊。", config) == "我们喜欢磨坊。"
    assert kept("我们。", config) == ""  # one word, and three characters
    assert kept("我们喜欢磨坊", config) == ""
    assert kept("我们喜欢磨坊……", config) == "我们喜欢磨坊……"


@pytest.mark.parametrize("phrases", [("a",), ("ab", "abc"), ("字b", "é"), ()])
@given(text=st.lists(st.text("aAbBcCéÉ字 K", max_size=8), max_size=4))
def test_phrases_are_found_as_plain_python_finds_them(phrases: tuple[str, ...], text: list[str]) -> None:
    data, offsets = text_buffers(pa.array(text, pa.large_string()))
    chosen = np.arange(len(text)) % 3 != 2
    found = PhraseFinder(phrases, ("k",)).find(data, offsets[:-1], offsets[1:], chosen)
    assert found.tolist() == [
        (any(phrase in line.lower() for phrase in phrases) + 2 * ("k" in line.lower())) * bool(asked)
        for line, asked in zip(text, chosen, strict=True)
    ]


@pytest.mark.real
def test_published_bad_words_are_found(real_data: Path, tmp_path: Path) -> None:
    with tarfile.open(real_data / "lists/ldnoobw.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    for language, text in (("en", "He is a bastard."), ("zh", "他看三级片。"), ("ru", "Какая блядь!")):
        entries = (tmp_path / "ldnoobw" / language).read_text(encoding="utf-8").split("\n")
        assert WordFinder([entry for entry in entries if entry]).count(text) == 1
