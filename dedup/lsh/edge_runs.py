"""Edges on disk: runs sorted by the keep order of the second document, read in parts that fit in memory.

    run 0   ·····│·········│···        a run is u64[5, edges]: order and upper half of the id of the second document,
    run 1   ··│····│·······            by which it is sorted; first, second and similarity
    run 2   ·······│···│·······
            part 0 │ part 1 │ …        all edges to a document are in one part, and those to documents before it
                                        are in it or in earlier parts

So it is decided part by part which documents are removed, with one byte a document to remember.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dedup.files.documents import load_npy, save_npy

EDGE = np.dtype([("first", "<i8"), ("second", "<i8"), ("similarity", "<f8")])  # document numbers, in keep order
Rank = tuple[np.uint64, np.uint64]
_SIGN = np.uint64(1 << 63)


def save_run(path: Path, edges: np.ndarray, rank: np.ndarray, numbers: np.ndarray, documents: np.ndarray) -> None:
    """Write `edges` (EDGE), each pair once.

    Their ends index `documents`, which have these `numbers` and, in keep order, these ranks.
    """
    pairs = rank[edges["second"]] * len(rank) + edges["first"]
    sorting = np.argsort(pairs)
    once = np.append(True, np.diff(pairs[sorting]) != 0)[: len(edges)]
    edges = edges[sorting[once]]
    later = documents[edges["second"]]
    order = np.ascontiguousarray(later["order"]).view(np.uint64) ^ _SIGN
    ends = (numbers[edges[end]].view(np.uint64) for end in ("first", "second"))
    similarity = np.ascontiguousarray(edges["similarity"]).view(np.uint64)
    save_npy(path, np.stack([order, later["id"][:, 0], *ends, similarity]))


@dataclass(frozen=True)
class EdgeRuns:
    """The runs of all tasks, read together."""

    paths: Sequence[Path]

    def parts(self, max_edges: int) -> Iterator[np.ndarray]:
        """EDGE of part after part, each pair once; no more than about `max_edges` are read for one."""
        cuts = self._cuts(max_edges)
        for lower, upper in zip([None, *cuts], [*cuts, None], strict=True):
            of_runs = [np.zeros(0, EDGE)]
            for path in self.paths:
                run = load_npy(path, np.dtype("<u8"))
                first = 0 if lower is None else _index_of(run, lower)
                end = run.shape[1] if upper is None else _index_of(run, upper)
                edges = np.empty(end - first, EDGE)
                for row, name in enumerate(EDGE.names or (), 2):
                    edges[name] = run[row, first:end].view(EDGE[name])
                of_runs.append(edges)
            yield _once(np.concatenate(of_runs))

    def _cuts(self, max_edges: int) -> list[Rank]:
        """Ranks that cut the runs: between two lie half of `max_edges` edges, and up to one step more of each run."""
        step = max(1, max_edges // (4 * max(1, len(self.paths))))
        samples, total = [np.zeros((2, 0), np.uint64)], 0
        for path in self.paths:
            run = load_npy(path, np.dtype("<u8"))
            samples.append(np.array(run[:2, ::step]))
            total += run.shape[1]
        if total <= max_edges:
            return []
        order, id_ = np.concatenate(samples, axis=1)
        sorting = np.lexsort((id_, order))[:: max(1, max_edges // 2 // step)]
        return sorted({(order[k], id_[k]) for k in sorting[1:]})


def _once(edges: np.ndarray) -> np.ndarray:
    """Drop pairs that several tasks have found; the product of two numbers fits for 3 × 10^9 documents."""
    if not len(edges):
        return edges
    pairs = edges["first"] * (edges["second"].max() + 1) + edges["second"]
    once: np.ndarray = edges[np.unique(pairs, return_index=True)[1]]
    return once


def _index_of(run: np.ndarray, rank: Rank) -> int:
    """The index of the first edge whose second document is not before `rank`."""
    first, end = (int(np.searchsorted(run[0], rank[0], side)) for side in ("left", "right"))
    return first + int(np.searchsorted(run[1, first:end], rank[1]))
