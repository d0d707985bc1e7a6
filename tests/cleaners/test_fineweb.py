"""Each rule with a document just inside and one just outside its limit."""

import pytest
from stage_cases import reasons_of, texts

from cleaners.fineweb import FineWebConfig


def fineweb(setting: str, **settings: object) -> FineWebConfig:
    """The rule for this setting and no other."""
    others = {rule.setting: None for rule in FineWebConfig(name="f").rules() if rule.setting != setting}
    return FineWebConfig(name="f", **others, **settings)


def metric(name: str, text: str, **settings: object) -> float:
    return FineWebConfig(name="f", **settings).build()(texts(text))[f"f.{name}"][0].as_py()


def test_too_few_punctuated_lines() -> None:
    config = fineweb("min_punctuated_line_fraction")
    assert reasons_of(config, "\n".join(["An end."] * 3 + ["none"] * 22)) == []
    assert reasons_of(config, "\n".join(["An end."] * 3 + ["none"] * 23)) == ["too_few_punctuated_lines"]


@pytest.mark.parametrize("line", ["An end.", "An end!  ", "结束。", "Конец?", "अंत।", "真的？", "終わり｡"])
def test_lines_end_in_the_marks_of_all_scripts(line: str) -> None:
    assert metric("punctuated_line_fraction", line) == 1


def test_line_ends_are_a_setting() -> None:
    assert metric("punctuated_line_fraction", 'He said "so"\n结束。', line_ends=".!?\"'") == 0.5
    assert metric("punctuated_line_fraction", 'He said "so"') == 0


def test_too_many_short_lines() -> None:
    config = fineweb("max_short_line_fraction")
    assert reasons_of(config, "\n".join(["x" * 30] * 67 + ["x" * 31] * 33)) == []
    assert reasons_of(config, "\n".join(["字" * 30] * 68 + ["字" * 31] * 32)) == ["too_many_short_lines"]


def test_too_many_chars_in_duplicate_lines() -> None:
    config = fineweb("max_duplicate_line_char_fraction")
    assert reasons_of(config, f"twice\n{'x' * 490}\n twice ") == []  # 5 of 500 characters: the later copy counts
    assert reasons_of(config, f"twice\n{'x' * 489}\ntwice") == ["too_many_chars_in_duplicate_lines"]


def test_too_many_newlines() -> None:
    config = fineweb("max_newlines_per_word")
    assert reasons_of(config, "one two three four five six seven eight\n\nnine\nten") == []
    assert reasons_of(config, "one two three four five six seven eight\n\nnine\nten\n") == ["too_many_newlines"]
    assert reasons_of(config, "一二三四五六七八\n\n九\n十") == []


def test_a_text_without_lines_has_no_punctuated_ones() -> None:
    assert reasons_of(FineWebConfig(name="f"), " ") == ["too_few_punctuated_lines"]


def test_the_same_line_in_two_documents_is_no_duplicate() -> None:
    measured = FineWebConfig(name="f").build()(texts("same line", "same line"))
    assert measured["f.duplicate_line_char_fraction"].to_pylist() == [0, 0]
