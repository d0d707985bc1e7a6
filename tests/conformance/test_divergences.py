"""Documents for the lines of docs/divergences.md, on which our rule and datatrove's filter as it ships disagree.

Each has a threshold between the two values, the same for both. `compat = "datatrove"` removes a difference in formulas
or words. It cannot remove one in sentences, since datatrove's are spaCy's.
"""

from dataclasses import dataclass

import pytest

from benchmarks.conformance import Case, Document, measure, peers_verdicts, stages
from benchmarks.rows import PEERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEERS.exists(), reason="datatrove is not installed; `make bench-peers` installs it"),
]


@dataclass(frozen=True)
class Divergence:
    rule: str
    metric: str
    threshold: float
    text: str
    theirs: bool  # datatrove drops
    language: str = "en"
    by_sentences: bool = False  # sentences make the difference, not the formula or the words


PROSE = "The mill stands by the river and grinds the corn of the valley"
DIVERGENCES = {
    "punctuation is a word": Divergence(
        "gopher_quality.too_few_alpha_words", "alpha_word_fraction", 0.8, "Yes, no, yes, no.", True
    ),
    "a word of punctuation does not count": Divergence(
        "gopher_quality.too_few_words", "word_count", 3, "one - two", True
    ),
    "words without their punctuation are shorter": Divergence(
        "gopher_quality.words_too_short", "mean_word_length", 3.0, "ab, cd, ef, gh.", True
    ),
    "more words to divide hashes by": Divergence(
        "gopher_quality.too_many_hashes", "hash_ratio", 0.2, "# one, two, three.", False
    ),
    "empty lines are lines without an ellipsis": Divergence(
        "gopher_quality.too_many_ellipsis_lines", "ellipsis_line_fraction", 0.7, "on and on…\n\nand on…", False
    ),
    "stop words as they stand": Divergence(
        "gopher_quality.too_few_stop_words", "stop_word_count", 2, "The mill: of corn", True
    ),
    "words without spaces do not occur in Chinese": Divergence(
        "gopher_quality.too_few_stop_words", "stop_word_count", 2, "人们都说中国很大", True, "zh"
    ),
    "white space at the end of a line": Divergence(
        "gopher_repetition.too_many_duplicate_lines", "duplicate_line_fraction", 0.3, "one two\none two \nthree", False
    ),
    "characters of duplicate lines are of all characters": Divergence(
        "gopher_repetition.too_many_chars_in_duplicate_lines",
        "duplicate_line_char_fraction",
        0.2,
        "abcd\nabcd\n" + "x " * 8,
        False,
    ),
    "characters of duplicate paragraphs are of all characters": Divergence(
        "gopher_repetition.too_many_chars_in_duplicate_paragraphs",
        "duplicate_paragraph_char_fraction",
        0.2,
        "abcd\n\nabcd\n\n" + "x " * 8,
        False,
    ),
    "a top n-gram that occurs once": Divergence(
        "gopher_repetition.top_2gram_too_frequent", "top_2gram_fraction", 0.2, "one two three four", True
    ),
    "duplicate n-grams that overlap": Divergence(
        "gopher_repetition.too_many_duplicate_5grams",
        "duplicate_5gram_fraction",
        0.4,
        "a b c d e f x a b c d e f y",
        False,
    ),
    "characters of Chinese words": Divergence(
        "gopher_repetition.too_many_duplicate_5grams",
        "duplicate_5gram_fraction",
        0.1,
        "人民共和国万岁，中华人民共和国成立了，人民共和国万岁",
        False,
        "zh",
    ),
    "white space after the end mark": Divergence(
        "fineweb.too_few_punctuated_lines", "punctuated_line_fraction", 0.5, "It ends here. \nand this not", True
    ),
    "white space is part of a short line": Divergence(
        "fineweb.too_many_short_lines", "short_line_fraction", 0.4, " " * 8 + "x" * 25 + "\n" + PROSE, False
    ),
    "duplicate lines with their white space": Divergence(
        "fineweb.too_many_chars_in_duplicate_lines", "duplicate_line_char_fraction", 0.2, "one two\n one two", False
    ),
    "more words to divide newlines by": Divergence(
        "fineweb.too_many_newlines", "newlines_per_word", 0.2, "One, two.\nThree, four.", False
    ),
    "fewer words to divide newlines by": Divergence(
        "fineweb.too_many_newlines", "newlines_per_word", 0.3, "中国人民\n共和国", True, "zh"
    ),
    "a Chinese line is one word": Divergence(
        "c4.too_few_sentences", "sentence_count", 1, "磨坊在河边，一直为山谷里的人磨面。", True, "zh"
    ),
    "a blank that a citation leaves": Divergence(
        "c4.too_few_sentences", "sentence_count", 1, "The mill grinds corn. [1]", True
    ),
    "a mark within a sentence": Divergence(
        "c4.too_few_sentences", "sentence_count", 2, "He said (why not?) that he would come.", False, by_sentences=True
    ),
}


@pytest.fixture(scope="module")
def theirs() -> dict[str, bool | None]:
    pages = [Document(case.language, case.text) for case in DIVERGENCES.values()]
    cases = [Case(n, case.rule, case.threshold) for n, case in enumerate(DIVERGENCES.values())]
    return dict(zip(DIVERGENCES, peers_verdicts(pages, cases, our_words=False)[0], strict=True))


def dropped(case: Divergence, *, compat: bool) -> bool:
    name = f"{case.rule.split('.')[0]}.{case.metric}"
    value = measure([case.text], stages(case.language, compat=compat))[name][0].as_py()
    smallest_kept = case.metric in ("alpha_word_fraction", "word_count", "mean_word_length", "stop_word_count")
    smallest_kept |= case.metric in ("punctuated_line_fraction", "sentence_count")
    return value < case.threshold if smallest_kept else value > case.threshold


@pytest.mark.parametrize("name", DIVERGENCES)
def test_datatrove_differs(name: str, theirs: dict[str, bool | None]) -> None:
    case = DIVERGENCES[name]
    assert theirs[name] == case.theirs
    assert dropped(case, compat=False) != case.theirs


@pytest.mark.parametrize("name", [name for name, case in DIVERGENCES.items() if not case.by_sentences])
def test_with_its_formulas_and_words_we_agree(name: str, theirs: dict[str, bool | None]) -> None:
    assert dropped(DIVERGENCES[name], compat=True) == theirs[name]
