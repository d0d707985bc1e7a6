"""Losses by name against plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.dedup_losses import Losses
from pipelines.report.model import DomainLoss, SourceLoss

rows_of_losses = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(-1, 1), st.integers(0, 99), st.integers(0, 9)), max_size=30
)


@given(rows_of_losses, st.integers(0, 30))
def test_losses_are_sums_by_name(rows: list[tuple[str, int, int, int]], cut_at: int) -> None:
    losses = Losses(["near", "url"])
    for part in (rows[:cut_at], rows[cut_at:]):
        names, lost, chars, cut = zip(*part, strict=True) if part else ((), (), (), ())
        numbers = [np.array(values, np.int64) for values in (lost, chars, cut)]
        losses.add(names, numbers[0], numbers[1], {1: numbers[2]})
    found = {row.name: row for row in losses.rows(SourceLoss)}
    assert found.keys() == {row[0] for row in rows}
    total = sum(chars + cut for _, _, chars, cut in rows)
    for source, row in found.items():
        own = [r for r in rows if r[0] == source]
        near, url = row.stages
        assert near.lost_characters == sum(chars for _, lost, chars, _ in own if lost == 0)
        assert url.lost_characters == sum(chars * (lost == 1) + cut for _, lost, chars, cut in own)
        assert row.lost_documents == sum(lost >= 0 for _, lost, _, _ in own)
        assert row.documents_before == len(own)
        assert row.characters_before == sum(chars + cut for _, _, chars, cut in own)
        if total:
            assert row.share_of_characters_before == round(row.characters_before / total, 6)


def test_names_with_most_documents_survive_pruning_and_the_error_is_known() -> None:
    losses = Losses(["near"], limit=10)
    for number in range(200):
        losses.add(["often", "often", f"rare{number}"], np.array([0, -1, -1]), np.array([5, 5, 1]), {})
    (often,) = [row for row in losses.rows(DomainLoss) if row.name == "often"]
    assert often.documents_before <= 400 <= often.documents_before + losses.missed
    assert often.lost_documents > 150


def test_most_lost_characters_come_first_and_equals_by_name() -> None:
    losses = Losses(["near"])
    losses.add(["b", "a", "c"], np.array([0, 0, 0]), np.array([5, 5, 9]), {})
    assert [row.name for row in losses.rows(SourceLoss)] == ["c", "a", "b"]


def test_shares_of_nothing_are_none() -> None:
    losses = Losses(["near"])
    losses.add(["a"], np.array([0]), np.array([0]), {})
    (row,) = losses.rows(SourceLoss)
    assert (row.share_of_documents_before, row.share_of_documents_after) == (1.0, None)
    assert (row.share_of_characters_before, row.share_of_characters_after) == (None, None)
