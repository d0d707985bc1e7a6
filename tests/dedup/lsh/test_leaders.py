"""The choice of representatives equals a plain greedy choice on random graphs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.files.documents import DOCUMENT
from dedup.lsh import leaders
from dedup.lsh.edge_runs import EDGE
from dedup.lsh.leaders import choose


def documents_of(ids: list[int], orders: list[int]) -> np.ndarray:
    documents = np.zeros(len(ids), DOCUMENT)
    documents["address"], documents["order"] = np.arange(len(ids)), orders
    documents["id"][:, 1] = ids
    return documents


def fates(edges: list[tuple[int, int, float]], documents: np.ndarray) -> dict[int, tuple[int, float]]:
    numbers = np.arange(len(documents)) * 10
    array = np.array([(a * 10, b * 10, s) for a, b, s in edges], EDGE)
    return {
        int(e["second"]) // 10: (int(e["first"]) // 10, float(e["similarity"]))
        for e in choose(array, numbers, documents)
    }


def test_a_chain_does_not_grow() -> None:
    """a ~ b ~ c, and a does not resemble c: b is removed for a, and c is kept though its neighbour b is removed."""
    documents = documents_of([1, 2, 3], [0, 1, 2])
    assert fates([(0, 1, 0.8), (1, 2, 0.8)], documents) == {1: (0, 0.8)}


def test_the_twin_is_the_most_similar_kept_neighbour_and_ties_go_to_the_smaller_id() -> None:
    documents = documents_of([7, 3, 5, 9], [0, 1, 2, 3])
    assert fates([(0, 3, 0.8), (1, 3, 0.9), (2, 3, 0.9)], documents) == {3: (1, 0.9)}
    assert fates([(0, 1, 0.8), (0, 3, 0.8), (1, 3, 0.95)], documents) == {1: (0, 0.8), 3: (0, 0.8)}


graphs = st.integers(2, 12).flatmap(
    lambda n: st.tuples(
        st.permutations(range(n)),
        st.lists(st.integers(-2, 2), min_size=n, max_size=n),
        st.dictionaries(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] < p[1]),
            st.sampled_from([0.75, 0.8, 1.0]),
        ),
    )
)


@given(graphs)
def test_the_choice_equals_a_plain_greedy_one(graph: tuple[list[int], list[int], dict[tuple[int, int], float]]) -> None:
    ids, orders, pairs = graph
    documents = documents_of(ids, orders)
    rank = {d: (orders[d], ids[d]) for d in range(len(ids))}
    neighbours = {d: {b if a == d else a: s for (a, b), s in pairs.items() if d in (a, b)} for d in rank}
    expected: dict[int, tuple[int, float]] = {}
    for d in sorted(rank, key=rank.__getitem__):
        alive = [(-s, ids[a], a) for a, s in neighbours[d].items() if rank[a] < rank[d] and a not in expected]
        if alive:
            expected[d] = (min(alive)[2], -min(alive)[0])
    edges = [(*sorted(pair, key=rank.__getitem__), s) for pair, s in pairs.items()]
    assert fates(edges, documents) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaders, "_PLAIN_EDGES", -1)  # the compiled loop
        assert fates(edges, documents) == expected
