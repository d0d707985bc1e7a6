"""Runs of edges are read back in parts that follow each other in keep order."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.files.documents import DOCUMENT, keep_order
from dedup.lsh.edge_runs import EDGE, EdgeRuns, save_run
from shards.errors import RunError

pairs = st.tuples(st.integers(0, 19), st.integers(0, 19)).filter(lambda p: p[0] != p[1])
runs_of_pairs = st.lists(st.lists(pairs, max_size=15), max_size=4)


def documents_with(orders: list[int]) -> tuple[np.ndarray, np.ndarray]:
    documents = np.zeros(len(orders), DOCUMENT)
    documents["order"], documents["address"] = orders, np.arange(len(orders))
    documents["id"] = (np.arange(len(orders)) * 7 % 5)[:, None]  # some are equal
    rank = np.empty(len(orders), np.int64)
    rank[keep_order(documents)] = np.arange(len(orders))
    return documents, rank


def save(folder: Path, runs: list[list[tuple[int, int]]], documents: np.ndarray, rank: np.ndarray) -> EdgeRuns:
    paths = [folder / f"{k}.npy" for k in range(len(runs))]
    for path, run in zip(paths, runs, strict=True):
        ends = [sorted(pair, key=rank.__getitem__) for pair in run]
        edges = np.array([(a, b, (a + b) / 40) for a, b in ends], EDGE)
        save_run(path, edges, rank, np.arange(20) * 3, documents)
    return EdgeRuns(paths)


@settings(max_examples=40, deadline=None)
@given(runs_of_pairs, st.lists(st.integers(-(2**63), 2**63 - 1) | st.just(4), min_size=20, max_size=20))
def test_parts_hold_each_pair_once_and_all_edges_of_a_document(
    runs: list[list[tuple[int, int]]], orders: list[int]
) -> None:
    documents, rank = documents_with(orders)
    expected = {tuple(sorted(pair, key=rank.__getitem__)) for run in runs for pair in run}
    with tempfile.TemporaryDirectory() as folder:
        found = save(Path(folder), runs, documents, rank)
        for max_edges in (1, 5, 1_000):
            parts = [part.copy() for part in found.parts(max_edges)]
            read = [(int(e["first"]) // 3, int(e["second"]) // 3) for part in parts for e in part]
            assert len(read) == len(expected)
            assert set(read) == expected
            assert all(e["similarity"] == (e["first"] + e["second"]) / 120 for part in parts for e in part)
            others = [{rank[e["second"] // 3] for e in part} for part in parts if len(part)]
            for before, after in itertools.pairwise(others):
                assert max(before) < min(after)


def test_parts_are_small() -> None:
    documents, rank = documents_with(list(range(20)))
    with tempfile.TemporaryDirectory() as folder:
        found = save(Path(folder), [[(a, a + 1) for a in range(19)]] * 3, documents, rank)
        sizes = [len(part) for part in found.parts(12)]
    assert sum(sizes) == 19
    assert max(sizes) <= 4, "twelve edges are read, each from three runs"


def test_a_run_cut_short_is_named_with_its_remedy(tmp_path: Path) -> None:
    documents, rank = documents_with(list(range(20)))
    found = save(tmp_path, [[(0, 1), (2, 3)]], documents, rank)
    path = tmp_path / "0.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(RunError, match=r"0\.npy: not a whole array.*delete .*/0\.\* and run"):
        list(found.parts(10))
