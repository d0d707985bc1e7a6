import pytest
from datatrove_texts import texts
from hypothesis import given

from cleaners.datatrove.c4 import keep_sentences

C4 = {
    "line_ends": ".?!\"'",
    "min_words_per_line": 3,
    "max_word_chars": 12,
    "line_phrases": ("javascript", "use cookies"),
    "remove_citations": True,
}


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
        ("It is. [٣] said.", "It is.  said."),  # it had four words when they were counted
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
def test_lorem_ipsum_and_brackets_are_counted_in_the_order_of_the_published_rules(
    line: str, lorem_ipsum: int, brackets: int
) -> None:
    metrics = keep_sentences([line], **C4)[1]
    assert (metrics["lorem_ipsum_lines"][0], metrics["curly_bracket_lines"][0]) == (lorem_ipsum, brackets)


def test_a_kept_line_without_a_sentence_has_one() -> None:
    assert keep_sentences(["? ? ?\nIt is. It was."], **C4)[1]["sentence_count"][0] == 3
