"""One training step, which the host launches without waiting for the device, and whose figures it reads a step later.

    host      launch 1   launch 2   read 1   launch 3   read 2   …
    device    │ forward, backward, update 1 │ forward, backward, update 2 │ …
                                  figures 1 ──▶ host     figures 2 ──▶ host

An update is made on the device only where loss and gradient norm are finite and within the step's limits
(`pretrain.spikes`), and none is made after one that was not, unless spikes are skipped. So when the host reads that a
step was a spike, the weights are those before that step, although the next step has been launched.

Shapes: B rows, T positions, G groups (`pretrain.order.groups`).
"""

import math
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pretrain.config import TrainConfig
from pretrain.micro_batches import DeviceBatch
from pretrain.order.batch import Batch
from pretrain.order.groups import Groups
from pretrain.parallel import SpreadModel
from pretrain.ranks import Ranks
from pretrain.schedule import learning_rate
from pretrain.spikes import NO_LIMITS, Limits

_NUM_HOST = 5  # figures of a step that the host knows
_HALF = 1 << 32  # a float64 holds half of a checksum exactly, and the sum of many halves


class Wishes(NamedTuple):
    """What a rank wants all to do after the step."""

    stop: bool = False
    save: bool = False  # a checkpoint


NO_WISHES = Wishes()


@dataclass(frozen=True)
class StepResult:
    """Figures of one step over all ranks, before its update."""

    step: int
    loss: float  # nats, mean over the labels of the batch; 0 where all of them are masked
    loss_by_source: dict[str, float]  # of the sources with labels in the batch
    loss_by_bucket: dict[str, float]  # likewise; empty where no document has a bucket
    lr: float
    grad_norm: float  # before clipping
    num_labels: int
    sum_squared_lengths: int  # as `Batch` says
    checksum: int  # likewise
    wishes: Wishes  # of one rank or more
    is_updated: bool  # false for a spike
    ended_at: float  # time.perf_counter()

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


@dataclass(frozen=True)
class Launched:
    """A step whose figures are on their way to the host."""

    step: int
    lr: float
    figures: Tensor  # float64: counts (5 + G), sums of losses (G), gradient norm, whether it is no spike
    event: "torch.cuda.Event | None"  # when they have arrived
    launched_at: float


class Steps:
    """The steps of a training, one after the other."""

    def __init__(
        self,
        spread: SpreadModel,
        optimizer: torch.optim.Optimizer,
        config: TrainConfig,
        groups: Groups,
        ranks: Ranks,
        num_rows: int,
    ) -> None:
        """`num_rows` rows of a batch are on the device at once."""
        self._spread, self._optimizer, self._config = spread, optimizer, config
        self._groups, self._ranks, self._num_rows = groups, ranks, num_rows
        # 1 in a spike and, unless spikes are skipped, from then on. Optimizers skip their update by it, as torch's
        # GradScaler has it.
        self._is_broken = torch.zeros((), device=spread.device)
        optimizer.found_inf = self._is_broken  # type: ignore[attr-defined]

    def launch(self, batch: Batch, step: int, wishes: Wishes = NO_WISHES, limits: Limits = NO_LIMITS) -> Launched:
        """Update the model once, where the step is within its limits; `step` counts from 1."""
        counts, sums = self.accumulate(batch, wishes)
        norm = self._spread.clip_gradient(self._config.optimizer.max_grad_norm)
        loss, norm = sums.sum() / counts[_NUM_HOST:].sum().clamp(min=1), norm.double()
        is_fine = (loss <= limits.loss) & (norm <= limits.grad_norm)  # no comparison with NaN is true
        if self._config.spikes.action == "skip":
            self._is_broken.copy_(~is_fine)
        else:
            torch.maximum(self._is_broken, 1 - is_fine.float(), out=self._is_broken)
        lr = learning_rate(step, self._config.steps, self._config.optimizer)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad()
        return self._sent(step, lr, torch.cat([counts, sums, norm.view(1), is_fine.double().view(1)]))

    def accumulate(self, batch: Batch, wishes: Wishes = NO_WISHES) -> tuple[Tensor, Tensor]:
        """Add the gradient of the global batch's mean loss; returns its counts and float64[G], sums of losses.

        The mean is over the labels of all ranks, so the gradient depends on the number of neither ranks nor
        micro-batches.
        """
        num_groups, device = len(self._groups.names), self._spread.device
        on_device = DeviceBatch(batch, device)
        counts = torch.cat([_host_figures(batch, wishes, device), on_device.labels_by_group(num_groups)])
        self._ranks.sum(counts)
        scale = self._ranks.world / counts[_NUM_HOST:].sum().clamp(min=1)  # gradients are means over ranks
        sums = torch.zeros(num_groups, dtype=torch.float64, device=device)
        num_parts = -(-len(batch.source_B) // self._num_rows)
        for i, part in enumerate(on_device.split(self._num_rows), 1):
            part.add_by_group(self._spread.backward(part, scale, is_last=i == num_parts), sums)
        return counts, self._ranks.sum(sums)

    def read(self, launched: Launched) -> StepResult:
        """The figures of a step; waits until the device has them."""
        ended_at = launched.launched_at
        if launched.event is not None:
            launched.event.synchronize()
            ended_at = time.perf_counter()
        num_groups = len(self._groups.names)
        figures = launched.figures.numpy()
        host, (num_labels, sums) = figures[:_NUM_HOST], figures[_NUM_HOST:-2].reshape(2, num_groups)
        total = int(num_labels.sum())
        return StepResult(
            step=launched.step,
            loss=float(sums.sum()) / max(1, total),
            loss_by_source=self._means(0, num_labels, sums),
            loss_by_bucket=self._means(1, num_labels, sums) if any(bucket for _, bucket in self._groups.names) else {},
            lr=launched.lr,
            grad_norm=float(figures[-2]),
            num_labels=total,
            sum_squared_lengths=int(host[2]),
            checksum=(int(host[0]) * _HALF + int(host[1])) % _HALF**2,
            wishes=Wishes(*map(bool, host[3:])),
            is_updated=bool(figures[-1]),
            ended_at=ended_at,
        )

    def _means(self, part: int, num_labels: np.ndarray, sums: np.ndarray) -> dict[str, float]:
        """Mean losses by one part of the groups' names: 0 the source, 1 the bucket."""
        names = [name[part] for name in self._groups.names]
        totals = {name: np.zeros(2) for name in names}
        for name, *figures in zip(names, sums, num_labels, strict=True):
            totals[name] += figures
        return {name: float(loss_sum / count) for name, (loss_sum, count) in totals.items() if count}

    def _sent(self, step: int, lr: float, figures: Tensor) -> Launched:
        """The figures on their way to the host."""
        if not figures.is_cuda:
            return Launched(step, lr, figures, None, time.perf_counter())
        host = torch.empty(figures.shape, dtype=figures.dtype, pin_memory=True)
        host.copy_(figures, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        return Launched(step, lr, host, event, time.perf_counter())


def _host_figures(batch: Batch, wishes: Wishes, device: torch.device) -> Tensor:
    """float64[5]: both halves of the checksum, squared lengths, and wishes, to be summed over ranks."""
    figures = [*divmod(batch.checksum(), _HALF), batch.sum_squared_lengths(), *wishes]
    on_host = torch.tensor(figures, dtype=torch.float64, pin_memory=device.type == "cuda")
    return on_host.to(device, non_blocking=True)
