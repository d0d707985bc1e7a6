"""Measures of blocks against plain Python that reads their text with regular expressions, in several scripts."""

import re
import unicodedata
from typing import Any

import numpy as np
import pytest
from extraction_soup import TEXTS, sample_page, soup
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.features import measures
from cleaners.extraction.features.hashing import hash_of
from cleaners.extraction.features.measures import MAX_WORDS, MEASURE, is_stop_word, kind_beyond_ascii
from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import BOLD, HIDDEN
from cleaners.extraction.html.text import max_text_bytes, write_node

LETTER, IDEOGRAPH, SYMBOL = measures._LETTER, measures._IDEOGRAPH, measures._SYMBOL
_TOKEN = re.compile(r"[\u2e80-\u2fff\u3040-\ua4cf]|[^\W\d_\u2e80-\u2fff\u3040-\ua4cf]+")
_STOP = {*measures._STOP_WORDS, *measures._STOP_CHARACTERS}


def pieces(sample: Any, b: int) -> list[tuple[int, str, int]]:
    """(text node, its text as it is shown, <br> before it) of each text node of block `b`."""
    data, nodes = sample.data, sample.page.tree.nodes
    block = sample.page.blocks[b]
    out = np.empty(max_text_bytes(len(data)) + len(nodes), np.uint8)
    found, at, last = [], 0, None
    for node in sample.page.texts[block["first"] : block["end"]].tolist():
        breaks = 0 if last is None else int(np.count_nonzero(nodes["tag"][last + 1 : node] == tags.BR))
        out[at : at + breaks] = 10
        after = write_node(data, nodes, node, out, 0, at + breaks)
        found.append((node, out[at + breaks : after].tobytes().decode(), breaks))
        at, last = after, node
    return found


def count(pattern: str, text: str) -> int:
    return len(re.findall(pattern, text))


def plain_measure(sample: Any, b: int) -> tuple[dict[str, float], list[int]]:
    parts, nodes = pieces(sample, b), sample.page.tree.nodes
    text = "".join("\n" * breaks + piece for _, piece, breaks in parts)
    tokens = _TOKEN.findall(text)
    is_word = [not ("\u2e80" <= token <= "\ua4cf") for token in tokens]
    words = [token for token, alone in zip(tokens, is_word, strict=True) if alone]
    links = [link for node, _, _ in parts if (link := int(nodes["link"][node])) >= 0]
    end = text.rstrip(" \n\xa0\"')]}»”’")

    def weight(chosen: Any) -> float:
        return sum(1.0 if alone else 0.5 for token, alone in zip(tokens, is_word, strict=True) if chosen(token))

    found = {
        "chars": count(r"\S", text),
        "link_chars": sum(count(r"\S", piece) for node, piece, _ in parts if nodes["link"][node] >= 0),
        "bold_chars": sum(count(r"\S", piece) for node, piece, _ in parts if nodes["flags"][node] & BOLD),
        "words": weight(lambda token: True),
        "links": sum(i == 0 or links[i - 1] != link for i, link in enumerate(links)),
        "punctuation": count(r"[.!?;…。！？؟,،，、]", text),
        "commas": count(r"[,،，、]", text),
        "digits": count(r"[0-9]", text),
        "symbols": count(r"[|<>/=+*#~_^→•]", text),
        "capitalised": sum(word[0] != word[0].lower() for word in words),
        "all_caps": sum(len(word) > 1 and all(c != c.lower() for c in word) for word in words),
        "word_chars": sum(map(len, tokens)),
        "stop_words": weight(lambda token: token.lower() in _STOP),
        "currency": count(r"[$€£]", text),
        "beyond_ascii": count(r"[^\x00-\x7f\xa0]", text),
        "breaks": sum(breaks for _, _, breaks in parts),
        "copyright": "©" in text,
        "ending": 1 if re.search(r"[.!?;…。！？؟]$", end) else 2 if re.search("[:：]$", end) else 0,
        "hidden": any(nodes["flags"][node] & HIDDEN for node, _, _ in parts),
        "hash": hash_of("".join(re.findall(r"[0-9]|[^\W\d_]", text)).lower()),
    }
    return found, [hash_of(token[:24].lower()) for token in tokens[:MAX_WORDS]]


def check(page: str) -> int:
    sample = sample_page(page)
    measured = sample.page.measured
    for b in range(len(sample.page.blocks)):
        expected, words = plain_measure(sample, b)
        assert list(expected) == list(MEASURE.names or ())
        assert {name: float(measured.measures[name][b]) for name in expected} == expected
        assert measured.words[measured.offsets[b] : measured.offsets[b + 1]].tolist() == words
    return len(sample.page.blocks)


def one_block(page: str) -> Any:
    sample = sample_page(page)
    assert len(sample.page.blocks) == 1
    return sample.page.measured.measures[0]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_measured_as_by_plain_python(text: str) -> None:
    assert check(f"<p>{text}") == bool(text.strip())


@settings(max_examples=150)
@given(soup)
def test_a_page_is_measured_as_by_plain_python(page: str) -> None:
    check(page)


alphabet = "ab THE é É ж Ё Ω ا 世界 の 1 . , : | $ € © ” ( ) ! ？ &amp; &Eacute; <br> <b> </b> <i> <a> </a>".split()


@settings(max_examples=200)
@given(st.lists(st.sampled_from([*alphabet, " "]), max_size=60).map("".join))
def test_a_paragraph_is_measured_as_by_plain_python(text: str) -> None:
    check("<p>" + text)


@pytest.mark.parametrize(
    ("page", "name", "expected"),
    [
        ("<p><b>T</b>he <i>end</i>", "words", 2),
        ("<p><b>T</b>he <i>end</i>", "stop_words", 1),
        ("<p>one<br>two<br>three", "words", 3),
        ("<p>one<br>two<br>three", "breaks", 2),
        ("<p>今天的天气", "words", 2.5),
        ("<p>한국어 문장", "words", 2),
        ("<p>caf&eacute; au lait", "words", 3),
        ("<p><a>one <b>link</b></a> <a>two</a>", "links", 2),
        ("<p><a>one <b>link</b></a> two", "link_chars", 7),
        ("<p>He said: “No.”", "ending", 1),
        ("<p>He said:", "ending", 2),
        ("<p>He said. 5", "ending", 0),
        ("<p>a <span hidden>b</span>", "hidden", 0),
        ("<p><span hidden>b</span>", "hidden", 1),
    ],
)
def test_block_has_the_measure(page: str, name: str, expected: float) -> None:
    assert one_block(page)[name] == expected


def test_texts_that_differ_in_case_spaces_or_punctuation_have_one_hash() -> None:
    first, same, other = (one_block(f"<p>{text}")["hash"] for text in ("One, two 3!", "ONE two&nbsp;3", "one two 4"))
    assert first == same != other


def test_words_beyond_the_fortieth_of_a_block_are_counted_but_not_hashed() -> None:
    sample = sample_page("<p>" + "word " * 50 + "<p>next")
    assert sample.page.measured.measures["words"].tolist() == [50, 1]
    assert np.diff(sample.page.measured.offsets).tolist() == [40, 1]


def test_letters_of_common_scripts_are_letters_or_ideographs() -> None:
    for kind, ranges in (
        (LETTER, [(0xC0, 0x530), (0x5D0, 0x650), (0x900, 0xE00), (0xAC00, 0xD7A4), (0x1E00, 0x2000)]),
        (IDEOGRAPH, [(0x3041, 0x30FB), (0x3400, 0x9FFF), (0x20000, 0x2A6D0)]),
    ):
        letters = [c for first, after in ranges for c in range(first, after) if unicodedata.category(chr(c))[0] == "L"]
        assert len(letters) > 1000
        assert {kind_beyond_ascii(c) for c in letters} == {kind}


@pytest.mark.parametrize(("characters", "kind"), [("§→•⁂☎🦀", "_SYMBOL"), ("£€₽", "_CURRENCY"), ("“”»『", "_CLOSING")])
def test_character_is_of_the_kind(characters: str, kind: str) -> None:
    assert {kind_beyond_ascii(ord(c)) for c in characters} == {getattr(measures, kind)}


def test_stop_words_are_found_and_others_not() -> None:
    assert all(is_stop_word(np.uint32(hash_of(word))) for word in _STOP)
    assert not any(is_stop_word(np.uint32(hash_of(word))) for word in ["home", "login", "меню", "菜", ""])
