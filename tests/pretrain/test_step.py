"""Gradients and losses of a step against plain versions of themselves."""

import pytest
import torch
import torch.nn.functional as F
from tiny_model import accumulate, hidden_states, make_model, uneven_batch

from pretrain.model import Model
from pretrain.order.batch import NO_LABEL


@pytest.fixture
def model() -> Model:
    return make_model()


def test_gradient_does_not_depend_on_the_micro_batch(model: Model) -> None:
    batch = uneven_batch()
    assert len(set((batch.labels_BT != NO_LABEL).sum(axis=1).tolist())) > 1
    gradients, sums = [], []
    for num_rows in (4, 1, 3):
        model.zero_grad()
        sums.append(accumulate(model, batch, num_rows))
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for other in (1, 2):
        torch.testing.assert_close(sums[other], sums[0], rtol=1e-6, atol=1e-6)
        for a, b in zip(gradients[other], gradients[0], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)
    assert max(float(g.abs().max()) for g in gradients[0]) > 1e-3


def test_losses_of_sources_are_the_sums_over_their_rows(model: Model) -> None:
    batch = uneven_batch()
    sums = accumulate(model, batch, 2, num_sources=3)
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
