"""The first steps of a training by one rank or by all that torchrun starts: `torchrun rank_steps.py TRAIN.toml OUT`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from pretrain.config import DeviceConfig, load_config
from pretrain.evaluate import bits_per_byte, choose_held_out
from pretrain.model import Model
from pretrain.optim import make_optimizer
from pretrain.order.groups import Groups
from pretrain.order.loader import Loader
from pretrain.order.plan import Plan, held_out_documents, keep_plan, make_plan
from pretrain.parallel import spread_model
from pretrain.ranks import Ranks, end_rank, joined
from pretrain.step import Steps

FSDP_EXACT = {"parallel": "fsdp", "precision": "float64", "recompute": "block"}
DDP_FLOAT = {"parallel": "ddp", "precision": "float32", "recompute": "block"}
CASES: dict[int, list[dict[str, Any]]] = {  # by the number of ranks
    2: [
        {"parallel": "ddp", "precision": "float64"},
        FSDP_EXACT,
        DDP_FLOAT,
        {"parallel": "fsdp", "precision": "float32"},
    ],
    3: [FSDP_EXACT, DDP_FLOAT],
}
MICRO_BATCH_ROWS = 2
NUM_STEPS = {"float64": 30, "float32": 8}


@dataclass(frozen=True)
class Result:
    gradient: list[torch.Tensor]  # of the first step, before clipping
    losses: list[float]
    norms: list[float]
    losses_by_source: list[dict[str, float]]
    checksums: list[int]
    held_out: dict[str, float]


def steps_of(plan: Plan, device_config: dict[str, Any], ranks: Ranks) -> Result:
    torch.manual_seed(plan.config.seed)
    model = Model(plan.config.model, plan.vocab_size)
    spread = spread_model(model, DeviceConfig(**device_config), ranks, torch.device("cpu"))
    groups, optimizer = Groups.of(plan.sources), make_optimizer(spread.model, plan.config.optimizer)
    loader = Loader(plan, ranks.rank, ranks.world, groups=groups)
    steps = Steps(spread, optimizer, plan.config, groups, ranks, MICRO_BATCH_ROWS)
    steps.accumulate(loader.batch(0))
    gradient = [_whole(p.grad) for p in model.parameters() if p.grad is not None]
    optimizer.zero_grad()
    results = [
        steps.read(steps.launch(loader.batch(step - 1), step))
        for step in range(1, NUM_STEPS[device_config["precision"]] + 1)
    ]
    held_out = [
        choose_held_out(name, docs, plan.config.sequence_length, 300) for name, docs in held_out_documents(plan).items()
    ]
    return Result(
        gradient,
        [result.loss for result in results],
        [result.grad_norm for result in results],
        [result.loss_by_source for result in results],
        [result.checksum for result in results],
        bits_per_byte(spread, held_out, MICRO_BATCH_ROWS, ranks),
    )


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor.clone()


if __name__ == "__main__":
    with joined() as ranks:
        with ranks.leader_first():
            plan = keep_plan(make_plan(load_config(Path(sys.argv[1]), {})))
        results = [steps_of(plan, case, ranks) for case in CASES[ranks.world]]
        if ranks.leads:
            torch.save([vars(result) for result in results], sys.argv[2])
    end_rank()
