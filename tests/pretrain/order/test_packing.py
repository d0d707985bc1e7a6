import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.order.packing import Kind, pack, pack_weighted

LENGTHS = st.lists(st.integers(0, 120), max_size=60)
WEIGHTED = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 5)), max_size=40)  # (length, weight)


def plain_best_fit(lengths: list[int], capacity: int) -> list[int]:
    """Row of each piece, longest pieces first; among rows of equal room the one that was filled last."""
    rows: list[tuple[int, int]] = []  # (free, time of last change)
    chosen = []
    for time, length in enumerate(lengths):
        fitting = [(free, -changed, row) for row, (free, changed) in enumerate(rows) if free >= length]
        row = min(fitting)[2] if fitting else len(rows)
        if not fitting:
            rows.append((capacity, time))
        rows[row] = (rows[row][0] - length, time)
        chosen.append(row)
    return chosen


@given(LENGTHS, st.integers(1, 50))
def test_every_prediction_stands_in_exactly_one_row(lengths: list[int], row_length: int) -> None:
    packing = pack(np.array(lengths, np.int64), row_length)
    seen = [np.zeros(length, int) for length in lengths]
    for row in range(packing.num_rows):
        segments = packing.segments(row)
        assert 0 < sum(end - start for _, start, end in segments) <= row_length
        assert len(segments) < packing.max_segments or len(segments) + 1 == packing.max_segments
        for document, start, end in segments:
            seen[document][start:end] += 1
    assert all((times == 1).all() for times in seen)


def plain_pieces(lengths: list[int], row_length: int) -> list[tuple[int, int, int]]:
    pieces = [
        (document, start, min(start + row_length, length))
        for document, length in enumerate(lengths)
        for start in range(0, length, row_length)
    ]
    return sorted(pieces, key=lambda piece: piece[1] - piece[2])


@given(LENGTHS, st.integers(1, 50))
def test_the_kernel_packs_as_the_plain_algorithm_does(lengths: list[int], row_length: int) -> None:
    """As long as nothing has to be cut: the unfilled ends are less than a row, or no two rows have room."""
    pieces = plain_pieces(lengths, row_length)
    rows: dict[int, list[tuple[int, int, int]]] = {}
    for piece, row in zip(pieces, plain_best_fit([end - start for _, start, end in pieces], row_length), strict=True):
        rows.setdefault(row, []).append(piece)
    packing = pack(np.array(lengths, np.int64), row_length, max_segments=1000)
    if len(rows) * row_length - sum(lengths) < row_length:
        assert [packing.segments(row) for row in range(packing.num_rows)] == [rows[row] for row in range(len(rows))]
    assert packing.num_rows <= len(rows)


@given(LENGTHS, st.integers(1, 50), st.sampled_from(["best_fit", "concatenate"]), st.integers(1, 6))
def test_no_row_has_more_segments_than_the_limit_or_is_empty_and_nothing_is_lost(
    lengths: list[int], row_length: int, kind: Kind, limit: int
) -> None:
    packing = pack(np.array(lengths, np.int64), row_length, kind=kind, max_segments=limit)
    seen = [np.zeros(length, int) for length in lengths]
    for row in range(packing.num_rows):
        segments = packing.segments(row)
        assert 1 <= len(segments) <= limit
        assert sum(end - start for _, start, end in segments) <= row_length
        assert len({document for document, _, _ in segments}) == len(segments), "a row has a document twice"
        for document, start, end in segments:
            seen[document][start:end] += 1
    assert all((times == 1).all() for times in seen)


@given(LENGTHS, st.integers(1, 50), st.integers(1, 6))
def test_concatenated_documents_stand_in_their_order_and_rows_end_full_or_at_the_limit(
    lengths: list[int], row_length: int, limit: int
) -> None:
    packing = pack(np.array(lengths, np.int64), row_length, kind="concatenate", max_segments=limit)
    expected: list[list[tuple[int, int, int]]] = []
    free = count = 0
    for document, length in enumerate(lengths):
        start = 0
        while start < length:
            if not free or count == limit:
                expected.append([])
                free, count = row_length, 0
            end = min(length, start + free)
            expected[-1].append((document, start, end))
            free, count, start = free - (end - start), count + 1, end
    assert [packing.segments(row) for row in range(packing.num_rows)] == expected


@pytest.mark.parametrize("kind", ["best_fit", "concatenate"])
@pytest.mark.parametrize(
    "lengths",
    [
        np.random.default_rng(0).lognormal(6, 1.2, 30_000),  # as of web pages
        np.random.default_rng(0).lognormal(4.2, 1.2, 160_000),  # many short ones: the limit would close rows early
        np.random.default_rng(0).integers(1200, 1700, 12_000),  # no two of them fit into a row
    ],
    ids=["web", "short", "lumpy"],
)
def test_ten_thousand_rows_are_full_and_the_limit_costs_less_than_a_thousandth(lengths: np.ndarray, kind: Kind) -> None:
    lengths = lengths.astype(np.int64) + 1

    def fill(max_segments: int) -> float:
        packing = pack(lengths, 2048, kind=kind, max_segments=max_segments)
        return float(lengths.sum() / (packing.num_rows * 2048))

    assert fill(64) > max(0.999, fill(10**6) - 0.001)


def test_best_fit_cuts_no_more_documents_than_it_must() -> None:
    lengths = np.random.default_rng(0).lognormal(4.2, 1.2, 160_000).astype(np.int64) + 1
    packing = pack(lengths, 2048)
    needed = -(-lengths // 2048)
    assert len(packing.document) < 1.001 * needed.sum()


@given(WEIGHTED, st.integers(1, 50))
def test_every_prediction_stands_in_as_many_rows_as_the_weight_says(
    documents: list[tuple[int, int]], row_length: int
) -> None:
    lengths, weights = np.array(documents, np.int64).reshape(-1, 2).T
    packing = pack_weighted(lengths, weights, row_length)
    seen = [np.zeros(length, int) for length in lengths]
    for row in range(packing.num_rows):
        segments = packing.segments(row)
        assert 0 < sum(end - start for _, start, end in segments) <= row_length
        assert len({document for document, _, _ in segments}) == len(segments), "a row has a document twice"
        for document, start, end in segments:
            seen[document][start:end] += 1
    assert all((times == weight).all() for times, weight in zip(seen, weights, strict=True))


@given(st.lists(st.integers(0, 120), max_size=40), st.integers(1, 50))
def test_weights_of_1_change_nothing(lengths: list[int], row_length: int) -> None:
    sizes = np.array(lengths, np.int64)
    weighted, plain = pack_weighted(sizes, np.ones_like(sizes), row_length), pack(sizes, row_length)
    assert weighted.num_rows == plain.num_rows
    for row in range(plain.num_rows):
        assert weighted.segments(row) == plain.segments(row)
