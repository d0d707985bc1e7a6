"""Near-duplicates decided again over stored edges, where some rows are only perhaps in the run.

A row is *sure*, in the run in any case, or only *possible*. Each function takes plain arrays and says which rows are
removed in any case and which stay in one case and are removed in another; nothing is read here.
"""

import numpy as np

from dedup.files.documents import DOCUMENT
from dedup.lsh.bucket_pairs import SMALL_BUCKET
from dedup.lsh.leaders import choose


def near_rows(
    edges: np.ndarray, ids: np.ndarray, sure: np.ndarray, possible: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(removed, unsure, uncompared), bool[rows]: representatives chosen again over the verified pairs `edges`.

    Edges join indices of rows. Members of a large bucket were compared with its first document alone: without it they
    may be similar to each other, and are `uncompared`.
    """
    with_sure = _removed(edges, ids, sure)
    with_possible = _removed(edges, ids, possible)
    represented = np.zeros(len(ids), np.bool_)
    represented[edges["second"][(sure & ~with_sure & ~with_possible)[edges["first"]]]] = True
    removed = np.where(sure, with_sure & with_possible, possible & represented)
    kept = possible & ~removed
    return removed, with_sure != with_possible, _compared_with_one(edges, ~kept) & kept


def connected_rows(
    edges: np.ndarray, rank: np.ndarray, sure: np.ndarray, possible: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(removed, unsure, uncompared) as of `near_rows`, of components: all but the first in `rank` are removed.

    One more row can only join components, and a row that is not first stays so. So the fewest and the most rows cover
    all cases.
    """
    first = _first_of_component(edges, rank, sure)
    removed = sure & (first < rank)
    # A row that is only possible is removed where it would meet a row that is there and comes before it.
    for end, other in (("first", "second"), ("second", "first")):
        meets = sure[edges[end]] & (first[edges[end]] < rank[edges[other]])
        removed[edges[other][meets]] = True
    removed &= possible
    unsure = possible & ~removed & (_first_of_component(edges, rank, possible) < rank)
    return removed, unsure, _compared_with_one(edges, ~sure) & possible & ~removed


def _compared_with_one(edges: np.ndarray, is_missing: np.ndarray) -> np.ndarray:
    """bool[rows]: members of a large bucket whose first document, by the mask, is not there to compare them with."""
    _, bucket, sizes = np.unique(edges["first"], return_inverse=True, return_counts=True)
    members = np.zeros(len(is_missing), np.bool_)
    members[edges["second"][(sizes[bucket] >= SMALL_BUCKET) & is_missing[edges["first"]]]] = True
    return members


def _first_of_component(edges: np.ndarray, rank: np.ndarray, present: np.ndarray) -> np.ndarray:
    """i64[rows]: the smallest rank that each row is connected with through rows that are `present`."""
    edges = edges[present[edges["first"]] & present[edges["second"]]]
    row_of_rank = np.argsort(rank)
    first = rank.copy()
    while True:
        smaller = np.minimum(first[edges["first"]], first[edges["second"]])
        lower = first.copy()
        np.minimum.at(lower, edges["first"], smaller)
        np.minimum.at(lower, edges["second"], smaller)
        lower = np.minimum(lower, lower[row_of_rank[lower]])
        if np.array_equal(first, lower):
            return first
        first = lower


def _removed(edges: np.ndarray, ids: np.ndarray, present: np.ndarray) -> np.ndarray:
    """bool[rows]: rows that are removed when the rows `present` are compared."""
    edges = edges[present[edges["first"]] & present[edges["second"]]]
    documents = np.zeros(len(ids), DOCUMENT)
    documents["id"] = ids
    documents["order"] = _levels(edges["first"], edges["second"], len(ids))
    removed = np.zeros(len(ids), np.bool_)
    removed[choose(edges, np.arange(len(ids)), documents)["second"]] = True
    return removed


def _levels(firsts: np.ndarray, seconds: np.ndarray, num_documents: int) -> np.ndarray:
    """i64[documents]: numbers that ascend along every edge, which is all that `choose` needs of the keep order."""
    level = np.zeros(num_documents, np.int64)
    while True:
        raised = level.copy()
        np.maximum.at(raised, seconds, level[firsts] + 1)
        if np.array_equal(raised, level):
            return level
        level = raised
