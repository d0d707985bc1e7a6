from pathlib import Path

import ftfy
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from word_oracle import any_text

from cleaners import textfix
from cleaners.crawl.charset import decode
from cleaners.crawl.warc import WarcReader
from cleaners.textfix import TextFixConfig, break_symbol_lines, fix_encoding, limit_newlines, remove_urls
from shards.storage import find_inputs


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
def test_a_url_is_removed_and_its_sentence_stays(text: str, left: str) -> None:
    assert remove_urls(text) == left


def test_long_addresses_without_an_end_are_removed_quickly() -> None:
    for text in ("http://" + "(" * 300_000, "www." * 200_000, "http://" * 100_000, "http://" + "." * 300_000):
        remove_urls(text)


def test_more_than_two_newlines_become_two() -> None:
    assert limit_newlines("a\n\n\n\nb\n\nc\n \t\n\nd\ne") == "a\n\nb\n\nc\n\nd\ne"
    assert limit_newlines("a\n\n\nb", max_newlines=1) == "a\nb"


@given(any_text)
def test_limiting_newlines_changes_white_space_alone_and_once(text: str) -> None:
    limited = limit_newlines(text)
    assert limited.split() == text.split()
    assert "\n\n\n" not in limited
    assert limit_newlines(limited) == limited


@given(any_text | st.lists(st.sampled_from(["WWW.a.b", "http://c.d/e", "Www.", "x", " ", "\n", "://"])).map("".join))
def test_urls_are_removed_line_by_line_as_from_the_whole_text(text: str) -> None:
    assert remove_urls(text) == textfix._URL.sub("", text)


# What FineWeb2's FTFYFormatter and SymbolLinesFormatter set (datatrove 0.10).
FINEWEB2 = ftfy.TextFixerConfig(
    fix_latin_ligatures=False, fix_character_width=False, uncurl_quotes=False, fix_line_breaks=False, normalization=None
)


def symbol_lines_as_published(text: str) -> str:
    formatted: list[str] = []
    in_removed_span = False
    for line in text.splitlines():
        chars_line = line.strip() != "" and all(c in {"|"} or c == " " for c in line)
        if chars_line and not in_removed_span:
            formatted.append("\n")
            in_removed_span = True
        elif not chars_line:
            formatted.append(line)
            in_removed_span = False
    return "\n".join(formatted)


BROKEN = [
    "schÃ¶n",
    "â€œquotedâ€\x9d",
    "Ð¿Ñ€Ð¸Ð²ÐµÑ‚",
    "&eacute;t&eacute;",
    "<b>",
    "\x1b[31m",
    "\x85",
    "\ud83d\ude00",
    "Â ",
    "\ufeff",
]
BROKEN += ["привет", "天地玄黄，", "“fine”", "ﬁ", "\n", " ", "|", "| |", "plain", "&amp;", "\r", "\u2028"]


@given(any_text | st.lists(st.sampled_from(BROKEN), max_size=12).map("".join))
@example("a\nÂ b")
def test_encodings_are_fixed_as_by_ftfy_on_the_whole_text(text: str) -> None:
    assert fix_encoding(text) == ftfy.fix_text(text, FINEWEB2)


@given(st.lists(st.sampled_from(BROKEN), max_size=12).map("".join) | any_text)
def test_symbol_lines_become_empty_as_published(text: str) -> None:
    assert break_symbol_lines(text, "|") == symbol_lines_as_published(text)


def test_textfix_counts_the_rows_it_changes() -> None:
    texts = ["plain & ascii", "schÃ¶n", "a\n| |\n|\nb", "schön", None, ""]
    batch = pa.record_batch({"text": pa.array(texts, pa.string())})
    done = TextFixConfig().build()(batch)
    assert done["text"].to_pylist() == ["plain & ascii", "schön", "a\n\n\nb", "schön", None, ""]
    assert done["textfix.changed"].to_pylist() == [0, 1, 1, 0, None, 0]
    nothing = TextFixConfig(fix_encoding=False, symbol_lines="").build()(batch)
    assert nothing["text"].to_pylist() == texts


@pytest.mark.real
def test_real_pages_are_fixed_as_ftfy_fixes_them(real_data: Path) -> None:
    (file,) = find_inputs([str(real_data / "crawl/part-06.warc.gz")], (), "x")
    pages = [decode(p.as_py()).text[:20_000] for batch in WarcReader("web", file, 0) for p in batch["payload"]][::10]
    assert len(pages) > 20
    for text in pages:
        assert fix_encoding(text) == ftfy.fix_text(text, FINEWEB2)
