import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pretrain.order.packing import pack, pack_weighted

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


@given(LENGTHS, st.integers(1, 50))
def test_the_kernel_packs_as_the_plain_algorithm_does(lengths: list[int], row_length: int) -> None:
    packing = pack(np.array(lengths, np.int64), row_length)
    pieces = [
        (document, start, min(start + row_length, length))
        for document, length in enumerate(lengths)
        for start in range(0, length, row_length)
    ]
    pieces.sort(key=lambda piece: piece[1] - piece[2])
    rows: dict[int, list[tuple[int, int, int]]] = {}
    for piece, row in zip(pieces, plain_best_fit([end - start for _, start, end in pieces], row_length), strict=True):
        rows.setdefault(row, []).append(piece)
    assert [packing.segments(row) for row in range(packing.num_rows)] == [rows[row] for row in range(len(rows))]


def test_rows_of_web_like_lengths_are_full() -> None:
    lengths = np.random.default_rng(0).lognormal(6, 1.2, 20_000).astype(np.int64) + 1
    packing = pack(lengths, 2048)
    assert lengths.sum() / (packing.num_rows * 2048) > 0.999


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
