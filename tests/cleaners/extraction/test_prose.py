"""Strings of data as text."""

from script_pages import PROSE, body, ld, state

from cleaners.extraction.prose import plain_text


def test_escaped_html_becomes_text() -> None:
    assert plain_text("&lt;p&gt;One&lt;br&gt;two&lt;/p&gt;") == "One\ntwo"
    assert plain_text("5 < 6 &amp; 7") == "5 < 6 & 7"
    assert plain_text("\ud800x\0") == "?x"


def test_bombs_of_megabytes_are_read() -> None:
    n = 1_000_000
    assert plain_text("<a" * n).startswith("<a<a")
    assert plain_text("&lt;a" * n) == "<a" * n


def test_a_long_text_is_searched_once_for_all_short_ones() -> None:
    """Searching the long text again for each of them takes a quarter of an hour."""
    words = [f"word{n:06}" for n in range(100_000)]
    texts = [" ".join(words), *words[50_000:]]
    assert body(ld([{"@type": "Article", "articleBody": text} for text in texts])) == texts[0]


def test_176_chinese_characters_are_prose() -> None:
    text = "这座磨坊立在河边三百年来一直为山谷碾磨谷物。" * 8
    assert len(text) == 176
    assert body(state({"content": text})) == text


def test_prose_may_speak_of_functions_and_end_with_an_address() -> None:
    text = PROSE + "What is the function of a mill? See https://example.org/mill"
    assert body(state({"x": text})) == text


def test_numbers_too_long_for_python_do_not_raise() -> None:
    number = "&#" + "9" * 5000 + ";"
    assert plain_text(number) == number
