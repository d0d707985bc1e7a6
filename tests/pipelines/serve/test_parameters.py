"""Addresses say what a query asks for, and come back as the same query."""

from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.serve.browse import Query, Range
from pipelines.serve.parameters import query_of, query_parameters
from shards.errors import UserError

texts = st.text().map(str.strip)
numbers = st.none() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
ranges = st.builds(Range, st.sampled_from(["a.b", "text_chars"]), numbers, numbers).filter(
    lambda of: (of.least, of.most) != (None, None)
)


@given(
    query=st.builds(Query, texts, texts, texts, texts, st.lists(ranges, max_size=3).map(tuple), texts, st.just(False)),
    page=st.integers(0, 10**9),
)
def test_parameters_make_the_same_query_again(query: Query, page: int) -> None:
    address = urlencode(query_parameters(query, page), errors="surrogatepass")
    assert query_of(parse_qs(address, keep_blank_values=True, errors="surrogatepass")) == (query, page)


def test_an_order_needs_a_column() -> None:
    assert query_of({"sort": ["a"], "order": ["down"]})[0] == Query(sort="a", descending=True)
    assert query_of({"sort": [""], "order": ["down"]})[0] == Query()


def test_an_empty_range_asks_for_nothing_and_a_wrong_one_is_refused() -> None:
    assert query_of({"column": ["a", ""], "least": ["", "1"], "most": ["", ""]})[0] == Query()
    for text in ("many", "nan", "1,5"):
        with pytest.raises(UserError, match=f"a: '{text}' is no number"):
            query_of({"column": ["a"], "least": [text], "most": [""]})
    assert query_of({"page": ["-1"]})[1] == 0
    assert query_of({"page": ["9" * 30]})[1] == 0
