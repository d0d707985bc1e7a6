"""Each rule with a document just inside and one just outside its limit, and the lines that are removed."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage_cases import reasons_of, texts
from word_oracle import split

from cleaners.c4 import C4Config
from shards.errors import UserError
from tests.cleaners.kernels.test_sentences import sentences, some_line

CONFIG = C4Config(name="c4")
DATATROVE = C4Config(name="c4", min_words_per_line=3, min_sentences=5, line_ends=".?!\"'")
PROSE = "One line of plain prose. It has two more sentences. They are short."


def kept(line: str, config: C4Config = CONFIG) -> str:
    """The rest of a line between two lines of prose."""
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


def test_the_variant_of_datatrove_is_a_matter_of_settings() -> None:
    assert kept("Three words here.", DATATROVE) == "Three words here."
    assert kept("Two words.", DATATROVE) == ""
    assert kept("She said 'over'", DATATROVE) == "She said 'over'"
    assert reasons_of(DATATROVE, f"{PROSE}\nThis makes it four.") == ["too_few_sentences"]
    assert reasons_of(DATATROVE, f"{PROSE}\nThis makes it four. And five.") == []


def test_no_line_needs_an_end_where_the_threshold_is_off() -> None:
    config = C4Config.parse({"name": "c4", "line_ends": False}, "recipe.toml: stage[0] c4")
    assert kept("This line has no end", config) == "This line has no end"
    assert C4Config.parse(config.model_dump(mode="json"), "recipe.toml: stage[0] c4") == config


def test_a_chinese_line_is_many_words() -> None:
    config = C4Config(name="c4", line_ends="。！？…", min_words_per_line=3)
    assert kept("我" * 1100 + "。", config) == "我" * 1100 + "。"
    assert kept("没有句号", config) == ""


def test_citations_are_cut_from_the_lines() -> None:
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
    assert reasons_of(config, f"{PROSE}\nDarn") == []  # the words of a removed line do not count
    assert config.build()(texts("Darn it, darn it all."))["c4.bad_words"].to_pylist() == [2]
    assert config.lists() == {"c4.bad_words": str(path)}
    assert CONFIG.lists() == {}


def test_a_list_that_is_missing_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.txt: the list cannot be read"):
        C4Config(name="c4", bad_words=str(tmp_path / "none.txt")).build()


@given(st.lists(some_line, max_size=6))
def test_the_kept_lines_are_those_of_plain_python(given_lines: list[str]) -> None:
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
def test_the_text_without_the_cut_spans_is_the_edited_text(values: list[str | None]) -> None:
    config = C4Config(name="c4", min_words_per_line=2, line_ends=".!?。")
    for text, row in zip(values, config.build()(texts(*values)).to_pylist(), strict=True):
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


def test_the_line_rule_of_map_neo_is_a_matter_of_settings() -> None:
    config = C4Config(name="c4", line_ends="。！？….!?", min_words_per_line=3, segmented=True)
    assert kept("我们喜欢磨坊。", config) == "我们喜欢磨坊。"
    assert kept("我们。", config) == ""  # one word, and three characters
    assert kept("我们喜欢磨坊", config) == ""
    assert kept("我们喜欢磨坊……", config) == "我们喜欢磨坊……"


def test_lines_of_other_languages_end_in_the_marks_of_any_script() -> None:
    config = C4Config(name="c4", min_sentences=1)
    chinese, quoted, english = "我们的村子里有一座磨坊。", "他说：“我们的村子里有一座磨坊。”", "Our village has a mill."
    values = (chinese, quoted, chinese, english + "\n" + chinese, "一座很老的磨坊……", chinese)
    batch = texts(*values).append_column("language", pa.array(["zh", "zh", "en", "zh", "zh", None]))
    kept = config.build()(batch)["text"].to_pylist()
    assert kept == [chinese, quoted, "", english + "\n" + chinese, "", ""]


def test_line_ends_that_a_recipe_sets_hold_for_all_languages() -> None:
    batch = texts("我们的村子里有一座磨坊。").append_column("language", pa.array(["zh"]))
    for line_ends, kept in (('.!?"', ""), ("。", "我们的村子里有一座磨坊。"), (None, "我们的村子里有一座磨坊。")):
        assert C4Config(name="c4", line_ends=line_ends).build()(batch)["text"].to_pylist() == [kept]
