import json
from functools import reduce
from operator import add

from hypothesis import given
from hypothesis import strategies as st

from shards.stats import Stats

counts = st.dictionaries(
    st.sampled_from(["documents/input", "dropped/a.b", "dropped/c", "funnel/x/bytes"]), st.integers(0, 2**70)
)
stats = counts.map(Stats)


@given(stats, stats, stats)
def test_stats_are_a_commutative_monoid(a: Stats, b: Stats, c: Stats) -> None:
    assert a + Stats() == a
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert Stats.sum([a, b, c]) == reduce(add, [a, b, c], Stats())


@given(stats)
def test_json_is_exact_also_for_counts_above_2_to_the_53(a: Stats) -> None:
    assert Stats.from_json(json.loads(json.dumps(a.to_json()))) == a


def test_below_gives_what_follows_the_prefix() -> None:
    assert Stats({"dropped/a": 1, "dropped/b.c": 2, "droppedx/d": 3}).below("dropped") == {"a": 1, "b.c": 2}
