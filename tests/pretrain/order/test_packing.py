from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pretrain.order.packing import NO_LABEL, fill, pack
from shards.tokens import TRAIN, TokenDocuments

LENGTHS = st.lists(st.integers(0, 120), max_size=60)


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


def test_labels_never_come_from_another_document(tokens: Path) -> None:
    documents = TokenDocuments(tokens / "en", TRAIN)
    packing = pack(documents.num_tokens - 1, 64)
    rows = range(packing.num_rows)
    ids, labels, positions = fill(documents, packing, rows)
    boundaries = continued = 0
    for row in rows:
        at = 0
        for document, start, end in packing.segments(row):
            own, whole = slice(at, at + end - start), documents.tokens(document, 0, documents.num_tokens[document])
            assert (ids[row, own] == whole[start:end]).all()
            assert (labels[row, own] == whole[start + 1 : end + 1]).all()
            assert (positions[row, own] == np.arange(end - start)).all()
            boundaries += at > 0
            continued += start > 0
            at = own.stop
        assert (labels[row, at:] == NO_LABEL).all()
        assert (positions[row, at:] == np.arange(64 - at)).all()
    assert boundaries > 20
    assert continued > 20
    assert (labels != NO_LABEL).sum() == (documents.num_tokens - 1).sum()
