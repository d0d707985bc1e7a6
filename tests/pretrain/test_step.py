"""Gradients and losses of a step against plain versions of themselves."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_model import CONFIG, CPU, hidden_states, make_model, uneven_batch

from pretrain.config import DeviceConfig, OptimizerConfig, TokenSourceConfig, TrainConfig
from pretrain.model import Model
from pretrain.optim import make_optimizer
from pretrain.order.batch import NO_LABEL
from pretrain.order.groups import Groups
from pretrain.parallel import spread_model
from pretrain.ranks import Ranks
from pretrain.step import Steps

TRAINING = TrainConfig(
    out="out",
    steps=8,
    sequence_length=16,
    batch_size=4,
    model=CONFIG,
    source={"s0": TokenSourceConfig(tokens="tokens")},
)


@pytest.fixture
def model() -> Model:
    return make_model()


def accumulate(model: Model, num_rows: int, num_sources: int = 2) -> torch.Tensor:
    """Add the gradient of the batch; the sums of losses by source."""
    groups = Groups(tuple((f"s{i}", "") for i in range(num_sources)), np.arange(num_sources), ())
    spread = spread_model(model, DeviceConfig(precision="float64"), Ranks(), CPU)
    optimizer = make_optimizer(model, OptimizerConfig())
    return Steps(spread, optimizer, TRAINING, groups, Ranks(), num_rows).accumulate(uneven_batch())[1]


def test_gradient_does_not_depend_on_the_micro_batch(model: Model) -> None:
    batch = uneven_batch()
    assert len(set((batch.labels_BT != NO_LABEL).sum(axis=1).tolist())) > 1
    gradients, sums = [], []
    for num_rows in (4, 1, 3):
        model.zero_grad()
        sums.append(accumulate(model, num_rows))
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for other in (1, 2):
        torch.testing.assert_close(sums[other], sums[0], rtol=1e-6, atol=1e-6)
        for a, b in zip(gradients[other], gradients[0], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)
    assert max(float(g.abs().max()) for g in gradients[0]) > 1e-3


def test_losses_of_sources_are_the_sums_over_their_rows(model: Model) -> None:
    batch = uneven_batch()
    sums = accumulate(model, 2, num_sources=3)
    with torch.no_grad():
        hidden = hidden_states(model, torch.from_numpy(batch.tokens_BT), batch.positions_BT)
        losses = F.cross_entropy(
            (hidden @ model.head_VC.T).flatten(0, 1),
            torch.from_numpy(batch.labels_BT).flatten().long(),
            reduction="none",
        ).view(4, 16)
    torch.testing.assert_close(sums[0], losses[0].sum() + losses[3].sum(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(sums[1], losses[1].sum() + losses[2].sum(), rtol=1e-5, atol=1e-5)
    assert sums[2] == 0
    assert batch.labels_by_source(3).tolist() == [16 + 8, 16 + 16, 0]
