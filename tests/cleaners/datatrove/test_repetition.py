import re
from collections import Counter

import pytest
from datatrove_texts import batch, texts
from hypothesis import given
from word_oracle import split

from cleaners.datatrove.repetition import datatrove_repetition
from cleaners.datatrove.text import traits
from cleaners.kernels.repetition import METRICS
from shards.unicode import text_buffers
from shards.words import words_of


def repetition_oracle(text: str, words: list[str]) -> dict[str, float]:
    def duplicates(units: list[str]) -> tuple[float, float]:
        later = [unit for i, unit in enumerate(units) if unit in units[:i]]
        return len(later) / len(units), sum(map(len, later)) / len(text)

    values = [*duplicates(re.split(r"\n+", text)), *duplicates(re.split(r"\n{2,}", text.strip()))]
    for n in (2, 3, 4):
        ngrams = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
        ((top, count),) = ngrams.most_common(1) or [("", 0)]
        values.append(len(top) * count / len(text))
    for n in range(5, 11):
        seen: set[str] = set()
        repeated = i = 0
        while i < len(words) - n + 1:
            ngram = "".join(words[i : i + n])
            repeated += len(ngram) * (ngram in seen)
            i += n if ngram in seen else 1
            seen.add(ngram)
        values.append(repeated / len(text))
    return dict(zip(METRICS, values, strict=True))


def measured_repetition(text: str) -> dict[str, float]:
    rows = batch(text)
    words = words_of(rows)
    fractions = datatrove_repetition(*text_buffers(rows), words.rows, words.starts, words.ends, traits())
    return dict(zip(METRICS, fractions[2].tolist(), strict=True))


@given(texts.filter(bool))
def test_repetition_is_that_of_datatrove(text: str) -> None:
    assert measured_repetition(text) == repetition_oracle(text, split(text))


def test_ngrams_of_one_megabyte_are_measured() -> None:
    text = "слово 字 " * 100_000
    assert measured_repetition(text)["duplicate_10gram_fraction"] == pytest.approx(599_970 / 800_000)


def test_after_a_repeated_ngram_the_next_one_begins_at_its_end() -> None:
    # The second "a b c d e" is a duplicate; "b c d e a" overlaps it and is skipped.
    assert measured_repetition("a b c d e a b c d e a b c d e")["duplicate_5gram_fraction"] == 10 / 29


def test_a_top_ngram_that_occurs_once_counts() -> None:
    assert measured_repetition("one two three four")["top_2gram_fraction"] == 7 / 18


def test_the_blanks_of_a_top_ngram_count_where_the_text_has_none() -> None:
    assert measured_repetition("世世世")["top_2gram_fraction"] == 6 / 3


def test_ngrams_of_other_words_and_the_same_letters_are_equal() -> None:
    assert measured_repetition("ab c d e f a bc d e f")["duplicate_5gram_fraction"] == 6 / 21


def test_lines_with_other_white_space_differ() -> None:
    assert measured_repetition("a\na \na")["duplicate_line_fraction"] == 1 / 3
