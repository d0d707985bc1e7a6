import pytest
from hypothesis import given
from word_oracle import any_text

from cleaners.textfix import limit_newlines, remove_urls


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see http://a.example/b?c=d&e, and", "see , and"),
        ("(https://a.example/x).", "()."),
        ("on https://en.example/wiki/Mill_(device) too", "on  too"),
        ("Visit WWW.Example.com. Now", "Visit . Now"),
        ("请看http://a.example/路径。", "请看路径。"),
        ("о http://пример.рф/путь конец", "о  конец"),
        ("ftp://a.example:21/f#g", ""),
        ("www. is no address, nor is http: or a.example", "www. is no address, nor is http: or a.example"),
    ],
)
def test_a_url_goes_and_its_sentence_stays(text: str, left: str) -> None:
    assert remove_urls(text) == left


def test_long_texts_without_an_end_take_no_long_time() -> None:
    for text in ("http://" + "(" * 300_000, "www." * 200_000, "http://" * 100_000, "http://" + "." * 300_000):
        remove_urls(text)


def test_more_than_two_newlines_become_two() -> None:
    assert limit_newlines("a\n\n\n\nb\n\nc\n \t\n\nd\ne") == "a\n\nb\n\nc\n\nd\ne"
    assert limit_newlines("a\n\n\nb", max_newlines=1) == "a\nb"


@given(any_text)
def test_limiting_newlines_changes_nothing_but_white_space_and_is_done_at_once(text: str) -> None:
    limited = limit_newlines(text)
    assert limited.split() == text.split()
    assert "\n\n\n" not in limited
    assert limit_newlines(limited) == limited
