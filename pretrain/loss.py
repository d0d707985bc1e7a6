"""Cross entropy of each token, without the logits of all tokens at once.

The logits of 32 rows of 2,048 tokens over a vocabulary of 128,000 are 33 GB in float32. So the output matrix is applied
to a chunk of tokens at a time, and the backward pass computes each chunk's logits again.

Shapes: N tokens, C model width, V vocabulary.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pretrain.order.batch import NO_LABEL

MAX_LOGITS = 1 << 26  # in one chunk; 256 MB in float32


class Losses(NamedTuple):
    """The losses of a batch. As a tuple it is seen by what looks for tensors in a module's output (FSDP2, DDP)."""

    total: Tensor  # scalar to call backward on: the sum of the losses of all tokens, times the scale
    tokens_BT: Tensor  # float32, detached: -ln p(label) in nats; 0 where there is no label


def losses(hidden_BTC: Tensor, head_VC: Tensor, labels_BT: Tensor, scale: Tensor | float) -> Losses:
    """The losses of int[B, T] `labels_BT`, of which `NO_LABEL` has none."""
    losses_N = token_losses(hidden_BTC.flatten(0, 1), head_VC, labels_BT.flatten().long())
    return Losses(losses_N.sum() * scale, losses_N.detach().float().view(labels_BT.shape))


def token_losses(hidden_NC: Tensor, head_VC: Tensor, labels_N: Tensor, max_logits: int = MAX_LOGITS) -> Tensor:
    """float32[N]: -log p(label) in nats; 0 where the label is `NO_LABEL`."""
    num_tokens = max(1, max_logits // head_VC.shape[0])
    if len(labels_N) <= num_tokens:
        return _chunk_losses(hidden_NC, head_VC, labels_N)
    losses = [
        checkpoint(_chunk_losses, hidden, head_VC, labels, use_reentrant=False)
        for hidden, labels in zip(torch.split(hidden_NC, num_tokens), torch.split(labels_N, num_tokens), strict=True)
    ]
    return torch.cat(losses)


def _chunk_losses(hidden_NC: Tensor, head_VC: Tensor, labels_N: Tensor) -> Tensor:
    # In float32: the sum over the vocabulary loses too much in bfloat16.
    return F.cross_entropy(F.linear(hidden_NC, head_VC).float(), labels_N, ignore_index=NO_LABEL, reduction="none")
