"""Keep policies as integers, and settings that contradict each other."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.keep import EARLIER, KeepBy
from dedup.minhash import MinHashConfig
from shards.errors import UserError


def order(by: KeepBy, **columns: pa.Array) -> list[int]:
    batch = pa.RecordBatch.from_pydict(columns)
    return by.order(np.arange(batch.num_rows, dtype=np.uint64), batch).tolist()


@given(st.lists(st.none() | st.floats(), min_size=1, max_size=8))
def test_best_sorts_by_falling_score_and_puts_null_and_nan_last(scores: list[float | None]) -> None:
    found = order(KeepBy("best", "s"), s=pa.array(scores, pa.float64()))
    plain = [(math.inf, 1) if s is None or math.isnan(s) else (-s, 0) for s in scores]
    for i in range(len(plain)):
        for k in range(len(plain)):
            assert (found[i] < found[k]) == (plain[i] < plain[k])
    assert min(found) > EARLIER, "documents of an index come before"


@given(st.lists(st.none() | st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=8))
def test_best_is_exact_for_integers_of_any_size(scores: list[int | None]) -> None:
    found = order(KeepBy("best", "s"), s=pa.array(scores, pa.int64()))
    plain = [2**63 if s is None else max(-s, -(2**63) + 2) for s in scores]
    for i in range(len(plain)):
        for k in range(len(plain)):
            assert (found[i] < found[k]) == (plain[i] < plain[k])


def test_source_follows_the_list_and_others_come_last() -> None:
    sources = pa.array(["web", "news", "books", None, "web"])
    found = order(KeepBy("source", source_priority=("books", "web")), source=sources)
    assert found == [1, 2, 0, 2, 1]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"keep": "best"}, "keep = 'best' needs `score`"),
        ({"keep": "source"}, "keep = 'source' needs `source_priority`"),
        ({"score": "quality.score"}, "keep = 'best' and `score` go together, and keep is 'longest'"),
        ({"keep": "best", "score": "s", "source_priority": ["a"]}, "go together, and keep is 'best'"),
        ({"keep": "source", "source_priority": ["a", "b", "a"]}, "names 'a' twice"),
        ({"keep": "oddest"}, "Input should be 'longest'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        MinHashConfig.parse({"name": "near", "bands": 14, "rows": 8} | values, "recipe.toml")
