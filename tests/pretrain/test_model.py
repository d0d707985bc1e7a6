"""The model against plain versions of itself."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import CONFIG, SEGMENTS, VOCAB, hidden_states, make_model, positions_of

from pretrain.config import load_config
from pretrain.model import Model
from pretrain.order.batch import NO_LABEL
from pretrain.order.loader import Loader
from pretrain.order.plan import make_plan


@pytest.fixture
def model() -> Model:
    return make_model()


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(VOCAB, (len(SEGMENTS), 16), generator=torch.Generator().manual_seed(1))


def test_a_packed_document_has_the_hidden_states_that_it_has_alone(model: Model, ids: torch.Tensor) -> None:
    packed = hidden_states(model, ids, positions_of(SEGMENTS))
    for row, lengths in enumerate(SEGMENTS):
        for start, length in zip(np.cumsum([0, *lengths]).tolist(), lengths, strict=False):
            alone = hidden_states(model, ids[row : row + 1, start : start + length], np.arange(length)[None])
            torch.testing.assert_close(packed[row, start : start + length], alone[0])


def test_changing_one_document_leaves_the_others_as_they_are(model: Model, ids: torch.Tensor) -> None:
    positions = positions_of(SEGMENTS)
    before = hidden_states(model, ids, positions)
    changed = ids.clone()
    changed[0, 6:13] = (ids[0, 6:13] + 1) % VOCAB  # the third document of the first row
    moved = (hidden_states(model, changed, positions) != before).any(dim=-1)
    expected = torch.zeros_like(moved)
    expected[0, 6:13] = True
    assert (moved == expected).all()


def test_a_token_does_not_see_later_ones(model: Model, ids: torch.Tensor) -> None:
    positions = positions_of(SEGMENTS)
    changed = ids.clone()
    changed[1, 9] = (ids[1, 9] + 1) % VOCAB
    moved = (hidden_states(model, changed, positions) != hidden_states(model, ids, positions)).any(dim=-1)
    assert not moved[1, :9].any()
    assert moved[1, 9:].all()


def test_order_within_a_document_matters(model: Model) -> None:
    """Guards the tests above: without positions in the model they would pass as well."""
    first = hidden_states(model, torch.tensor([[1, 2, 3]]), np.arange(3)[None])
    second = hidden_states(model, torch.tensor([[2, 1, 3]]), np.arange(3)[None])
    assert not torch.allclose(first[0, 2], second[0, 2])


def test_flops_count_every_multiplying_weight_and_every_pair() -> None:
    tied, own = (Model(CONFIG.model_copy(update={"tied_embeddings": t}), VOCAB) for t in (True, False))
    assert own.num_parameters() - tied.num_parameters() == VOCAB * 32
    assert tied.training_flops(10, 0) == own.training_flops(10, 0) == 60 * tied.num_parameters()
    assert tied.training_flops(0, 100) == 6 * 2 * 32 * 100


def test_real_batches_cross_documents(train_file: Callable[..., Path]) -> None:
    """Guards the tests of this file: training rows do hold several documents."""
    batch = Loader(make_plan(load_config(train_file(), {}))).batch(0)
    assert ((batch.positions_BT[:, 1:] == 0) & (batch.labels_BT[:, 1:] != NO_LABEL)).any()
