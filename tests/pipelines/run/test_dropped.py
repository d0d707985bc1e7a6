"""The texts that are kept of dropped documents are those of the smallest ids of each reason, however blocks come."""

import random

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.run.dropped import candidates, chosen_ids

Rows = list[tuple[int, str]]  # (id, first reason or "")


def of_block(rows: Rows, per_rule: int) -> dict[str, list[str]]:
    ids = pa.chunked_array([pa.array([f"{number:032x}" for number, _ in rows], pa.string())])
    reasons = [[reason, "another"] if reason else [] for _, reason in rows]
    return candidates(ids, pa.chunked_array([pa.array(reasons, pa.list_(pa.string()))]), per_rule)


@given(
    st.lists(st.tuples(st.integers(0, 2**128 - 1), st.sampled_from(["", "a", "b"])), unique_by=lambda row: row[0]),
    st.integers(0, 4),
    st.integers(1, 5),
)
def test_the_smallest_ids_of_each_reason_are_chosen(rows: Rows, per_rule: int, num_blocks: int) -> None:
    wanted = {f"{n:032x}" for reason in "ab" for n in sorted(n for n, r in rows if r == reason)[:per_rule]}
    blocks = [of_block(rows[k::num_blocks], per_rule) for k in range(num_blocks)]
    random.Random(len(rows)).shuffle(blocks)
    assert chosen_ids(iter(blocks), per_rule) == wanted


def test_no_candidates_are_named_where_all_texts_are_kept() -> None:
    assert of_block([(1, "a")], -1) == {}
