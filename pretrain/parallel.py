"""A model on the devices of a training: one, or several that hold copies (DDP) or parts of it (FSDP2).

    ddp     each device has the whole model and sums the gradient with the others during the backward pass
    fsdp    each has 1 / world of every matrix, gathers a block before it is needed and frees it afterwards

Blocks are the units: each is compiled by itself, so that the first is compiled and the others use its code, recomputed
in the backward pass by itself, and gathered by itself.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from pretrain.config import DeviceConfig
from pretrain.loss import Losses
from pretrain.micro_batches import MicroBatch
from pretrain.model import Model
from pretrain.ranks import Ranks
from shards.errors import UserError

_STATE_BYTES = 16  # a parameter: weight, gradient and AdamW's two means in float32
_DDP_FRACTION = 0.4  # of a device's memory that these may fill; activations need the rest
_DTYPES = {"bf16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class SpreadModel:
    """A model on its devices."""

    model: Model  # whose parameters are trained; under FSDP2 they are DTensors
    called: nn.Module  # in training: the model, or DDP around it
    device: torch.device
    autocast: bool  # to bfloat16; FSDP2 casts by itself

    def backward(self, part: MicroBatch, scale: Tensor, *, is_last: bool) -> Tensor:
        """Add the gradient of the sum of losses times `scale`; returns float32[B, T], the losses.

        Gradients are means over ranks. `is_last` says that no micro-batch of the step comes after it.
        """
        accumulates = isinstance(self.called, DistributedDataParallel) and not is_last
        with self.called.no_sync() if accumulates else nullcontext():  # type: ignore[operator]
            losses = self._losses(self.called, part, scale)
            torch.autograd.backward(losses.total)
        return losses.tokens_BT

    @torch.no_grad()
    def losses(self, part: MicroBatch) -> Tensor:
        """float32[B, T] without a gradient."""
        return self._losses(self.model, part, torch.ones((), device=self.device)).tokens_BT

    def clip_gradient(self, max_norm: float) -> Tensor:
        """Scale the gradient down to `max_norm`; returns its norm before that, over all parameters and ranks."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
        return norm

    def _losses(self, module: nn.Module, part: MicroBatch, scale: Tensor) -> Losses:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            losses: Losses = module(part.tokens_BT, part.positions_BT, part.documents, part.labels_BT, scale)
        return losses


def choose_device(wanted: Literal["auto", "cpu", "cuda"], ranks: Ranks) -> torch.device:
    """The device of this rank. UserError where there is none of the kind, or not one for each rank of the machine."""
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError('device.kind = "cuda": torch sees no CUDA device; use device.kind = "auto" or "cpu"')
    if ranks.local_rank >= torch.cuda.device_count():
        raise UserError(
            f"torchrun has started more processes on this machine than its {torch.cuda.device_count()} CUDA devices; "
            "lower --nproc-per-node"
        )
    torch.cuda.set_device(ranks.local_rank)
    return torch.device("cuda", ranks.local_rank)


def spread_model(
    model: Model, config: DeviceConfig, ranks: Ranks, device: torch.device, *, seed: int = 0
) -> SpreadModel:
    """The model on the devices of all ranks. One of the meta device is initialised there, by the seed."""
    precision = config.precision if config.precision != "auto" else "bf16" if device.type == "cuda" else "float32"
    is_bf16, is_new, is_sharded = precision == "bf16", model.head_VC.is_meta, _is_sharded(model, config, ranks, device)
    if precision == "float64":
        model.double()
    model.recompute_blocks = config.recompute == "block"
    if config.compile:
        # Blocks are compiled one by one, so DDP need not split their graphs to send gradients early.
        torch._dynamo.config.optimize_ddp = False
        for layer in model.layers:
            layer.compile(dynamic=False)
    if is_sharded:
        _shard(model, ranks, device, is_bf16=is_bf16)
    if is_new:
        model.to_empty(device=device).initialise(seed)
    model.to(device)
    if is_sharded:
        return SpreadModel(model, model, device, autocast=False)
    called = model if ranks.world == 1 else DistributedDataParallel(model, gradient_as_bucket_view=True)
    return SpreadModel(model, called, device, autocast=is_bf16)


def _is_sharded(model: Model, config: DeviceConfig, ranks: Ranks, device: torch.device) -> bool:
    if ranks.world == 1 or config.parallel != "auto":
        return ranks.world > 1 and config.parallel == "fsdp"
    if device.type != "cuda":
        return False
    num_bytes = torch.cuda.get_device_properties(device).total_memory
    return model.num_parameters() * _STATE_BYTES > _DDP_FRACTION * num_bytes


def _shard(model: Model, ranks: Ranks, device: torch.device, *, is_bf16: bool) -> None:
    """Divide every matrix among the ranks, in place; each then lies on the rank's device."""
    mesh = init_device_mesh(device.type, (ranks.world,))
    # Inputs of blocks keep their types: the rotations are float32, and the rest is bfloat16 from the embedding on.
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if is_bf16 else None,
        reduce_dtype=torch.float32 if is_bf16 else None,
        cast_forward_inputs=False,
    )
    for layer in model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
