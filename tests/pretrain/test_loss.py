"""Losses in chunks against the plain ones of all logits."""

import pytest
import torch
import torch.nn.functional as F
from tiny_model import VOCAB, batch_on, documents_of, make_model, uneven_batch

from pretrain.loss import losses
from pretrain.order.batch import NO_LABEL

HIDDEN = torch.randn(4, 10, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
HEAD = torch.randn(VOCAB, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LABELS = torch.randint(VOCAB, (4, 10), dtype=torch.int32, generator=torch.Generator().manual_seed(2))
MASKED = LABELS.clone()
MASKED[:, ::3], MASKED[2] = NO_LABEL, NO_LABEL


def plain_losses(
    hidden: torch.Tensor, head: torch.Tensor, labels: torch.Tensor, z_loss: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(sum with z-loss, losses of tokens) by way of all logits."""
    logits = (hidden @ head.T).flatten(0, 1)
    own = labels.flatten().long()
    tokens = F.cross_entropy(logits, own, ignore_index=NO_LABEL, reduction="none")
    z = torch.where(own == NO_LABEL, 0, logits.logsumexp(-1) ** 2)
    return tokens.sum() + z_loss * z.sum(), tokens.view(labels.shape)


@pytest.mark.parametrize("chunk", [1, 7, 40, None])
@pytest.mark.parametrize("labels", [LABELS, MASKED], ids=["all labels", "masked"])
@pytest.mark.parametrize("z_loss", [0.0, 0.03])
def test_losses_and_gradients_equal_plain_ones(chunk: int | None, labels: torch.Tensor, z_loss: float) -> None:
    upstream = torch.rand((), dtype=torch.float64) * 5
    results = []
    for is_plain in (True, False):
        h, w = HIDDEN.clone().requires_grad_(), HEAD.clone().requires_grad_()
        if is_plain:
            total, tokens = plain_losses(h, w, labels, z_loss)
            total = total * 0.3
        else:
            total, tokens = losses(h, w, labels, torch.tensor(0.3, dtype=torch.float64), z_loss=z_loss, chunk=chunk)
        torch.autograd.backward(total, upstream)
        results.append((total, tokens.float(), h.grad, w.grad))
    for plain, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-6, atol=1e-9)


def test_the_gradient_is_that_of_finite_differences() -> None:
    h, w = HIDDEN[:1, :4].clone().requires_grad_(), HEAD[:, :].clone().requires_grad_()
    scale = torch.tensor(0.7, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda h, w: losses(h, w, MASKED[:1, :4], scale, z_loss=0.1, chunk=3).total, (h, w))


def test_without_gradients_the_losses_are_the_same() -> None:
    with torch.no_grad():
        total, tokens = losses(HIDDEN, HEAD, MASKED, 0.25, chunk=7)
    expected_total, expected = plain_losses(HIDDEN, HEAD, MASKED, 0)
    torch.testing.assert_close(tokens, expected.float())
    torch.testing.assert_close(total, expected_total * 0.25)
    assert (tokens[MASKED == NO_LABEL] == 0).all()


def test_in_bfloat16_a_confident_right_token_keeps_its_gradient() -> None:
    """p is 1 in bfloat16, so a difference taken there would be 0."""
    head = torch.eye(4).bfloat16()
    hidden = torch.tensor([[[7.0, 0, 0, 0]]]).bfloat16().requires_grad_()
    losses(hidden, head, torch.tensor([[0]])).total.backward()
    exact = torch.tensor([7.0, 0, 0, 0]).softmax(0) - torch.tensor([1.0, 0, 0, 0])
    assert hidden.grad is not None
    torch.testing.assert_close(hidden.grad[0, 0].float(), exact, rtol=1e-2, atol=0)


@pytest.mark.parametrize("tied", [True, False])
def test_the_gradient_of_a_whole_model_is_that_of_plain_losses(tied: bool) -> None:
    batch = uneven_batch()
    tokens, positions, labels = batch_on(batch)
    gradients = []
    for is_plain in (True, False):
        model = make_model(tied_embeddings=tied)
        if is_plain:
            hidden = model.hidden(tokens, positions, documents_of(batch.positions_BT))
            total = plain_losses(hidden, model.head_VC, labels, 0)[0] / 100
        else:
            total = model(tokens, positions, documents_of(batch.positions_BT), labels, 0.01).total
        torch.autograd.backward(total)
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, plain in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], plain, rtol=1e-6, atol=1e-9)
