"""The rows of a micro-batch: as many as the memory of a device holds, and the same for every rank."""

import gc
import logging

import torch

from pretrain.config import TrainConfig
from pretrain.micro_batches import DeviceBatch
from pretrain.order.batch import Batch
from pretrain.parallel import SpreadModel
from pretrain.ranks import Ranks

log = logging.getLogger(__name__)

_CPU_TOKENS = 1 << 14  # at once; more make nothing faster on a CPU and need more memory
_STATE_BYTES = 8  # a parameter, of AdamW's two means, which are made in the first step only


def choose_rows(spread: SpreadModel, batch: Batch, config: TrainConfig, ranks: Ranks) -> int:
    """Rows of a micro-batch, a divisor of those of `batch`, of this rank.

    The largest one of at most `device.micro_batch_size`. `auto` tries on CUDA from all rows down by halves.
    """
    num_rows, wanted = len(batch.source_B), config.device.micro_batch_size
    if wanted != "auto":
        return _divisor(num_rows, wanted)
    if spread.device.type != "cuda":
        return _divisor(num_rows, max(1, _CPU_TOKENS // config.sequence_length))
    at_once = num_rows
    while at_once > 1 and not _fits(spread, batch, at_once, ranks):
        at_once = _divisor(num_rows, at_once // 2)
    log.info("event=micro_batch rows=%d", at_once)
    return at_once


def _divisor(number: int, limit: int) -> int:
    return max(divisor for divisor in range(1, min(number, limit) + 1) if number % divisor == 0)


def _fits(spread: SpreadModel, batch: Batch, at_once: int, ranks: Ranks) -> bool:
    """Whether a forward and backward pass of so many rows fits into the memory of every rank beside the optimizer."""
    local = [p.to_local() if hasattr(p, "to_local") else p for p in spread.model.parameters()]
    failures = torch.zeros((), device=spread.device)
    try:
        reserved = torch.empty(sum(p.numel() for p in local) * _STATE_BYTES, dtype=torch.uint8, device=spread.device)
        with torch.compiler.set_stance("force_eager"):
            part = next(DeviceBatch(batch, spread.device).split(at_once))
            spread.backward(part, torch.zeros((), device=spread.device), is_last=False)
        del reserved, part
    except torch.OutOfMemoryError:
        failures += 1
    spread.model.zero_grad()
    gc.collect()  # what the failed pass holds
    torch.cuda.empty_cache()
    return not ranks.sum(failures).item()
