"""Buckets equal a dictionary of keys."""

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dedup.files.buckets import buckets


@given(st.lists(st.integers(0, 5), max_size=40))
def test_buckets_are_the_keys_that_occur_twice(keys: list[int]) -> None:
    expected = defaultdict(set)
    for number, key in enumerate(keys):
        expected[key].add(number)
    members, sizes = buckets(np.array(keys, np.uint64))
    split = np.split(members, np.cumsum(sizes)[:-1]) if len(sizes) else []
    assert sorted(map(sorted, (part.tolist() for part in split))) == sorted(
        sorted(e) for e in expected.values() if len(e) > 1
    )
