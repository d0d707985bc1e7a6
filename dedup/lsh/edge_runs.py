"""Edges on disk: runs sorted by the keep order of the later document, cut into parts that fit in memory.

    run 0   ·····│·········│···        a run is u64[5, edges]: order and upper half of the id of the later document,
    run 1   ··│····│·······            by which it is sorted; kept, other and similarity
    run 2   ·······│···│·······
            part 0 │ part 1 │ …        all edges to a document are in one part, and those to documents before it
                                        in it or in parts before

So who leaves can be decided part by part, with one byte a document to remember.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dedup.documents import load_npy, save_npy

EDGE = np.dtype([("kept", "<i8"), ("other", "<i8"), ("similarity", "<f8")])  # document numbers, in keep order
Rank = tuple[np.uint64, np.uint64]
_SIGN = np.uint64(1 << 63)


def save_run(path: Path, edges: np.ndarray, rank: np.ndarray, numbers: np.ndarray, documents: np.ndarray) -> None:
    """Write `edges` (EDGE), each pair once. They are between places in `documents`, which have these `numbers` and in
    keep order these ranks."""
    pairs = rank[edges["other"]] * len(rank) + edges["kept"]
    sorting = np.argsort(pairs)
    once = np.append(True, np.diff(pairs[sorting]) != 0)[: len(edges)]
    edges = edges[sorting[once]]
    later = documents[edges["other"]]
    order = np.ascontiguousarray(later["order"]).view(np.uint64) ^ _SIGN
    ends = (numbers[edges[end]].view(np.uint64) for end in ("kept", "other"))
    similarity = np.ascontiguousarray(edges["similarity"]).view(np.uint64)
    save_npy(path, np.stack([order, later["id"][:, 0], *ends, similarity]))


@dataclass(frozen=True)
class EdgeRuns:
    paths: Sequence[Path]

    def parts(self, max_edges: int) -> Iterator[np.ndarray]:
        """EDGE of part after part, each pair once; no more than about `max_edges` are read for one."""
        cuts = self._cuts(max_edges)
        for lower, upper in zip([None, *cuts], [*cuts, None], strict=True):
            found = [np.zeros(0, EDGE)]
            for path in self.paths:
                run = load_npy(path, np.dtype("<u8"))
                first = 0 if lower is None else _place(run, lower)
                end = run.shape[1] if upper is None else _place(run, upper)
                edges = np.empty(end - first, EDGE)
                for row, name in enumerate(EDGE.names or (), 2):
                    edges[name] = run[row, first:end].view(EDGE[name])
                found.append(edges)
            yield _once(np.concatenate(found))

    def _cuts(self, max_edges: int) -> list[Rank]:
        """Between two of these lie half of `max_edges` edges, and of each run less than a step more."""
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
    """Pairs that several tasks have found; the product of two numbers fits for 3 × 10^9 documents."""
    if not len(edges):
        return edges
    pairs = edges["kept"] * (edges["other"].max() + 1) + edges["other"]
    once: np.ndarray = edges[np.unique(pairs, return_index=True)[1]]
    return once


def _place(run: np.ndarray, rank: Rank) -> int:
    """Of the first edge whose later document is not before `rank`."""
    first, end = (int(np.searchsorted(run[0], rank[0], side)) for side in ("left", "right"))
    return first + int(np.searchsorted(run[1, first:end], rank[1]))
