"""Each rule with a document just inside and one just outside its limit."""

import gzip
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest
from stage_cases import reasons_of, texts

from cleaners.gopher_repetition import GopherRepetitionConfig

REPETITION = GopherRepetitionConfig(name="gopher_repetition")


def repetition(setting: str) -> GopherRepetitionConfig:
    """Gopher's rule for this setting and no other."""
    settings = [rule.setting for rule in REPETITION.rules()]
    return GopherRepetitionConfig(name="r", **{other: None for other in settings if other != setting})


def distinct(n: int, start: int = 0) -> list[str]:
    """Words of four characters that do not repeat."""
    return [f"{start + i:04d}" for i in range(n)]


def test_too_many_duplicate_lines() -> None:
    config = repetition("max_duplicate_line_fraction")
    assert reasons_of(config, "\n".join(["x"] * 3 + distinct(7))) == []
    assert reasons_of(config, "\n".join(["x"] * 3 + distinct(6))) == ["too_many_duplicate_lines"]


def test_too_many_duplicate_paragraphs() -> None:
    config = repetition("max_duplicate_paragraph_fraction")
    assert reasons_of(config, "\n\n".join(["x"] * 3 + distinct(7))) == []
    assert reasons_of(config, "\n\n".join(["x"] * 3 + distinct(6))) == ["too_many_duplicate_paragraphs"]
    assert reasons_of(config, "\n".join(["x"] * 3 + distinct(6))) == []


def test_too_many_chars_in_duplicate_lines() -> None:
    config = repetition("max_duplicate_line_char_fraction")
    assert reasons_of(config, "\n".join(["abcd efgh"] * 2 + distinct(16))) == []
    assert reasons_of(config, "\n".join(["abcd efgh"] * 2 + distinct(15))) == ["too_many_chars_in_duplicate_lines"]


def test_too_many_chars_in_duplicate_paragraphs() -> None:
    config = repetition("max_duplicate_paragraph_char_fraction")
    inside, outside = ("\n\n".join(["abcd efgh"] * 2 + distinct(n)) for n in (16, 15))
    assert reasons_of(config, inside) == []
    assert reasons_of(config, outside) == ["too_many_chars_in_duplicate_paragraphs"]


@pytest.mark.parametrize(("n", "percent"), [(2, 20), (3, 18), (4, 16)])
def test_top_ngram_too_frequent(n: int, percent: int) -> None:
    config = repetition(f"max_top_{n}gram_fraction")
    inside, outside = twice_in_few_words(n, percent)
    assert reasons_of(config, inside) == []
    assert reasons_of(config, outside) == [f"top_{n}gram_too_frequent"]


@pytest.mark.parametrize(("n", "percent"), [(5, 15), (6, 14), (7, 13), (8, 12), (9, 11), (10, 10)])
def test_too_many_duplicate_ngrams(n: int, percent: int) -> None:
    config = repetition(f"max_duplicate_{n}gram_fraction")
    inside, outside = twice_in_few_words(n, percent)
    assert reasons_of(config, inside) == []
    assert reasons_of(config, outside) == [f"too_many_duplicate_{n}grams"]


def twice_in_few_words(n: int, percent: int) -> tuple[str, str]:
    """An n-gram twice among the fewest other words with which it is at most `percent` of the text, and one fewer."""
    gram = distinct(n, start=5000)
    others = -(-2 * n * 100 // percent) - 2 * n
    inside, outside = (" ".join([*gram, *distinct(num), *gram]) for num in (others, others - 1))
    return inside, outside


@pytest.mark.real
def test_russian_prose_is_kept(real_data: Path) -> None:
    with gzip.open(real_data / "text/ru/Gogol_Viy.txt.gz", "rt", encoding="utf-8") as file:
        russian = file.read(20_000)
    assert reasons_of(REPETITION, russian) == []


def test_chinese_rows_are_compared_by_words_and_all_others_as_before() -> None:
    batch = texts(
        "我们的村子里有一座很老的磨坊，我们的村子里有一条河。", "我们的村子里有一座很老的磨坊，我们的村子里有一条河。"
    )
    batch = batch.append_column("language", pa.array(["zh", "en"]))

    def fractions(segmented: bool | Literal["by language"]) -> list[float]:
        config = GopherRepetitionConfig(name="r", segmented=segmented)
        return config.build()(batch)["r.duplicate_5gram_fraction"].to_pylist()

    words, characters, by_language = fractions(True), fractions(False), fractions("by language")
    assert by_language == [words[0], characters[1]]
    assert words[0] < characters[0]
