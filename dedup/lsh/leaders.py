"""Representatives without chains: a document is removed only for a kept one that it truly resembles.

    keep order:   a    b    c         edges: a–b, b–c         a ~ b ~ c, but a and c are dissimilar
                  │    │    └ its only neighbour b is removed: kept
                  │    └ has an edge to a, which is kept: removed, its representative (twin) is a
                  └ kept

So every removed page has a kept twin, and no chain of near-misses can join dissimilar documents (one peer lost 859,091
documents to one such cluster).
"""

from typing import TypeAlias

import numpy as np

from dedup.files.documents import keep_order
from shards.compiled import kernel

# Up to this many edges plain Python (.34 s a million) is faster than loading the compiled loop (.6 s a process).
_PLAIN_EDGES = 1 << 20

Numbers: TypeAlias = np.ndarray | list[int]


def choose(edges: np.ndarray, numbers: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """EDGE[removed]: for each removed document (`second`) the edge to its twin, the most similar kept neighbour.

    Of equally similar ones the smaller id is the twin. `documents` are those of `numbers`, all that occur in `edges`,
    ascending.
    """
    edges = edges.copy()
    for end in ("first", "second"):
        edges[end] = np.searchsorted(numbers, edges[end])
    removed = to_representatives(decision_order(edges, documents), np.zeros(len(numbers), np.bool_))
    for end in ("first", "second"):
        removed[end] = numbers[removed[end]]
    return removed


def decision_order(edges: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """`edges`, whose ends index `documents`, by keep order of the second; then the most similar first, then by id."""
    rank, by_id = np.empty((2, len(documents)), np.int64)
    rank[keep_order(documents)] = np.arange(len(documents))
    ids: np.ndarray = documents["id"]
    by_id[np.lexsort((ids[:, 1], ids[:, 0]))] = np.arange(len(documents))
    in_order: np.ndarray = edges[np.lexsort((by_id[edges["first"]], -edges["similarity"], rank[edges["second"]]))]
    return in_order


def to_representatives(edges: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Of each document's `edges`, in decision order, the first to a kept one; documents without one are kept.

    bool[documents] `removed` are those that an earlier part has removed.
    """
    firsts, seconds = edges["first"], edges["second"]
    twin_edges = np.where(removed, len(edges), -1)
    if len(edges) > _PLAIN_EDGES:
        _compiled(firsts, seconds, twin_edges)
    else:
        plain = twin_edges.tolist()
        _mark_twin_edges(firsts.tolist(), seconds.tolist(), plain)
        twin_edges = np.array(plain, np.int64)
    chosen: np.ndarray = edges[np.sort(twin_edges[(twin_edges >= 0) & (twin_edges < len(edges))])]
    return chosen


def _mark_twin_edges(firsts: Numbers, seconds: Numbers, twin_edges: Numbers) -> None:
    """twin_edges[d]: the first edge of d to a kept neighbour, -1 for kept documents."""
    for e in range(len(seconds)):
        if twin_edges[seconds[e]] < 0 and twin_edges[firsts[e]] < 0:
            twin_edges[seconds[e]] = e


_compiled = kernel(_mark_twin_edges)
