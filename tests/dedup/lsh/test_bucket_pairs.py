"""Comparisons within buckets equal plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.lsh.bucket_pairs import (
    MAX_LEADERS,
    SMALL_BUCKET,
    compare_buckets,
    equal_positions,
    jaccard,
    pair_similarities,
)


def u32(values: set[int]) -> np.ndarray:
    return np.array(sorted(values), np.uint32)


small_sets = st.sets(st.integers(0, 30), min_size=1, max_size=25)


@given(small_sets, small_sets, st.sampled_from([0.01, 0.5, 2 / 3, 0.75, 0.8, 1.0]))
def test_jaccard_is_exact_from_the_threshold_on(a: set[int], b: set[int], threshold: float) -> None:
    true = len(a & b) / len(a | b)
    found = jaccard(u32(a), u32(b), threshold)
    assert found == true if true >= threshold else found < threshold


@pytest.mark.parametrize("size", [1, 3, 7, 100, 997])
def test_jaccard_keeps_a_pair_on_the_threshold(size: int) -> None:
    a, b = u32(set(range(3 * size))), u32(set(range(4 * size)))
    assert jaccard(a, b, 0.75) == 0.75


def compare(
    bucket_sizes: list[int], sets: list[set[int]], threshold: float
) -> tuple[dict[tuple[int, int], float], list]:
    starts = np.cumsum([0, *map(len, sets)])
    values = np.concatenate([u32(s) for s in sets])
    a, b, similarity, crowded = compare_buckets(
        np.arange(len(sets)),
        np.cumsum([0, *bucket_sizes]),
        values,
        starts,
        np.zeros(len(sets), np.bool_),
        threshold,
        False,
        SMALL_BUCKET,
    )
    return dict(zip(zip(a.tolist(), b.tolist(), strict=True), similarity.tolist(), strict=True)), crowded.tolist()


def plain_edges(first: int, sets: list[set[int]], threshold: float) -> dict[tuple[int, int], float]:
    edges, leaders = {}, []
    for b, values in enumerate(sets):
        near = {a: len(sets[a] & values) / len(sets[a] | values) for a in leaders}
        near = {a: similarity for a, similarity in near.items() if similarity >= threshold}
        edges |= {(first + a, first + b): similarity for a, similarity in near.items()}
        if (not near or len(sets) <= SMALL_BUCKET) and len(leaders) < MAX_LEADERS:
            leaders.append(b)
    return edges


@given(st.lists(st.lists(st.sets(st.integers(0, 4), min_size=1), min_size=2, max_size=25), min_size=1, max_size=3))
def test_comparing_buckets_equals_plain_python(buckets: list[list[set[int]]]) -> None:
    firsts = np.cumsum([0, *map(len, buckets)])
    expected = {}
    for first, sets in zip(firsts.tolist(), buckets, strict=False):
        expected |= plain_edges(first, sets, 0.6)
    found, crowded = compare([len(sets) for sets in buckets], [s for sets in buckets for s in sets], 0.6)
    assert found == expected
    assert not any(crowded)


def test_a_small_bucket_compares_all_pairs_and_a_large_one_only_with_leaders() -> None:
    size = SMALL_BUCKET
    assert len(compare([size], [{1, 2, 3}] * size, 0.75)[0]) == size * (size - 1) // 2
    found, _ = compare([size + 1], [{1, 2, 3}] * (size + 1), 0.75)
    assert set(found) == {(0, k) for k in range(1, size + 1)}


def test_a_bucket_with_more_dissimilar_documents_than_leaders_is_crowded() -> None:
    dissimilar = [{k} for k in range(MAX_LEADERS)]
    assert compare([MAX_LEADERS], dissimilar, 0.75) == ({}, [False])
    assert compare([MAX_LEADERS + 1], [*dissimilar, {99}], 0.75) == ({}, [True])
    found, crowded = compare([MAX_LEADERS + 3], [*dissimilar, {99}, {99}, {5}], 0.75)
    assert found == {(5, MAX_LEADERS + 2): 1.0}, "the surplus is still compared with the leaders"
    assert crowded == [True]


def test_similarities_of_pairs_are_jaccards_or_the_share_of_equal_positions() -> None:
    sets, starts = np.array([1, 2, 3, 4, 2, 3, 4, 5], np.uint32), np.array([0, 4, 8])
    first, second = np.array([0, 1]), np.array([1, 1])
    assert pair_similarities(first, second, sets, starts, False).tolist() == [3 / 5, 1.0]
    assert pair_similarities(first, second, sets, starts, True).tolist() == [0.0, 1.0]
    assert equal_positions(sets[:4], np.array([1, 9, 3, 4], np.uint32)) == 0.75
