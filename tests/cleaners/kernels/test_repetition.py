"""The oracle says Gopher's table A1 in plain Python, with sets of positions instead of hashes."""

import re
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import any_text, split

from cleaners.kernels.repetition import METRICS, repetition
from shards.unicode import text_buffers
from shards.words import words_of

# Few words and many line breaks, so that everything repeats.
repetitive = st.lists(st.sampled_from(["a", "b", "cc", "世", "é", "\n", "\n\n", "\n \n", "…"]), max_size=60).map(
    " ".join
)


def measured(text: str, first_copies: bool = True) -> dict[str, float]:
    array = pa.array(["x x x", text], pa.large_string())
    words = words_of(array)
    fractions = repetition(text_buffers(array)[0], words.rows, words.starts, words.ends, first_copies)
    return dict(zip(METRICS, fractions[1].tolist(), strict=True))


def expected(text: str, first_copies: bool = True) -> dict[str, float]:
    words = split(text)
    chars = sum(map(len, words))
    if not words:
        return dict.fromkeys(METRICS, 0.0)
    values = []
    for separator in (r"\n", r"\n[^\S\n]*\n\s*"):
        units = [tuple(split(unit)) for unit in re.split(separator, text) if split(unit)]
        duplicates = [unit for i, unit in enumerate(units) if _counts(unit, i, units, first_copies)]
        values += [len(duplicates) / len(units), sum(len(w) for unit in duplicates for w in unit) / chars]
    for n in range(2, 11):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        count = Counter(grams)
        if n <= 4:
            top = max(count, key=lambda gram: (count[gram], len("".join(gram)), -grams.index(gram)), default=())
            starts = [i for i, gram in enumerate(grams) if gram == top and count[gram] > 1]
        else:
            starts = [i for i, gram in enumerate(grams) if _counts(gram, i, grams, first_copies)]
        covered = {i + k for i in starts for k in range(n)}
        values.append(sum(len(words[i]) for i in covered) / chars)
    return dict(zip(METRICS, values, strict=True))


def _counts(unit: tuple[str, ...], i: int, units: list[tuple[str, ...]], first_copies: bool) -> bool:
    return unit in units[:i] or (first_copies and unit in units[i + 1 :])


@given(st.one_of(repetitive, any_text), st.booleans())
def test_the_kernel_measures_as_the_oracle_does(text: str, first_copies: bool) -> None:
    assert measured(text, first_copies) == expected(text, first_copies)


@given(repetitive)
def test_no_fraction_exceeds_one(text: str) -> None:
    assert all(0 <= value <= 1 for value in measured(text).values())


def test_all_copies_of_a_line_count_and_without_first_copies_the_later_ones() -> None:
    text = "A A\nA A\nB\nB\nB\nC"
    assert measured(text)["duplicate_line_fraction"] == 5 / 6
    assert measured(text, first_copies=False)["duplicate_line_fraction"] == 3 / 6
    assert measured(text)["duplicate_line_char_fraction"] == 7 / 8


def test_paragraphs_end_at_empty_lines_and_blank_ones() -> None:
    assert measured("a\nb\n \na\nb\n\n\nc d")["duplicate_paragraph_fraction"] == 2 / 3
    assert measured("a\nb\na\nb")["duplicate_paragraph_fraction"] == 0


def test_an_ngram_that_occurs_once_is_no_repetition() -> None:
    assert measured("one two three four")["top_2gram_fraction"] == 0


def test_overlapping_occurrences_of_the_top_ngram_count_once() -> None:
    assert measured("la la la la end")["top_2gram_fraction"] == 8 / 11


def test_of_equally_frequent_ngrams_the_longest_is_the_top() -> None:
    text = (
        "a b long words a b long words"  # "a b", "b long", "words a" … twice or once; "long words" has most characters
    )
    assert measured(text)["top_2gram_fraction"] == 18 / 22


def test_a_line_of_a_megabyte_is_measured() -> None:
    fractions = measured("слово 字 " * 100_000)
    assert fractions["duplicate_line_fraction"] == 0
    assert fractions["duplicate_10gram_fraction"] == 1


@pytest.mark.parametrize("text", ["", " ", "one", "\x00", "\n\n\n"])
def test_texts_with_at_most_one_word_do_not_repeat(text: str) -> None:
    assert set(measured(text).values()) == {0.0}
