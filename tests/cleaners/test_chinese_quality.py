"""Each rule with a document just inside and one just outside its limit."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from stage_cases import reasons, reasons_of, texts

from cleaners.chinese_quality import ChineseQualityConfig

CONFIG = ChineseQualityConfig(name="c")
HAN = "".join(chr(0x4E00 + i) for i in range(500))  # 500 different ones


def chinese(setting: str, **settings: object) -> ChineseQualityConfig:
    """The rule for this setting and no other."""
    others = {rule.setting: None for rule in CONFIG.rules() if rule.setting != setting}
    return ChineseQualityConfig(name="c", **others, **settings)


def test_a_text_of_chinese_sentences_is_kept() -> None:
    prose = "磨坊在河边，三百年来一直为山谷里的人磨面，村里的老人都记得它的声音。" * 4
    assert reasons_of(CONFIG, prose + "水落在大轮子上，轮子带动一根轴，轴再带动两块石头，其中的一块不动。" * 4) == []


@pytest.mark.parametrize(
    ("setting", "inside", "outside", "reason"),
    [
        ("min_sentences", "一句。两句", "一句，两句。", "too_few_sentences"),
        ("min_chars", HAN[:200], HAN[:199] + " \n", "too_few_chars"),
        ("min_mean_word_length", "我们 " * 3 + "很 " * 7, "我们 " * 2 + "很 " * 8, "words_too_short"),
        ("max_mean_word_length", "abcdefghij， abcdefghij", "abcdefghijk", "words_too_long"),
        ("max_chars", "字" * 10_000, "字" * 10_001, "too_many_chars"),
        ("max_hash_ratio", "##" + HAN[:8], "#" + HAN[:8], "too_many_hashes"),
        ("max_ellipsis_ratio", "……" + HAN[:6] + ".。", "……" + HAN[:7], "too_many_ellipses"),
        ("max_ellipsis_ratio", "..." + HAN[:7], "..." + HAN[:6], "too_many_ellipses"),
        ("max_digit_fraction", "12３" + HAN[:7] + "，。", "12３" + HAN[:6] + "，。", "too_many_digits"),
        ("max_bracketed_fraction", "【一】" + HAN[:7], "【一】" + HAN[:6], "too_many_bracketed_chars"),
        ("max_bracketed_fraction", "【一二三四五六\n七】", "【一二三四五六七】", "too_many_bracketed_chars"),
        (
            "max_read_more_line_fraction",
            "\n".join(["点击展开", "更多 ", "ReadMore readmore"] + ["一"] * 7),
            "\n".join(["点击展开", "更多", "。。。"] + ["一"] * 6),
            "too_many_read_more_lines",
        ),
        (
            "max_bullet_line_fraction",
            "\n".join(["• 一"] * 9 + ["一"]),
            "\n".join(["• 一"] * 9 + ["● 一"]),
            "too_many_bullet_lines",
        ),
        ("min_unique_fraction", "字" * 19 + "一", "字" * 20 + "一", "too_few_unique_chars"),
        ("min_entropy", HAN[:21] * 2, HAN[:20] * 2, "entropy_too_low"),  # ln 20 < 3 < ln 21
        ("min_mean_line_chars", HAN[:9] + "\n\n" + HAN[:11], HAN[:9] + "\n" + HAN[:10], "lines_too_short"),
        ("min_han_fraction", "一二三" + "a" * 7, "一二三" + "あ" * 8, "too_few_han_chars"),
    ],
)
def test_limit(setting: str, inside: str, outside: str, reason: str) -> None:
    assert reasons_of(chinese(setting), inside) == []
    assert reasons_of(chinese(setting), outside) == [reason]


def test_too_many_sensitive_words(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("坏话 # a comment\n", encoding="utf-8")
    config = chinese("max_sensitive_words_per_line", sensitive_words=str(path))
    assert reasons_of(config, "说坏话\n没有") == []
    assert reasons_of(config, "说坏话\n坏话") == ["too_many_sensitive_words"]
    assert config.lists() == {"c.sensitive_words": str(path)}
    assert CONFIG.lists() == {}


@pytest.mark.real
def test_chinese_web_text_fails_for_few_reasons(real_data: Path) -> None:
    with gzip.open(real_data / "text/zh/chinesewebtext-sample.jsonl.gz", "rt", encoding="utf-8") as file:
        chinese = texts(*(json.loads(line)["raw_content"] for line in file))
    failing = Counter(reason for row in reasons(CONFIG, chinese) for reason in row)
    assert sum(failing.values()) <= chinese.num_rows / 5, failing
