"""Cross entropy of each token, with the gradient made in the forward pass; the logits of all tokens never exist.

The logits of 32 rows of 2,048 tokens over a vocabulary of 128,000 are 33 GB in float32. So the output matrix W is
applied to a chunk of hidden states h at a time. The factor of each loss is known in advance, so the chunk's logits give
its gradient at once, and no logits are kept or computed again:

    logits = h Wᵀ      G = scale · (softmax(logits) - one-hot(labels))      ∂h = G W      ∂W += Gᵀ h

With z-loss (PaLM, section 5) each label adds z · ln² Z to the total, where Z is the sum of exp(logits). It keeps logits
from drifting, which the loss alone does not see.

Shapes: B rows, T positions, N tokens of all rows, n of a chunk, C model width, V vocabulary.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pretrain.order.batch import NO_LABEL

# Tokens of a chunk on CPU. Over 16,384 entries at width 256, 4,096 tokens take 2.20 s of CPU time in chunks of 64, 1.99
# in chunks of 128, 2.05 of 256, 2.02 of 512, and 2.60 all at once.
CPU_CHUNK = 256
# Part of a CUDA device's memory that logits and gradient of a chunk may take in bfloat16: 1.1e9 logits of 141 GB. In
# large chunks the gradient of the output matrix is added up seldom, which costs its size each time.
CUDA_FRACTION = 1 / 32


class Losses(NamedTuple):
    """The losses of a batch. As a tuple it is seen by what looks for tensors in a module's output (FSDP2, DDP)."""

    total: Tensor  # scalar to call backward on: the sum of the losses of all tokens with their z-loss, times the scale
    tokens_BT: Tensor  # float32, detached: -ln p(label) in nats, without z-loss; 0 where there is no label


def losses(
    hidden_BTC: Tensor,
    head_VC: Tensor,
    labels_BT: Tensor,
    scale: Tensor | float = 1.0,
    *,
    z_loss: float = 0.0,
    chunk: int | None = None,
) -> Losses:
    """The losses of int[B, T] labels, of which `NO_LABEL` has none.

    `scale` is that of the mean: 1 / labels of the whole global batch, over micro-batches and ranks. `z_loss` is the
    factor of ln² Z. `chunk` is the number of tokens whose logits are held at once, by default as the device has memory.
    Logits are made in the dtype of the hidden states; softmax and sums in float32 at least.
    """
    hidden_NC, labels_N = hidden_BTC.flatten(0, 1), labels_BT.flatten().long()
    chunk = chunk or _chunk_tokens(len(hidden_NC), len(head_VC), hidden_NC.device)
    with torch.autocast(hidden_NC.device.type, enabled=False):
        if torch.is_grad_enabled():
            if not isinstance(scale, Tensor):  # a number would be compiled in, and a copy of one waits for the device
                scale = torch.full((), scale, dtype=_wide(hidden_NC), device=hidden_NC.device)
            total, losses_N = _LossWithGradient.apply(hidden_NC, head_VC, labels_N, scale, z_loss, chunk)
        else:
            parts = zip(hidden_NC.split(chunk), labels_N.split(chunk), strict=True)
            head_VC = head_VC.to(hidden_NC.dtype)
            losses_N = torch.cat([_function(_token_losses, h.device)(h @ head_VC.T, labels) for h, labels in parts])
            total = losses_N.sum() * scale
    return Losses(total, losses_N.float().view(labels_BT.shape))


class _LossWithGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_NC: Tensor, head_VC: Tensor, labels_N: Tensor, scale: Tensor, z_loss: float, chunk: int
    ) -> tuple[Tensor, Tensor]:
        wide = _wide(hidden_NC)
        gradient_of = _function(_losses_and_gradient, hidden_NC.device)
        weights_VC = head_VC.to(hidden_NC.dtype)
        total, losses_N = torch.zeros_like(scale, dtype=wide), torch.empty_like(labels_N, dtype=wide)
        grad_NC, grad_VC = torch.empty_like(hidden_NC), torch.zeros_like(head_VC, dtype=wide)
        for first in range(0, len(labels_N), chunk):
            own = slice(first, first + chunk)
            h = hidden_NC[own]
            losses_N[own], z_losses, gradient_nV = gradient_of(h @ weights_VC.T, labels_N[own], scale, z_loss)
            total += losses_N[own].sum() + z_losses.sum()
            torch.mm(gradient_nV, weights_VC, out=grad_NC[own])
            if wide == h.dtype:
                grad_VC.addmm_(gradient_nV.T, h)
            else:
                grad_VC += gradient_nV.T @ h
        ctx.save_for_backward(grad_NC, grad_VC.to(head_VC.dtype))
        ctx.mark_non_differentiable(losses_N)
        return total * scale, losses_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        grad_NC, grad_VC = ctx.saved_tensors
        return grad_NC * grad_total.to(grad_NC.dtype), grad_VC * grad_total.to(grad_VC.dtype), None, None, None, None


def _losses_and_gradient(
    logits_nV: Tensor, labels_n: Tensor, scale: Tensor, z_loss: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(losses, z-losses, gradient of the scaled total by the logits); the logits are overwritten."""
    wide_nV = logits_nV.to(_wide(logits_nV))
    has_label, label = _labels(labels_n)
    log_z = wide_nV.logsumexp(-1, keepdim=True)
    log_p = wide_nV.gather(1, label) - log_z
    scale_n1 = has_label * scale
    factor = scale_n1 * (1 + 2 * z_loss * log_z)
    gradient_nV = wide_nV.sub_(log_z).exp_().mul_(factor).to(logits_nV.dtype)
    # The label's entry is set to its difference as a whole: p ≈ 1 in bfloat16 would leave nothing of 1 - p.
    gradient_nV.scatter_(1, label, (log_p.exp() * factor - scale_n1).to(logits_nV.dtype))
    return (-log_p * has_label)[:, 0], (z_loss * log_z.square() * has_label)[:, 0], gradient_nV


def _token_losses(logits_nV: Tensor, labels_n: Tensor) -> Tensor:
    wide_nV = logits_nV.to(_wide(logits_nV))
    has_label, label = _labels(labels_n)
    return ((wide_nV.logsumexp(-1, keepdim=True) - wide_nV.gather(1, label)) * has_label)[:, 0]


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _labels(labels_n: Tensor) -> tuple[Tensor, Tensor]:
    """Whether there is a label, and an index that is valid in any case; each [n, 1]."""
    has_label = (labels_n != NO_LABEL)[:, None]
    return has_label, labels_n[:, None] * has_label


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function, dynamic=False)


def _function(function: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """Compiled on CUDA, where it then reads the logits two or three times and writes the gradient, all in bfloat16."""
    return _compiled(function) if device.type == "cuda" else function


def _chunk_tokens(num_tokens: int, vocab_size: int, device: torch.device) -> int:
    """Tokens of a chunk; on CUDA all chunks of a batch are as equal as can be, since each size is compiled."""
    if device.type != "cuda":
        return CPU_CHUNK
    max_logits = CUDA_FRACTION * torch.cuda.get_device_properties(device).total_memory / (2 + 2)
    num_chunks = -(-num_tokens * vocab_size // int(max_logits))
    return -(-num_tokens // num_chunks)
