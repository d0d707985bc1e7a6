"""Numbers and their nouns."""

from pipelines.numbers import counted, percent_of


def test_a_noun_agrees_with_its_number() -> None:
    assert [counted(n, "document") for n in (0, 1, 2, 1234)] == [
        "0 documents",
        "1 document",
        "2 documents",
        "1,234 documents",
    ]


def test_a_share_of_nothing_is_a_dash() -> None:
    assert percent_of(0, 0) == "–"
    assert percent_of(1, 3) == "33.3%"
