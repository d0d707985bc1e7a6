"""Global stages over rows of which some are only possible, against every case that there can be."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dedup.lsh.edge_runs import EDGE
from dedup.lsh.replay import connected_rows
from dedup.replay import equal_rows
from dedup.top_share import best_rows

Rows = list[tuple[float, bool]]  # value, whether it is there for sure


def plainly_kept(values: dict[int, float], kept_fraction: float) -> set[int]:
    """`top_share` of rows that are all there; the row is its id."""
    best = sorted(values, key=lambda row: (-values[row], row))
    return set(best[: int(len(values) * kept_fraction + 0.5)])


@given(
    rows=st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), max_size=6),
    kept_fraction=st.sampled_from([0.001, 0.1, 0.3, 0.5, 0.9, 1.0]),
    num_unknown=st.integers(0, 2),
)
def test_the_best_rows_are_those_of_all_cases_together(rows: Rows, kept_fraction: float, num_unknown: int) -> None:
    values, sure = np.array([value for value, _ in rows]), np.array([sure for _, sure in rows], np.bool_)
    gone, unsure = best_rows(
        values, sure, kept_fraction, lambda tied: np.stack([np.zeros_like(tied), tied], axis=1), num_unknown
    )
    fates: list[set[bool]] = [set() for _ in rows]
    strangers = product([None, -1.0, 2.0], repeat=num_unknown)  # away or without a value, worse, better than all
    for others, there in product(list(strangers), product([False, True], repeat=len(rows))):
        present = {row: values[row] for row in range(len(rows)) if sure[row] or there[row]}
        known = {len(rows) + i: value for i, value in enumerate(others) if value is not None}
        kept = plainly_kept(present | known, kept_fraction)
        for row in present:
            fates[row].add(row in kept)
    assert [fate == {False} for fate in fates] == gone.tolist()
    assert [len(fate) == 2 for fate in fates] == unsure.tolist()


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=6))
def test_of_equals_the_first_that_is_there_stays(rows: list[tuple[int, bool]]) -> None:
    rows.sort(key=lambda row: row[0])
    groups, sure = np.array([group for group, _ in rows], int), np.array([sure for _, sure in rows], np.bool_)
    gone, unsure = equal_rows(groups, sure)
    fates: list[set[bool]] = [set() for _ in rows]
    for there in product([False, True], repeat=len(rows)):
        present = [row for row in range(len(rows)) if sure[row] or there[row]]
        firsts = {groups[row]: row for row in reversed(present)}
        for row in present:
            fates[row].add(firsts[groups[row]] == row)
    assert [fate == {False} for fate in fates] == gone.tolist()
    assert [len(fate) == 2 for fate in fates] == unsure.tolist()


def plainly_connected(present: set[int], edges: list[tuple[int, int]]) -> set[int]:
    """Those that stay of components of rows in keep order."""
    component = {row: {row} for row in present}
    for a, b in edges:
        if {a, b} <= present:
            joined = component[a] | component[b]
            component |= dict.fromkeys(joined, joined)
    return {row for row in present if min(component[row]) == row}


@given(
    st.lists(st.sampled_from(["sure", "perhaps", "gone"]), min_size=1, max_size=6),
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
    st.permutations(range(6)),
)
def test_of_a_component_the_first_that_is_there_stays(
    rows: list[str], pairs: set[tuple[int, int]], places: list[int]
) -> None:
    """Rows are numbered in keep order, and stand in any."""
    edges = sorted((a, b) for a, b in pairs if a < b < len(rows))
    place = np.argsort(np.argsort(places[: len(rows)]))  # of each row
    rank = np.empty(len(rows), np.int64)
    rank[place] = np.arange(len(rows))
    stored = np.zeros(len(edges), EDGE)
    stored["first"], stored["second"] = (place[[edge[end] for edge in edges]] for end in (0, 1)) if edges else ([], [])
    states = np.array(rows)[rank]
    gone, unsure, _ = connected_rows(stored, rank, states == "sure", states != "gone")
    fates: list[set[bool]] = [set() for _ in rows]
    for there in product([False, True], repeat=len(rows)):
        present = {row for row, state in enumerate(rows) if state == "sure" or (state == "perhaps" and there[row])}
        kept = plainly_connected(present, edges)
        for row in present:
            fates[row].add(row in kept)
    assert [fates[row] == {False} for row in rank.tolist()] == gone.tolist()
    assert [len(fates[row]) == 2 for row in rank.tolist()] == unsure.tolist()
