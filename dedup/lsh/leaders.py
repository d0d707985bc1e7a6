"""Which documents stay: leaders, not chains.

    keep order:   a    b    c         edges: a–b, b–c         a ~ b ~ c, but a and c are unlike
                  │    │    └ its only neighbour b is gone: kept
                  │    └ has an edge to a, which is kept: removed, twin a
                  └ kept

A document is removed only for a kept one that truly resembles it, so a removed page always has a kept twin, and no
chain of near-misses can join unlike documents (one peer lost 859,091 documents to one such cluster).
"""

from typing import TypeAlias

import numpy as np

from dedup.documents import keep_order
from shards.compiled import kernel

# Up to so many edges plain Python (.34 s a million) is faster than loading the compiled loop (.6 s a process).
_PLAIN_EDGES = 1 << 20

Numbers: TypeAlias = np.ndarray | list[int]


def choose(edges: np.ndarray, numbers: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """EDGE[removed]: for each document that leaves, the edge to its twin, the most similar of its kept neighbours.

    Equal similarities go to the smaller id. `documents` are those of `numbers`, all that occur in `edges`, ascending.
    """
    edges = edges.copy()
    for end in ("kept", "other"):
        edges[end] = np.searchsorted(numbers, edges[end])
    removed = first_kept(decision_order(edges, documents), np.zeros(len(numbers), np.bool_))
    for end in ("kept", "other"):
        removed[end] = numbers[removed[end]]
    return removed


def decision_order(edges: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """`edges` between places in `documents` by keep order of the later; of one's the most similar first, then by id."""
    rank, by_id = np.empty((2, len(documents)), np.int64)
    rank[keep_order(documents)] = np.arange(len(documents))
    ids: np.ndarray = documents["id"]
    by_id[np.lexsort((ids[:, 1], ids[:, 0]))] = np.arange(len(documents))
    in_order: np.ndarray = edges[np.lexsort((by_id[edges["kept"]], -edges["similarity"], rank[edges["other"]]))]
    return in_order


def first_kept(edges: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """The first of each document's `edges`, which are in decision order, to one that stays; `gone` have left before."""
    kept, other = edges["kept"], edges["other"]
    twins = np.where(gone, len(edges), -1)
    if len(edges) > _PLAIN_EDGES:
        _compiled(kept, other, twins)
    else:
        plain = twins.tolist()
        _mark_first_kept(kept.tolist(), other.tolist(), plain)
        twins = np.array(plain, np.int64)
    chosen: np.ndarray = edges[np.sort(twins[(twins >= 0) & (twins < len(edges))])]
    return chosen


def _mark_first_kept(kept: Numbers, other: Numbers, twins: Numbers) -> None:
    """twins[d]: the first edge of d to a kept neighbour, -1 for the kept."""
    for e in range(len(other)):
        if twins[other[e]] < 0 and twins[kept[e]] < 0:
            twins[other[e]] = e


_compiled = kernel(_mark_first_kept)
