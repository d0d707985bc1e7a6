from collections.abc import Callable
from pathlib import Path

import numpy as np
from tiny_model import uneven_batch

from pretrain.config import load_config
from pretrain.order.batch import NO_LABEL, fill
from pretrain.order.loader import Loader
from pretrain.order.packing import pack
from pretrain.order.plan import make_plan
from shards.tokens import TRAIN, TokenDocuments


def test_micro_batches_are_the_batch_in_order(train_file: Callable[..., Path]) -> None:
    batch = Loader(make_plan(load_config(train_file(batch_size=8), {}))).batch(0)
    parts = list(batch.split(3))
    assert [len(part.source_B) for part in parts] == [3, 3, 2]
    assert (np.concatenate([part.labels_BT for part in parts]) == batch.labels_BT).all()
    assert batch.labels_by_source(2).sum() == batch.num_labels == (batch.labels_BT != NO_LABEL).sum()


def test_squared_lengths_are_of_segments_and_unfilled_ends() -> None:
    assert uneven_batch().sum_squared_lengths() == (25 + 1 + 49 + 9) + 256 + (1 + 225) + (4 + 36 + 64)


def test_labels_never_come_from_another_document(tokens: Path) -> None:
    documents = TokenDocuments(tokens / "en", TRAIN)
    packing = pack(documents.num_tokens - 1, 64)
    rows = range(packing.num_rows)
    ids, labels, positions = fill(documents, packing, rows)
    boundaries = continued = 0
    for row in rows:
        filled = 0
        for document, start, end in packing.segments(row):
            own, whole = (
                slice(filled, filled + end - start),
                documents.tokens(document, 0, documents.num_tokens[document]),
            )
            assert (ids[row, own] == whole[start:end]).all()
            assert (labels[row, own] == whole[start + 1 : end + 1]).all()
            assert (positions[row, own] == np.arange(end - start)).all()
            boundaries += filled > 0
            continued += start > 0
            filled = own.stop
        assert (labels[row, filled:] == NO_LABEL).all()
        assert (positions[row, filled:] == np.arange(64 - filled)).all()
    assert boundaries > 20
    assert continued > 20
    assert (labels != NO_LABEL).sum() == (documents.num_tokens - 1).sum()
