"""Near-duplicates decided again over stored edges, where some rows are only perhaps in the run.

A row is *sure*, in the run in any case, or only *possible*. Each function takes plain arrays and says which rows are
removed in any case and which stay in one case and are removed in another; nothing is read here.
"""

import numpy as np

from dedup.documents import DOCUMENT
from dedup.lsh.bucket_pairs import SMALL_BUCKET
from dedup.lsh.leaders import choose


def near_rows(
    edges: np.ndarray, ids: np.ndarray, sure: np.ndarray, possible: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gone, unsure, uncompared), bool[rows], of leaders once more over the verified pairs `edges` of row places.

    Members of a large bucket were compared with its leader alone: without it they may be alike, and are `uncompared`.
    """
    removed = _removed(edges, ids, sure)
    perhaps = _removed(edges, ids, possible)  # when those come too that are there perhaps
    led = np.zeros(len(ids), np.bool_)
    led[edges["second"][(sure & ~removed & ~perhaps)[edges["first"]]]] = True
    gone = np.where(sure, removed & perhaps, possible & led)
    left = possible & ~gone
    _, leader, sizes = np.unique(edges["first"], return_inverse=True, return_counts=True)
    lost = np.zeros(len(ids), np.bool_)
    lost[edges["second"][(sizes[leader] >= SMALL_BUCKET) & ~left[edges["first"]]]] = True
    return gone, removed != perhaps, lost & left


def connected_rows(
    edges: np.ndarray, rank: np.ndarray, sure: np.ndarray, possible: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gone, unsure, uncompared) as of `near_rows`, of connected components: all but the first in `rank` leave.

    A row more only joins components: who is not first stays so. So the fewest and the most rows are all cases.
    """
    first = _first_of_component(edges, rank, sure)
    gone = sure & (first < rank)
    for end, other in (("first", "second"), ("second", "first")):  # who comes perhaps, and then meets one that is there
        meets = sure[edges[end]] & (first[edges[end]] < rank[edges[other]])
        gone[edges[other][meets]] = True
    gone &= possible
    unsure = possible & ~gone & (_first_of_component(edges, rank, possible) < rank)
    _, leader, sizes = np.unique(edges["first"], return_inverse=True, return_counts=True)
    lost = np.zeros(len(rank), np.bool_)
    lost[edges["second"][(sizes[leader] >= SMALL_BUCKET) & ~sure[edges["first"]]]] = True
    return gone, unsure, lost & possible & ~gone


def _first_of_component(edges: np.ndarray, rank: np.ndarray, present: np.ndarray) -> np.ndarray:
    """i64[rows]: the least rank that each row is connected with through rows that are `present`."""
    edges = edges[present[edges["first"]] & present[edges["second"]]]
    row_of_rank = np.argsort(rank)
    first = rank.copy()
    while True:
        least = np.minimum(first[edges["first"]], first[edges["second"]])
        lower = first.copy()
        np.minimum.at(lower, edges["first"], least)
        np.minimum.at(lower, edges["second"], least)
        lower = np.minimum(lower, lower[row_of_rank[lower]])
        if np.array_equal(first, lower):
            return first
        first = lower


def _removed(edges: np.ndarray, ids: np.ndarray, present: np.ndarray) -> np.ndarray:
    """bool[rows]: who leaves when the rows `present` are compared."""
    edges = edges[present[edges["first"]] & present[edges["second"]]]
    documents = np.zeros(len(ids), DOCUMENT)
    documents["id"] = ids
    documents["order"] = _levels(edges["first"], edges["second"], len(ids))
    removed = np.zeros(len(ids), np.bool_)
    removed[choose(edges, np.arange(len(ids)), documents)["second"]] = True
    return removed


def _levels(kept: np.ndarray, other: np.ndarray, num_documents: int) -> np.ndarray:
    """i64[documents]: numbers that ascend along every edge, which is in keep order: all that `choose` needs of it."""
    level = np.zeros(num_documents, np.int64)
    while True:
        raised = level.copy()
        np.maximum.at(raised, other, level[kept] + 1)
        if np.array_equal(raised, level):
            return level
        level = raised
