"""Global stages decided again where some rows are there only perhaps: who makes whom leave.

A row is *sure*, there in any case, or only *possible*. Every function tells who leaves in any case (`gone`) and who
stays in one case and leaves in another (`unsure`), and does so with plain arrays: nothing is read here.
"""

from collections.abc import Callable

import numpy as np

from dedup.documents import DOCUMENT
from dedup.lsh.bucket_pairs import SMALL_BUCKET
from dedup.lsh.leaders import choose


def equal_rows(groups: np.ndarray, sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(gone, unsure), bool[rows]: the first of a group stays; `groups` ascends, and a group is in keep order."""
    first = np.searchsorted(groups, groups)
    sure_before = np.cumsum(sure) - sure
    sure_before -= sure_before[first]
    return sure_before > 0, (np.arange(len(groups)) > first) & (sure_before == 0)


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
    for end, other in (("kept", "other"), ("other", "kept")):  # who comes perhaps, and then meets one that is there
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


def best_rows(
    values: np.ndarray,
    sure: np.ndarray,
    kept_fraction: float,
    ids: Callable[[np.ndarray], np.ndarray],
    num_unknown: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """(gone, unsure), bool[rows]: of n rows that are there the best `kept_fraction` × n stay; equals go by id.

    `num_unknown` more rows are there perhaps, with any value or none; `ids` gives u64[rows, 2] of rows that tie. With
    every row that comes, n × `kept_fraction` grows by no more than 1: one that is better never helps a row to stay, a
    worse one never hurts it. So all better ones and no worse ones are the worst case for a row, the reverse the best.
    """
    order = _best_first(values, ids)
    maybe = ~sure[order]
    sure_better, maybe_better = np.cumsum(~maybe) - ~maybe, np.cumsum(maybe) - maybe
    num_sure = int(np.count_nonzero(sure))
    maybe_worse = len(values) - num_sure - maybe_better - maybe

    def stays(better: np.ndarray, rows: np.ndarray) -> np.ndarray:
        kept: np.ndarray = better < ((num_sure + maybe + rows) * kept_fraction + 0.5).astype(np.int64)
        return kept

    at_worst = stays(sure_better + maybe_better + num_unknown, maybe_better + num_unknown)
    at_best = stays(sure_better, maybe_worse + num_unknown)
    gone, unsure = np.zeros((2, len(values)), np.bool_)
    gone[order], unsure[order] = ~at_best, at_best & ~at_worst
    return gone, unsure


def _best_first(values: np.ndarray, ids: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Rows by falling value; equals by their ids, which are asked for these alone."""
    order = np.argsort(-values, kind="stable")
    equal = np.diff(values[order]) == 0
    places = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    rows = order[places]
    tied = ids(rows)
    order[places] = rows[np.lexsort((tied[:, 1], tied[:, 0], -values[rows]))]
    return order


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
