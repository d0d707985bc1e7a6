"""Attention, model, loss and gradient against plain versions of themselves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pretrain.attention import Documents, attend
from pretrain.config import ModelConfig, OptimizerConfig, load_config
from pretrain.loss import token_losses
from pretrain.model import Model
from pretrain.optim import learning_rate, make_optimizer
from pretrain.order.loader import Batch, Loader
from pretrain.order.packing import NO_LABEL
from pretrain.order.plan import make_plan
from pretrain.train import accumulate

CPU = torch.device("cpu")
CONFIG = ModelConfig(width=32, num_layers=2, num_heads=4, num_kv_heads=2, feed_forward_width=48, qk_norm=True)
SEGMENTS = [[5, 1, 7, 3], [16], [1, 15], [2, 6]]  # lengths in rows of 16; the rest of a row is unfilled
VOCAB = 50


def positions_of(segments: list[list[int]], row_length: int = 16) -> np.ndarray:
    rows = [[*lengths, row_length - sum(lengths)] for lengths in segments]
    return np.array([np.concatenate([np.arange(n) for n in lengths]) for lengths in rows])


def hidden_states(model: Model, ids: torch.Tensor, positions: np.ndarray) -> torch.Tensor:
    return model(ids, torch.from_numpy(positions), Documents.of(positions, 5, CPU))


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return Model(CONFIG, VOCAB).double()


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(VOCAB, (len(SEGMENTS), 16), generator=torch.Generator().manual_seed(1))


def test_attention_equals_attending_to_each_document_alone() -> None:
    torch.manual_seed(0)
    positions = positions_of(SEGMENTS)
    q, k, v = (torch.randn(len(SEGMENTS), 16, heads, 8, dtype=torch.float64) for heads in (4, 2, 2))
    out = attend(q, k, v, Documents.of(positions, 5, CPU))
    for row, lengths in enumerate(SEGMENTS):
        for start, length in zip(np.cumsum([0, *lengths]), lengths, strict=False):
            own = slice(int(start), int(start) + length)
            for head in range(4):
                scores = q[row, own, head] @ k[row, own, head // 2].T / 8**0.5
                scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf)
                torch.testing.assert_close(out[row, own, head], scores.softmax(-1) @ v[row, own, head // 2])


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


@pytest.mark.parametrize("max_logits", [1, 7 * VOCAB, 1 << 20])
def test_chunked_losses_and_gradients_equal_plain_ones(max_logits: int) -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(40, 8, dtype=torch.float64), torch.randn(VOCAB, 8, dtype=torch.float64)
    labels = torch.randint(VOCAB, (40,))
    labels[::5] = NO_LABEL
    weight = torch.rand(40)
    results = []
    for chunked in (True, False):
        h, w = hidden.clone().requires_grad_(), head.clone().requires_grad_()
        if chunked:
            losses = token_losses(h, w, labels, max_logits)
        else:
            log_p = (h @ w.T).log_softmax(-1)
            losses = torch.where(labels == NO_LABEL, 0, -log_p[torch.arange(40), labels.clamp(0)])
        (losses * weight).sum().backward()
        results.append((losses.double(), h.grad, w.grad))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)
    assert (results[0][0][::5] == 0).all()


def uneven_batch() -> Batch:
    """Rows whose numbers of labels differ, so that a mean of micro-batch means would be wrong."""
    generator = np.random.default_rng(0)
    positions = positions_of(SEGMENTS)
    labels = generator.integers(0, VOCAB, positions.shape)
    for row, lengths in enumerate(SEGMENTS):
        labels[row, sum(lengths) :] = NO_LABEL
    return Batch(generator.integers(0, VOCAB, positions.shape), labels, positions, np.array([0, 1, 1, 0]), 5)


def test_gradient_does_not_depend_on_the_micro_batch(model: Model) -> None:
    batch = uneven_batch()
    assert len(set((batch.labels_BT != NO_LABEL).sum(axis=1).tolist())) > 1
    gradients, sums = [], []
    for num_rows in (4, 1, 3):
        model.zero_grad()
        sums.append(accumulate(model, batch, num_rows, 2))
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for other in (1, 2):
        torch.testing.assert_close(sums[other], sums[0], rtol=1e-6, atol=1e-6)
        for a, b in zip(gradients[other], gradients[0], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)
    assert max(float(g.abs().max()) for g in gradients[0]) > 1e-3


def test_losses_of_sources_are_the_sums_over_their_rows(model: Model) -> None:
    batch = uneven_batch()
    sums = accumulate(model, batch, 2, 3)
    with torch.no_grad():
        hidden = hidden_states(model, torch.from_numpy(batch.tokens_BT), batch.positions_BT)
        losses = F.cross_entropy(
            (hidden @ model.head_VC.T).flatten(0, 1), torch.from_numpy(batch.labels_BT).flatten(), reduction="none"
        ).view(4, 16)
    torch.testing.assert_close(sums[0], losses[0].sum() + losses[3].sum(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(sums[1], losses[1].sum() + losses[2].sum(), rtol=1e-5, atol=1e-5)
    assert sums[2] == 0
    assert batch.labels_by_source(3).tolist() == [16 + 8, 16 + 16, 0]


def test_flops_count_every_multiplying_weight_and_every_pair() -> None:
    tied, own = (Model(CONFIG.model_copy(update={"tied_embeddings": t}), VOCAB) for t in (True, False))
    assert own.num_parameters() - tied.num_parameters() == VOCAB * 32
    assert tied.training_flops(10, 0) == own.training_flops(10, 0) == 60 * tied.num_parameters()
    assert tied.training_flops(0, 100) == 6 * 2 * 32 * 100
    assert uneven_batch().sum_squared_lengths() == (25 + 1 + 49 + 9) + 256 + (1 + 225) + (4 + 36 + 64)


def test_weight_decay_is_for_matrices_only(model: Model) -> None:
    decayed, kept = make_optimizer(model, OptimizerConfig(weight_decay=0.3)).param_groups
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in kept["params"]} == {1}
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.3, 0)
    assert len(decayed["params"]) + len(kept["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_learning_rate_warms_up_and_ends_at_its_least(schedule: str) -> None:
    config = OptimizerConfig(lr=1.0, min_lr_fraction=0.1, warmup_steps=10, schedule=schedule, decay_fraction=0.25)
    rates = [learning_rate(step, 100, config) for step in range(1, 101)]
    assert rates[0] == 0.1
    assert rates[9] == max(rates) == 1
    assert rates[-1] == pytest.approx(0.1)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[74] == (1 if schedule == "wsd" else pytest.approx(0.1 + 0.9 * 0.1786, abs=1e-3))


@pytest.mark.parametrize("warmup_steps", [0, 1, 5])
def test_learning_rate_of_very_short_runs_is_finite(warmup_steps: int) -> None:
    config = OptimizerConfig(lr=1.0, warmup_steps=warmup_steps)
    for num_steps in (1, 2, 5):
        assert all(0 < learning_rate(step, num_steps, config) <= 1 for step in range(1, num_steps + 1))


def test_real_batches_cross_documents(train_file: Callable[..., Path]) -> None:
    """Guards the tests of this file: training rows do hold several documents."""
    batch = Loader(make_plan(load_config(train_file(), {}))).batch(0)
    assert ((batch.positions_BT[:, 1:] == 0) & (batch.labels_BT[:, 1:] != NO_LABEL)).any()
