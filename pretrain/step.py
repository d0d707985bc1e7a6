"""One training step: forward, loss and backward by micro-batches, then clipping and AdamW."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pretrain.attention import documents
from pretrain.config import TrainConfig
from pretrain.loss import Losses
from pretrain.model import Model
from pretrain.order.batch import Batch
from pretrain.schedule import learning_rate
from shards.errors import RunError


@dataclass(frozen=True)
class StepResult:
    """Figures of one step, before its update."""

    loss: float  # nats, mean over the labels of the batch; 0 where all of them are masked
    loss_by_source: dict[str, float]  # of the sources with labels in the batch
    lr: float
    grad_norm: float  # before clipping


def train_step(
    model: Model,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    *,
    step: int,
    config: TrainConfig,
    source_names: Sequence[str],
) -> StepResult:
    """Update the model once; `step` counts from 1. RunError, before the update, if loss or gradient is not finite."""
    loss_sums = accumulate(model, batch, config.micro_batch_rows, len(source_names)).tolist()
    loss = sum(loss_sums) / max(1, batch.num_labels)
    grad_norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.max_grad_norm))
    for name, value in (("loss", loss), ("gradient norm", grad_norm)):
        if not math.isfinite(value):
            raise RunError(
                f"step {step}: the {name} is {value}, and nothing was updated; `gristmill trace --step {step}` shows "
                "what the step was trained on; with a lower optimizer.lr train from the beginning, into another out"
            )
    lr = learning_rate(step, config.steps, config.optimizer)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad()
    num_labels = batch.labels_by_source(len(source_names)).tolist()
    loss_by_source = {
        name: loss_sum / count
        for name, loss_sum, count in zip(source_names, loss_sums, num_labels, strict=True)
        if count
    }
    return StepResult(loss, loss_by_source, lr, grad_norm)


def accumulate(model: Model, batch: Batch, num_rows: int, num_sources: int) -> Tensor:
    """Add the gradient of the batch's mean loss, `num_rows` rows at a time; returns float64[sources], sums of losses.

    The mean is over all labels of the batch, not of a micro-batch, so `num_rows` does not change the gradient.
    """
    device = model.head_VC.device
    loss_sums = torch.zeros(num_sources, dtype=torch.float64, device=device)
    scale = 1 / max(1, batch.num_labels)
    for part in batch.split(num_rows):
        tokens_BT, labels_BT, positions_BT, source_B = (
            torch.from_numpy(array).to(device, non_blocking=True)
            for array in (part.tokens_BT, part.labels_BT, part.positions_BT, part.source_B)
        )
        segments = documents(part.starts, tokens_BT.shape[1], device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            losses: Losses = model(tokens_BT, positions_BT, segments, labels_BT, scale)
        torch.autograd.backward(losses.total)
        loss_sums.index_add_(0, source_B, losses.tokens_BT.sum(dim=1, dtype=torch.float64))
    return loss_sums
