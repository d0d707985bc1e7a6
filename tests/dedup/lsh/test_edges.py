"""Buckets and comparisons against plain Python."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from dedup_cases import make_row
from hypothesis import given
from hypothesis import strategies as st

from dedup.buckets import buckets
from dedup.lsh.bucket_pairs import MAX_LEADERS, SMALL_BUCKET, compare_buckets, jaccard
from dedup.lsh.edges import edge_tasks
from dedup.minhash import MinHashConfig


def u32(values: set[int]) -> np.ndarray:
    return np.array(sorted(values), np.uint32)


small_sets = st.sets(st.integers(0, 30), min_size=1, max_size=25)


@given(small_sets, small_sets, st.sampled_from([0.01, 0.5, 2 / 3, 0.75, 0.8, 1.0]))
def test_jaccard_is_exact_from_the_threshold_on(a: set[int], b: set[int], threshold: float) -> None:
    true = len(a & b) / len(a | b)
    found = jaccard(u32(a), u32(b), threshold)
    assert found == true if true >= threshold else found < threshold


@pytest.mark.parametrize("size", [1, 3, 7, 100, 997])
def test_jaccard_keeps_the_pair_that_lies_on_the_threshold(size: int) -> None:
    a, b = u32(set(range(3 * size))), u32(set(range(4 * size)))
    assert jaccard(a, b, 0.75) == 0.75


@given(st.lists(st.integers(0, 5), max_size=40))
def test_buckets_are_the_keys_that_occur_twice(keys: list[int]) -> None:
    expected = defaultdict(set)
    for number, key in enumerate(keys):
        expected[key].add(number)
    members, sizes = buckets(np.array(keys, np.uint64))
    found = np.split(members, np.cumsum(sizes)[:-1]) if len(sizes) else []
    assert sorted(map(sorted, (f.tolist() for f in found))) == sorted(
        sorted(e) for e in expected.values() if len(e) > 1
    )


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
def test_comparing_buckets_equals_plain_python(groups: list[list[set[int]]]) -> None:
    firsts = np.cumsum([0, *map(len, groups)])
    expected = {}
    for first, sets in zip(firsts.tolist(), groups, strict=False):
        expected |= plain_edges(first, sets, 0.6)
    found, crowded = compare([len(sets) for sets in groups], [s for sets in groups for s in sets], 0.6)
    assert found == expected
    assert not any(crowded)


def test_a_small_bucket_compares_all_pairs_and_a_large_one_only_with_leaders() -> None:
    size = SMALL_BUCKET
    assert len(compare([size], [{1, 2, 3}] * size, 0.75)[0]) == size * (size - 1) // 2
    found, _ = compare([size + 1], [{1, 2, 3}] * (size + 1), 0.75)
    assert set(found) == {(0, k) for k in range(1, size + 1)}


def test_more_unlike_documents_than_leaders_in_a_bucket_are_told() -> None:
    unlike = [{k} for k in range(MAX_LEADERS)]
    assert compare([MAX_LEADERS], unlike, 0.75) == ({}, [False])
    assert compare([MAX_LEADERS + 1], [*unlike, {99}], 0.75) == ({}, [True])
    found, crowded = compare([MAX_LEADERS + 3], [*unlike, {99}, {99}, {5}], 0.75)
    assert found == {(5, MAX_LEADERS + 2): 1.0}, "the surplus is still compared with the leaders"
    assert crowded == [True]


def test_a_crowded_bucket_becomes_an_alarm_that_names_a_document(make_units, resolve, tmp_path: Path) -> None:
    rows = [make_row(k, f"this is what all share {k} {k} {k} {k} {k}") for k in range(2_000)]
    assert not resolve(MinHashConfig(name="near", bands=1, rows=1, ngram=5), make_units(rows))
    (alarm,) = json.loads((tmp_path / "out" / "alarms.json").read_text())
    assert alarm["alarm"] == "bucket with too many unlike documents"
    assert alarm["documents"] > MAX_LEADERS
    assert alarm["example"] in {row["id"] for row in rows}


@pytest.mark.parametrize("documents", [0, 1, 20_000, 10**7])
@pytest.mark.parametrize("memory", [10**7, 10**9])
def test_every_key_is_in_one_task_and_no_task_holds_more_than_its_memory(documents: int, memory: int) -> None:
    tasks = edge_tasks(450, documents, memory)
    for band in (0, 1, 17, 448, 449):
        of_band = [task for task in tasks if task.first_band <= band < task.end_band]
        assert [task.prefix for task in of_band] == list(range(of_band[0].num_prefixes))
    held = [(t.end_band - t.first_band) * documents // t.num_prefixes * 8 for t in tasks]
    assert max(held) < memory / 4


def test_small_inputs_are_few_tasks() -> None:
    assert len(edge_tasks(450, 20_000, 10**9)) == 2
