"""Selecting a whole column gives what selecting its values one by one gives."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import UserError
from shards.source import SourceConfig
from shards.where import Match, Wanted, mask, matches

TEXTS = st.sampled_from(["", "z", "zho", "zho,eng", "eng", "1", "é"])
INTEGERS = st.integers(-3, 3)
FLOATS = st.sampled_from([-1.5, 0.0, 1.0, 2.5, float("nan")])
NUMBERS = INTEGERS | st.sampled_from([-1.5, 0.0, 1.0, 2.5])
MATCHES = st.builds(Match, begins=st.none() | TEXTS, min=st.none() | NUMBERS, max=st.none() | NUMBERS)
ONE = TEXTS | NUMBERS | st.booleans() | MATCHES
COLUMNS = st.one_of(
    *(st.lists(st.none() | kind, max_size=8) for kind in (TEXTS, INTEGERS, FLOATS, st.booleans())),
)


@given(COLUMNS, ONE | st.lists(ONE, max_size=3).map(tuple))
def test_a_mask_is_the_match_of_each_value(values: list[Any], wanted: Wanted) -> None:
    column = pa.array(values)
    assert mask(column, wanted).tolist() == [matches(value, wanted) for value in values]


def test_a_first_language_begins_the_list() -> None:
    wanted = Match(begins="zho")
    assert matches("zho,eng", wanted)
    assert not matches("eng,zho", wanted)
    assert not matches(None, wanted)


def test_limits_are_selected_and_true_is_no_number() -> None:
    wanted = Match(min=1, max=2)
    assert [matches(value, wanted) for value in (0.9, 1, 2, 2.1, True, "1")] == [False, True, True, False, False, False]


def test_an_unknown_comparison_is_refused_with_its_key() -> None:
    with pytest.raises(UserError, match=r"where\.date"):
        SourceConfig.parse({"kind": "index", "where": {"date": {"after": "2024"}}}, "source.web")
