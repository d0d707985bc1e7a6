from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_model import uneven_batch
from token_folder import write_token_folder

from pretrain.config import load_config
from pretrain.order.batch import NO_LABEL, Rows, fill
from pretrain.order.loader import Loader
from pretrain.order.packing import Packing, pack, pack_weighted
from pretrain.order.plan import make_plan
from shards.tokens import TRAIN, TokenDocuments


def test_labels_of_sources_are_those_of_their_rows(train_file: Callable[..., Path]) -> None:
    batch = Loader(make_plan(load_config(train_file(batch_size=8), {}))).batch(0)
    assert batch.labels_by_source(2).sum() == batch.num_labels == (batch.labels_BT != NO_LABEL).sum()


def test_squared_lengths_are_of_segments_and_unfilled_ends() -> None:
    assert uneven_batch().sum_squared_lengths() == (25 + 1 + 49 + 9) + 256 + (1 + 225) + (4 + 36 + 64)


Plain = tuple[np.ndarray, np.ndarray, np.ndarray]  # tokens, labels, positions


def plain_fill(documents: TokenDocuments, packing: Packing, rows: range) -> Plain:
    """Segment by segment, with slices of each document."""
    shape = len(rows), packing.row_length
    tokens, labels, positions = np.zeros(shape, int), np.full(shape, NO_LABEL), np.zeros(shape, int)
    for i, row in enumerate(rows):
        filled = 0
        for document, start, end in packing.segments(row):
            ids, own = documents.tokens(document, start, end + 1), slice(filled, filled + end - start)
            tokens[i, own], labels[i, own], positions[i, own] = ids[:-1], ids[1:], np.arange(end - start)
            for first, last in documents.masked(document, start + 1, end + 1):
                labels[i, filled + first : filled + last] = NO_LABEL
            filled = own.stop
        positions[i, filled:] = np.arange(packing.row_length - filled)
    return tokens, labels, positions


@pytest.mark.parametrize("vocab_size", [300, 100_000])
@pytest.mark.parametrize("row_length", [1, 2, 3, 5, 16])
def test_rows_of_masked_documents_are_those_of_the_plain_way(tmp_path: Path, vocab_size: int, row_length: int) -> None:
    documents = TokenDocuments(write_token_folder(tmp_path, vocab_size), TRAIN)
    packing = pack_weighted(documents.num_tokens - 1, documents.weights, row_length)
    rows = Rows.of(packing, documents.first_token)
    expected = plain_fill(documents, packing, range(packing.num_rows))
    batch = fill(documents.token_map(), rows, np.arange(packing.num_rows))
    for ours, plain in zip((batch.tokens_BT, batch.labels_BT, batch.positions_BT), expected, strict=True):
        assert (ours == plain).all()
    assert batch.num_labels == (expected[1] != NO_LABEL).sum()
    assert ((batch.positions_BT == 0).sum(axis=1) == batch.num_segments_B).all()


def test_labels_never_come_from_another_document(tokens: Path) -> None:
    documents = TokenDocuments(tokens / "en", TRAIN)
    packing = pack(documents.num_tokens - 1, 64)
    batch = fill(documents.token_map(), Rows.of(packing, documents.first_token), np.arange(packing.num_rows))
    expected = plain_fill(documents, packing, range(packing.num_rows))
    for ours, plain in zip((batch.tokens_BT, batch.labels_BT, batch.positions_BT), expected, strict=True):
        assert (ours == plain).all()
    segments = [segment for row in range(packing.num_rows) for segment in packing.segments(row)]
    assert len(segments) > packing.num_rows + 20
    assert sum(start > 0 for _, start, _ in segments) > 20
    assert batch.num_labels == (documents.num_tokens - 1).sum()
