"""Each rule with a document just inside and one just outside its limit."""

import gzip
import json
from pathlib import Path

import pytest
from stage_cases import reasons, reasons_of, texts

from cleaners.gopher_quality import GopherQualityConfig

QUALITY = GopherQualityConfig(name="gopher_quality")

# 46 words of 4 letters and two stop words: what a quality test needs to stand on.
PROSE = "the and " + "word " * 46


def test_too_few_words() -> None:
    assert reasons_of(QUALITY, PROSE + "more more") == []
    assert reasons_of(QUALITY, PROSE + "more") == ["too_few_words"]


def test_too_many_words() -> None:
    assert reasons_of(QUALITY, PROSE + "word " * 99_952) == []
    assert reasons_of(QUALITY, PROSE + "word " * 99_953) == ["too_many_words"]


def test_words_too_short() -> None:
    assert reasons_of(QUALITY, "the and " + "abc " * 48) == []
    assert reasons_of(QUALITY, "the and " + "abc " * 47 + "ab") == ["words_too_short"]


def test_words_too_long() -> None:
    ten = "abcdefghij "
    assert reasons_of(QUALITY, "the and " + ten * 46 + "a" * 17 + " " + "a" * 17) == []
    assert reasons_of(QUALITY, "the and " + ten * 46 + "a" * 17 + " " + "a" * 18) == ["words_too_long"]


def test_too_many_hashes() -> None:
    assert reasons_of(QUALITY, PROSE + "#tag #two ##three #four") == []
    assert reasons_of(QUALITY, PROSE + "#tag #two ##three ##four") == ["too_many_hashes"]


def test_too_many_ellipses() -> None:
    assert reasons_of(QUALITY, PROSE + "one... two… three...… four… five") == []
    assert reasons_of(QUALITY, PROSE + "one... two… three...… four…… five") == ["too_many_ellipses"]


def test_too_many_bullet_lines() -> None:
    lines = ["• the and word word word"] * 9
    assert reasons_of(QUALITY, "\n".join([*lines, "plain word word"])) == []
    assert reasons_of(QUALITY, "\n\n".join([*lines, "- word word"])) == ["too_many_bullet_lines"]


def test_too_many_ellipsis_lines() -> None:
    lines = ["the and word word word word..."] * 3
    assert reasons_of(QUALITY, "\n".join([*lines, *["word word word word word word"] * 7])) == []
    assert reasons_of(QUALITY, "\n".join([*lines, *["word word word word word word"] * 6])) == [
        "too_many_ellipsis_lines"
    ]


def test_too_few_alpha_words() -> None:
    assert reasons_of(QUALITY, "the and " + "word " * 38 + "1234 " * 10) == []
    assert reasons_of(QUALITY, "the and " + "word " * 38 + "1234 " * 11) == ["too_few_alpha_words"]


def test_too_few_stop_words() -> None:
    assert reasons_of(QUALITY, 'word "The word, of: ' + "word " * 50) == []
    assert reasons_of(QUALITY, "the the The " + "word " * 50) == ["too_few_stop_words"]  # different ones count


def test_stop_words_of_several_ideographs_are_met_where_they_follow_each_other() -> None:
    config = GopherQualityConfig(
        name="q", min_stop_words=2, stop_words=("因为", "的"), min_words=1, min_mean_word_length=1
    )
    assert reasons_of(config, "我的书，因为喜欢") == []
    assert reasons_of(config, "我的书，因此为了") == ["too_few_stop_words"]


def test_a_punctuation_stop_word_is_only_itself() -> None:
    config = GopherQualityConfig(name="q", min_stop_words=1, stop_words=("·",), min_words=1, min_mean_word_length=1)
    assert reasons_of(config, "马克·吐温") == []
    assert reasons_of(config, "马克，吐温") == ["too_few_stop_words"]


def test_a_text_without_words_has_too_few_and_divides_by_nothing() -> None:
    assert reasons_of(QUALITY, "") == [
        "too_few_words", "words_too_short", "too_few_alpha_words", "too_few_stop_words"
    ]  # fmt: skip


@pytest.mark.real
def test_russian_prose_is_kept(real_data: Path) -> None:
    with gzip.open(real_data / "text/ru/Gogol_Viy.txt.gz", "rt", encoding="utf-8") as file:
        russian = file.read(20_000)
    assert reasons_of(GopherQualityConfig(name="q", stop_words=("и", "в", "не", "на", "что")), russian) == []


@pytest.mark.real
def test_no_chinese_page_fails_for_lack_of_spaces(real_data: Path) -> None:
    with gzip.open(real_data / "text/zh/chinesewebtext-sample.jsonl.gz", "rt", encoding="utf-8") as file:
        chinese = texts(*(json.loads(line)["raw_content"] for line in file))
    config = GopherQualityConfig(name="q", min_mean_word_length=1, stop_words=("的", "在", "是", "和"))
    failing = {reason for row in reasons(config, chinese) for reason in row}
    assert failing <= {"too_many_ellipsis_lines", "too_few_stop_words"}
