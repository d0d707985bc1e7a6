import pytest
import torch
from tiny_model import VOCAB

from pretrain.loss import token_losses
from pretrain.order.batch import NO_LABEL


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
