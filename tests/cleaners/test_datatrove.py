"""The oracles say datatrove's filters in plain Python, as its code has them; `tests/conformance` runs that code."""

import re
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import any_text, split

from cleaners.c4 import C4Config
from cleaners.datatrove.c4 import keep_sentences
from cleaners.datatrove.fineweb import fineweb
from cleaners.datatrove.quality import quality
from cleaners.datatrove.repetition import repetition
from cleaners.datatrove.text import PUNCTUATION, TERMINAL_PUNCTUATION, traits
from cleaners.fineweb import FineWebConfig
from cleaners.gopher_quality import GopherQualityConfig
from cleaners.gopher_repetition import GopherRepetitionConfig
from cleaners.kernels.repetition import METRICS
from cleaners.thresholds import ThresholdConfig
from shards.unicode import text_buffers
from shards.words import words_of

STOP_WORDS = ("the", "be", "to", "世", "and")
C4 = {
    "line_ends": ".?!\"'",
    "min_words_per_line": 3,
    "max_word_chars": 12,
    "line_phrases": ("javascript", "use cookies"),
    "remove_citations": True,
}
SYMBOLS = {*PUNCTUATION, *TERMINAL_PUNCTUATION} | {
    chr(c) for a, b in ((0, 9), (11, 32), (127, 160)) for c in range(a, b)
}

# Few words and every kind of line break, so that everything repeats and all that is counted occurs.
tokens = st.sampled_from(
    [
        *"a b ab c cc the The be 世 界 é # … ... .. . • - -x x. x... 。 ! \x00 \u212aelvin".split(" "),
        *("\n", "\n\n", "\n\n\n", "\r\n", "\r", "\u2028", "\x1c", "\x85", " ", "\t", "\u3000", "long" * 8),
        *("[1]", "[edit]", "[٣]", "lorem ipsum", "java[1]script", "JavaScript", "{", "use cookies", "is a line."),
    ]
)
texts = st.one_of(st.lists(tokens, max_size=60).map(" ".join), st.lists(tokens, max_size=60).map("".join), any_text)


def batch(text: str) -> pa.Array:
    """With neighbours, so that offsets and words of the text do not begin at 0."""
    return pa.array(["x x x", None, text, "x x x"], pa.large_string())


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
    fractions = repetition(*text_buffers(rows), words.rows, words.starts, words.ends, traits())
    return dict(zip(METRICS, fractions[2].tolist(), strict=True))


@given(texts.filter(bool))
def test_repetition_is_that_of_datatrove(text: str) -> None:
    assert measured_repetition(text) == repetition_oracle(text, split(text))


def test_ngrams_of_one_megabyte_are_measured() -> None:
    text = "слово 字 " * 100_000
    assert measured_repetition(text)["duplicate_10gram_fraction"] == pytest.approx(599_970 / 800_000)


def test_behind_a_repeated_ngram_the_next_one_begins_after_its_end() -> None:
    # The second "a b c d e" is a duplicate, and with it "b c d e a", which would overlap it, is not looked at.
    assert measured_repetition("a b c d e a b c d e a b c d e")["duplicate_5gram_fraction"] == 10 / 29


def test_a_top_ngram_that_occurs_once_counts() -> None:
    assert measured_repetition("one two three four")["top_2gram_fraction"] == 7 / 18


def test_the_blanks_of_a_top_ngram_count_where_the_text_has_none() -> None:
    assert measured_repetition("世世世")["top_2gram_fraction"] == 6 / 3


def test_ngrams_of_other_words_and_the_same_letters_are_equal() -> None:
    assert measured_repetition("ab c d e f a bc d e f")["duplicate_5gram_fraction"] == 6 / 21


def test_lines_are_equal_with_their_white_space_only() -> None:
    assert measured_repetition("a\na \na")["duplicate_line_fraction"] == 1 / 3


def quality_oracle(text: str, words: list[str]) -> dict[str, float]:
    spoken = [word for word in words if not SYMBOLS.issuperset(word)]
    lines = text.splitlines()
    return {
        "word_count": len(spoken),
        "mean_word_length": _ratio(sum(map(len, spoken)), len(spoken)),
        "hash_ratio": _ratio(text.count("#"), len(words)),
        "ellipsis_ratio": _ratio(text.count("...") + text.count("…"), len(words)),
        "bullet_line_fraction": _ratio(sum(line.lstrip().startswith(("•", "-")) for line in lines), len(lines)),
        "ellipsis_line_fraction": _ratio(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
        "alpha_word_fraction": _ratio(sum(any(map(str.isalpha, word)) for word in words), len(words)),
        "stop_word_count": len({*STOP_WORDS} & {*words}),
    }


def _ratio(a: int, b: int) -> float | None:
    """None stands for 0 / 0, and for the infinite ratio of symbols to no words."""
    return a / b if b else None


@given(texts)
def test_quality_is_that_of_datatrove(text: str) -> None:
    rows = batch(text)
    measured = quality(rows, words_of(rows), STOP_WORDS)
    found = {name: values[2].item() for name, values in measured.items()}
    assert {name: value if value - value == 0 else None for name, value in found.items()} == quality_oracle(
        text, split(text)
    )


def fineweb_oracle(text: str, words: list[str], marks: str) -> dict[str, float]:
    lines = [line for line in text.split("\n") if line.strip()]
    copies = sum(len(line) for i, line in enumerate(lines) if line in lines[:i])
    return {
        "punctuated_line_fraction": sum(line.endswith(tuple(marks)) for line in lines) / max(len(lines), 1),
        "short_line_fraction": sum(len(line) <= 4 for line in lines) / max(len(lines), 1),
        "duplicate_line_char_fraction": copies / max(len(text.replace("\n", "")), 1),
        "newlines_per_word": text.count("\n") / max(len(words), 1),
    }


@given(texts, st.sampled_from([None, ".!"]))
def test_fineweb_is_that_of_datatrove(text: str, marks: str | None) -> None:
    rows = batch(text)
    measured = fineweb(rows, words_of(rows), 4, marks)
    expected = fineweb_oracle(text, split(text), marks or TERMINAL_PUNCTUATION)
    assert {name: values[2].item() for name, values in measured.items()} == expected


@given(texts)
def test_c4_counts_what_it_keeps(text: str) -> None:
    (_, kept), metrics = keep_sentences([None, text], **C4)
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    assert metrics["lines_removed"][1] <= len(lines)
    assert kept == kept.strip()
    assert "use cookies" not in kept.lower()
    assert metrics["sentence_count"][1] >= len(kept.splitlines())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("So it is said.\r\nSo it is\u2028So it was said!", "So it is said.\nSo it was said!"),
        ("So it is said. [1]", ""),  # a blank is left at its end
        ("So it [1] is said [edit].", "So it  is said ."),
        ("It is. [٣] said.", "It is.  said."),  # four words, when they were counted
        ("It was javascript there.\nWe use COO\u212aIES here.\nThere it is.", "There it is."),
        ("All of it went into java[1]script.", ""),
        ("So it went on and on...", ""),
        ("It was " + "x" * 13 + ".", ""),
    ],
)
def test_lines_that_c4_keeps(text: str, kept: str) -> None:
    assert keep_sentences([text], **C4)[0] == [kept]


@pytest.mark.parametrize(
    ("line", "lorem_ipsum", "brackets"),
    [
        ("We use cookies { here.", 0, 1),
        ("It is javascript { here.", 0, 0),
        ("Lorem ipsum in javascript.", 1, 0),
        ("Lorem ipsum and { here.", 1, 1),
        ("Lorem ipsum and { here", 0, 0),
    ],
)
def test_what_drops_a_page_is_looked_for_between_the_phrases(line: str, lorem_ipsum: int, brackets: int) -> None:
    metrics = keep_sentences([line], **C4)[1]
    assert (metrics["lorem_ipsum_lines"][0], metrics["curly_bracket_lines"][0]) == (lorem_ipsum, brackets)


def test_a_kept_line_without_a_sentence_has_one() -> None:
    assert keep_sentences(["? ? ?\nIt is. It was."], **C4)[1]["sentence_count"][0] == 3


CONFIGS: tuple[ThresholdConfig, ...] = (
    GopherRepetitionConfig(name="gopher_repetition", compat="datatrove"),
    GopherQualityConfig(name="gopher_quality", compat="datatrove"),
    FineWebConfig(name="fineweb", compat="datatrove"),
    C4Config(name="c4", compat="datatrove"),
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_compat_changes_formulas_and_neither_columns_nor_rules(config: ThresholdConfig) -> None:
    batch = pa.record_batch({"text": pa.array(["The mill grinds corn.\n" * 20, "", None, "\n"], pa.large_string())})
    plain = config.model_copy(update={"compat": None})
    measured = config.build()(batch)
    assert [rule.reason for rule in config.rules()] == [rule.reason for rule in plain.rules()]
    assert measured.schema == plain.build()(batch).schema
    for metric in config.METRICS:
        valid = measured[f"{config.name}.{metric}"].is_valid().to_pylist()
        assert (valid[0], valid[2]) == (True, False)


def test_what_has_nothing_to_be_divided_by_is_not_measured() -> None:
    batch = pa.record_batch({"text": pa.array(["", "\n"], pa.large_string())})
    repetition_stage, quality_stage = CONFIGS[0].build(), CONFIGS[1].build()
    assert repetition_stage(batch)["gopher_repetition.top_2gram_fraction"].to_pylist() == [None, 0]
    assert quality_stage(batch)["gopher_quality.mean_word_length"].to_pylist() == [None, None]
    assert quality_stage(batch)["gopher_quality.bullet_line_fraction"].to_pylist() == [None, 0]
    assert quality_stage(batch)["gopher_quality.word_count"].to_pylist() == [0, 0]
