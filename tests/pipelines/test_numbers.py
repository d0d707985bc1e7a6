"""Numbers as people read them."""

import pytest

from pipelines.numbers import counted, number, percent, share, size


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (12345, "12,345"), (3.0, "3"), (0.12345, "0.123"), (1234.5, "1,234"), (-2.5, "-2.5")],
)
def test_a_number_is_whole_or_has_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 documents"), (1, "1 document"), (2000, "2,000 documents")])
def test_a_noun_agrees_with_its_number(value: int, text: str) -> None:
    assert counted(value, "document") == text


def test_a_share_of_nothing_is_no_number() -> None:
    assert (share(1, 4), share(1, 0), share(None, 4), share(1, None)) == (0.25, None, None, None)
    assert (percent(0.1234), percent(0.1234, 2), percent(None)) == ("12.3 %", "12.34 %", "–")


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(999, "999 bytes"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (3e9, "3.0 GB"), (4e15, "4,000.0 TB")],
)
def test_sizes_are_in_powers_of_a_thousand(num_bytes: float, text: str) -> None:
    assert size(num_bytes) == text
