"""AdamW, or Muon for the matrices between embedding and head, and an average of the weights; one object for all.

    matrices of the layers          adamw: AdamW, decayed        muon: orthogonalised momentum, decayed
    embed_tokens, lm_head           AdamW, decayed
    norms                           AdamW, not decayed

Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024) replaces the momentum of a matrix
by the nearest matrix with orthogonal rows or columns. Scaled by 0.2 √(larger side) its update has the root mean square
of AdamW's, so both have one learning rate and one decay (Liu et al., "Muon is Scalable for LLM Training", 2025,
section 2.2).

All state is in `state` by parameter, sharded as the parameter is. Matrices of one shape are orthogonalised as one
stack. Where they are sharded by rows (FSDP2), one exchange gives each rank whole matrices of the stack, and another one
brings their rows back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from pretrain.config import OptimizerConfig

# Coefficients of the quintic iteration and their number (Jordan et al., 2024): singular values come to between 0.7 and
# 1.2, which is as good for training as 1.
_QUINTIC, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5
_RMS_OF_ADAMW = 0.2  # Liu et al., 2025, section 2.2


class Optimizer(torch.optim.Optimizer):
    """AdamW of all groups whose "orthogonal" is False, and Muon of the others."""

    found_inf: Tensor | None = None
    """Where this float32 scalar is 1 on the device, a step changes neither weights nor state; whatever the gradient."""

    def __init__(self, groups: list[dict[str, Any]], config: OptimizerConfig) -> None:
        self._momentum, self._ema = config.momentum, config.ema
        self._adamw = torch.optim.AdamW(groups, config.lr, (config.beta1, config.beta2), config.epsilon, fused=True)
        super().__init__(self._adamw.param_groups, {})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        groups = self.param_groups
        self._adamw.state = self.state
        self._adamw.param_groups = [group for group in groups if not group["orthogonal"]]
        self._adamw.found_inf = self.found_inf  # type: ignore[attr-defined]  # which the fused kernel asks for
        self._adamw.step()
        for group in groups:
            if group["orthogonal"]:
                self._step_of_muon(group)
        if self._ema:
            self._average()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averaged weights in place of the trained ones, for evaluation and export.

        They stay as they are without `optimizer.ema`, and before the first step.
        """
        averages = [(p, state["ema"]) for p, state in self.state.items() if "ema" in state]
        _swap(averages)
        try:
            yield
        finally:
            _swap(averages)

    def _step_of_muon(self, group: dict[str, Any]) -> None:
        trained = [p for p in group["params"] if p.grad is not None]
        for shape, same in groupby(sorted(trained, key=_shape), key=_shape):
            parameters = list(same)
            for p in parameters:
                if "momentum" not in self.state[p]:
                    self.state[p]["momentum"] = torch.zeros_like(p)
            momenta, gradients = [self.state[p]["momentum"] for p in parameters], [p.grad for p in parameters]
            if self.found_inf is not None:
                for gradient in gradients:
                    gradient.masked_fill_(self.found_inf.bool(), 0)  # a product with 0 would keep NaN
            kept = 1 if self.found_inf is None else 1 - self.found_inf
            torch._foreach_mul_(momenta, 1 - (1 - self._momentum) * kept)
            torch._foreach_add_(momenta, gradients)
            # Nesterov's: the gradient once more, as if the momentum's next step were done.
            updates = _orthogonalise(list(torch._foreach_add(gradients, momenta, alpha=self._momentum)))
            torch._foreach_mul_(updates, kept)
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"] * kept)
            torch._foreach_add_(parameters, updates, alpha=-group["lr"] * _RMS_OF_ADAMW * max(shape) ** 0.5)

    def _average(self) -> None:
        """Move each average by 1 - ema towards its weight; the first one is the weight."""
        share = (1 - self._ema) * (1 if self.found_inf is None else 1 - self.found_inf)
        for parameter, state in self.state.items():
            if "ema" in state:
                state["ema"] += (parameter - state["ema"]) * share
            else:
                state["ema"] = parameter.detach().clone()


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """The optimizer of a model's parameters; after they are sharded, if they are."""
    parameters = dict(model.named_parameters())
    norms = [p for p in parameters.values() if p.ndim < 2]
    hidden = [p for name, p in parameters.items() if p.ndim == 2 and "layers." in name]
    ends = [p for name, p in parameters.items() if p.ndim == 2 and "layers." not in name]
    groups: list[dict[str, Any]] = [
        {"params": hidden, "weight_decay": config.weight_decay, "orthogonal": config.kind == "muon"},
        {"params": ends, "weight_decay": config.weight_decay, "orthogonal": False},
        {"params": norms, "weight_decay": 0.0, "orthogonal": False},
    ]
    return Optimizer(groups, config)


def orthogonalised(matrices_KMN: Tensor) -> Tensor:
    """The nearest matrices with orthogonal rows or columns, roughly: by Newton and Schulz's iteration.

    On CUDA it is in bfloat16, which changes the singular values less than the iteration itself leaves open.
    """
    a, b, c = _QUINTIC
    x = matrices_KMN / (torch.linalg.vector_norm(matrices_KMN, dim=(-2, -1), keepdim=True) + 1e-7)
    is_tall = x.shape[-2] > x.shape[-1]
    x = x.mT if is_tall else x
    if x.is_cuda:
        x = x.bfloat16()
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    out: Tensor = (x.mT if is_tall else x).to(matrices_KMN.dtype)
    return out


def _orthogonalise(matrices: list[Any]) -> list[Tensor]:
    """Each matrix orthogonalised, sharded as it was; all have one shape and one sharding."""
    first = matrices[0]
    if not hasattr(first, "placements"):
        return list(orthogonalised(torch.stack(matrices)))
    from torch.distributed.tensor import DTensor, Shard

    def sharded(dimension: int) -> list[Any]:  # of the stack, where matrices are
        return [Shard(dimension) if placement.is_shard() else placement for placement in first.placements]

    assert all(placement.is_replicate() or placement.is_shard(0) for placement in first.placements)
    shape = torch.Size([len(matrices), *first.shape])
    strides = (shape[1] * shape[2], shape[2], 1)
    rows = torch.stack([matrix.to_local() for matrix in matrices])
    stack = DTensor.from_local(rows, first.device_mesh, sharded(1), run_check=False, shape=shape, stride=strides)
    whole = stack.redistribute(placements=sharded(0))
    own = whole.to_local()
    own = orthogonalised(own) if len(own) else own
    result = DTensor.from_local(own, first.device_mesh, sharded(0), run_check=False, shape=shape, stride=strides)
    back = result.redistribute(placements=sharded(1)).to_local()
    return [
        DTensor.from_local(
            part, first.device_mesh, first.placements, run_check=False, shape=first.shape, stride=strides[1:]
        )
        for part in back
    ]


def _swap(pairs: list[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for parameter, average in pairs:
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)


def _shape(parameter: Tensor) -> tuple[int, ...]:
    return tuple(parameter.shape)
