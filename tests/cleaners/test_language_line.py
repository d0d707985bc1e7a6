"""The line of which a language model is asked: plain spaces, nothing unseen, and no shouting."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.language_line import lines_to_ask
from shards.unicode import IDEOGRAPH, LETTER, SPACE, classes

ODD = "aB cДЕ ж中\n\t\u00a0\u202f\u3000\u200b\u00ad\u200e\ufeff\u2060\u200c\u0301İǅ"
UNSEEN = {"\u00ad", "\u200e", "\u200f", "\ufeff", *map(chr, [*range(0x202A, 0x202F), *range(0x2060, 0x2065)])}
UNSEEN |= {chr(c) for c in range(0x2066, 0x206A)}


def large(*texts: str | None) -> pa.LargeStringArray:
    return pa.array(["x", *texts], pa.large_string()).slice(1)


def plain_line(text: str) -> str:
    spaces = sum(classes()[ord(c)] == SPACE for c in text)
    zero_width_space = " " if spaces * 20 < len(text) - text.count("\u200b") else ""
    line = text.replace("\u200b", zero_width_space)
    line = "".join(" " if classes()[ord(c)] == SPACE else c for c in line if c not in UNSEEN)
    letters = [c for c in line if classes()[ord(c)] in (LETTER, IDEOGRAPH)]
    capitals = sum(c.isupper() for c in line)
    line = line.replace("İ", "I").lower() if 2 * capitals > len(letters) else line
    return "" if line.isspace() else line


@given(st.lists(st.text(ODD, max_size=40) | st.text(max_size=10), max_size=5))
def test_lines_are_those_of_plain_python(texts: list[str]) -> None:
    assert lines_to_ask(large(*texts, None)) == [*map(plain_line, texts), ""]


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u2009", "\u3000", "\u2028", "\x85", "\n", "\u200b"])
def test_every_space_is_a_plain_one(space: str) -> None:
    assert lines_to_ask(large(f"the{space}old{space}mill")) == ["the old mill"]


def test_a_zero_width_space_between_all_letters_of_spaced_words_is_none() -> None:
    assert lines_to_ask(large("\u200b".join("the old mill by the river"))) == ["the old mill by the river"]


@pytest.mark.parametrize("unseen", ["\u00ad", "\u2060", "\ufeff", "\u200e", "\u202c", "\u2069"])
def test_characters_that_nobody_sees_are_left_out(unseen: str) -> None:
    assert lines_to_ask(large(f"{unseen}mi{unseen}ll", unseen, f"{unseen}\u00a0\n")) == ["mill", "", ""]


def test_joiners_are_spelling_and_stay() -> None:
    assert lines_to_ask(large("می\u200cخواهم क\u094d\u200dष")) == ["می\u200cخواهم क\u094d\u200dष"]


def test_capitals_are_lowered_only_where_most_letters_are_capitals() -> None:
    texts = [
        "ABCd efg",
        "ABCDe fg",
        "ABCDEf gh",
        "IT 部门 USA",
        "МЕЛЬНИЦА у реки",
        "ΑΘΗΝΑ",
        "İSTANBUL",
        "STRASSE, GROẞ",
    ]
    assert lines_to_ask(large(*texts)) == [
        "ABCd efg",
        "abcde fg",
        "abcdef gh",
        "it 部门 usa",
        "мельница у реки",
        "αθηνα",
        "istanbul",
        "strasse, groß",
    ]
