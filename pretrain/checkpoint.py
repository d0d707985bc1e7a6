"""Checkpoints: all that is needed to go on as if nothing had happened.

    OUT/checkpoints/step-00000400/model.safetensors    weights
                                  training.pt          optimizer and random-number state
                                  state.json           step, tokens and plan; written last

A checkpoint exists when its state.json does, and loses that file first when it is deleted. Older ones are deleted only
after a new one exists, so a kill at any moment leaves a whole checkpoint.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from shards.atomic import atomic_file, write_bytes, write_json
from shards.config import Config

_STATE, _WEIGHTS, _TRAINING = "state.json", "model.safetensors", "training.pt"


class TrainState(Config):
    """Where training stands."""

    step: int  # steps done
    tokens: int  # labels trained on
    plan_hash: str
    identity: dict[str, Any]  # of the plan


def save_checkpoint(
    folder: Path, state: TrainState, model: nn.Module, optimizer: torch.optim.Optimizer, *, keep: int
) -> None:
    """Write the checkpoint of `state.step` and delete all but the newest `keep`."""
    path = folder / f"step-{state.step:08d}"
    write_bytes(path / _WEIGHTS, save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}))
    with atomic_file(path / _TRAINING) as file:
        torch.save({"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}, file)
    write_json(path / _STATE, state.model_dump())
    kept = _whole_checkpoints(folder)[-keep:]
    for other in folder.glob("step-*"):
        if other not in kept:  # an older one, or what a kill left of one
            (other / _STATE).unlink(missing_ok=True)
            shutil.rmtree(other)


def newest_checkpoint(folder: Path) -> tuple[Path, TrainState] | None:
    whole = _whole_checkpoints(folder)
    if not whole:
        return None
    path = whole[-1] / _STATE
    return whole[-1], TrainState.parse(json.loads(path.read_bytes()), str(path))


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put the checkpoint's weights and optimizer state in place, and its random-number state into torch."""
    model.load_state_dict(load_file(path / _WEIGHTS))
    training = torch.load(path / _TRAINING, map_location="cpu", weights_only=True)
    optimizer.load_state_dict(training["optimizer"])
    torch.set_rng_state(training["rng"])


def _whole_checkpoints(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"step-*/{_STATE}"))
