"""The model against plain versions of itself."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_llama import plain_logits
from tiny_model import CONFIG, SEGMENTS, VOCAB, documents_of, hidden_states, make_model, positions_of
from torch import nn

from pretrain.config import load_config
from pretrain.model import Block, Model
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


@pytest.mark.parametrize(
    "changes",
    [
        {"qk_norm": False},
        {"qk_norm": True},
        {"num_kv_heads": 1},
        {"num_kv_heads": 4, "tied_embeddings": True},
        {"positions": "alibi"},
    ],
    ids=["llama", "qwen3", "multi-query", "multi-head, tied", "alibi"],
)
def test_logits_are_those_of_the_published_formulas(ids: torch.Tensor, changes: dict[str, object]) -> None:
    model = make_model(**changes)
    with torch.no_grad():
        for parameter in model.parameters():  # norms other than 1, and logits that differ
            parameter.mul_(5).add_(0.1 * torch.randn_like(parameter))
        logits = hidden_states(model, ids, positions_of(SEGMENTS)) @ model.head_VC.T
        weights = dict(model.named_parameters())
        for row, lengths in enumerate(SEGMENTS):
            for start, length in zip(np.cumsum([0, *lengths]).tolist(), lengths, strict=False):
                own = slice(start, start + length)
                plain = plain_logits(weights, model.config, ids[row, own])
                torch.testing.assert_close(logits[row, own], plain, rtol=1e-5, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_changed_token_moves_no_loss_of_another_document_nor_an_earlier_one(data: st.DataObject) -> None:
    lengths = [data.draw(st.lists(st.integers(1, 16), min_size=1).filter(lambda row: sum(row) <= 16)) for _ in range(2)]
    positions = positions_of(lengths)
    model, documents = make_model(), documents_of(positions)
    ids, labels = torch.randint(
        VOCAB, (2, 2, 16), generator=torch.Generator().manual_seed(data.draw(st.integers(0, 9)))
    )
    row, place = data.draw(st.integers(0, 1)), data.draw(st.integers(0, 15))
    changed = ids.clone()
    changed[row, place] = (ids[row, place] + 1) % VOCAB
    with torch.no_grad():
        before, after = (
            model(tokens, torch.from_numpy(positions), documents, labels).tokens_BT for tokens in (ids, changed)
        )
    begins = (positions[row] == 0).cumsum()
    may_move = torch.zeros(2, 16, dtype=torch.bool)
    may_move[row] = torch.from_numpy((begins == begins[place]) & (np.arange(16) >= place))
    assert not (before != after)[~may_move].any()
    assert (before != after)[row, place]


def test_weights_made_on_the_meta_device_are_those_made_at_once() -> None:
    torch.manual_seed(3)
    at_once = Model(CONFIG, VOCAB)
    with torch.device("meta"):
        later = Model(CONFIG, VOCAB)
    later.to_empty(device="cpu").initialise(3)
    for name, parameter in at_once.named_parameters():
        assert parameter.equal(later.get_parameter(name)), name


def test_initial_weights_have_the_deviations_that_are_stated() -> None:
    model = Model(CONFIG.model_copy(update={"width": 256, "feed_forward_width": 512}), 1000)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            assert (parameter == 1).all()
        else:
            is_added = name.endswith(("o_proj.weight", "down_proj.weight"))
            assert parameter.std().item() == pytest.approx(0.02 / math.sqrt(2 * 2) if is_added else 0.02, rel=0.02)


def test_the_residual_stream_is_in_bfloat16_under_autocast_and_norms_are_fused(ids: torch.Tensor) -> None:
    model, dtypes = Model(CONFIG, VOCAB), set()
    for module in model.modules():
        if isinstance(module, (Block, nn.RMSNorm)):
            module.register_forward_hook(lambda module, args, out: dtypes.add((args[0].dtype, out.dtype)))
    with warnings.catch_warnings(), torch.autocast("cpu", torch.bfloat16):
        warnings.simplefilter("error")  # such as "cannot dispatch to fused"
        positions = positions_of(SEGMENTS)
        total = model(ids, torch.from_numpy(positions), documents_of(positions), ids, 0.01).total
    total.backward()
    assert dtypes == {(torch.bfloat16, torch.bfloat16)}
    assert {parameter.grad.dtype for parameter in model.parameters() if parameter.grad is not None} == {torch.float32}


@pytest.mark.slow
def test_compiled_blocks_are_not_compiled_again_for_other_documents() -> None:
    model = Model(CONFIG, VOCAB)
    for block in model.layers:
        block.compile(dynamic=False)
    ids = torch.randint(VOCAB, (4, 16))
    graphs = []
    for segments in (SEGMENTS, [[16]] * 4, [[2, 3, 4], [7, 8], [1] * 8, [16]]):
        positions = positions_of(segments)
        model(ids, torch.from_numpy(positions), documents_of(positions), ids, 0.01).total.backward()
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert graphs[0] == graphs[-1]


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
