"""Equal keys and words of the title. Other columns are in test_block_features."""

from collections import Counter

import numpy as np
from extraction_soup import feature_value
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.features.template_counts import counts_of


def test_title_overlap_is_of_the_pages_title() -> None:
    title = "<title>One &amp; two</title>"
    assert feature_value(f"{title}<p>One two<p>three", "title_overlap") == 1
    assert feature_value(f"{title}<p>One two<p>three", "title_overlap", 1) == 0


def test_title_overlap_ignores_the_title_of_a_picture() -> None:
    title = "<title>One two</title>"
    assert feature_value(f"<svg>{title}</svg><p>One two<p>three", "title_overlap") == 0


@settings(max_examples=100)
@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5) | st.sampled_from([k << 32 for k in range(9)])))
def test_counts_are_those_of_a_counter(keys: list[int]) -> None:
    counts = Counter(keys)
    assert counts_of(np.array(keys, np.uint64)).tolist() == [counts[key] for key in keys]
