"""The state of a training, as its checkpoints record it; read without torch.

    OUT/checkpoints/step-00000400/state.json    step, tokens and plan; written last

A checkpoint exists when its state.json does.
"""

import json
import logging
from pathlib import Path
from typing import Any

from pydantic import Field

from shards.config import Config
from shards.errors import GristmillError, RunError
from shards.limits import check_limits

log = logging.getLogger(__name__)

CHECKPOINTS, STATE = "checkpoints", "state.json"


class TrainState(Config):
    """The state after a number of steps."""

    step: int  # steps done
    tokens: int  # labels trained on
    plan_hash: str
    identity: dict[str, Any]  # of the plan
    phases: tuple[tuple[int, dict[str, float]], ...] = ()  # of the mixture: first place, weights
    loss: float | None = None  # of the last step; None before the first step
    sha256: dict[str, str] = Field(default_factory=dict)  # of the checkpoint's other files; older ones state none


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first."""
    return sorted(path.parent for path in folder.glob(f"step-*/{STATE}"))


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint, by its name."""
    return int(checkpoint.name.removeprefix("step-"))


def read_state(checkpoint: Path) -> TrainState:
    """RunError where the state of the checkpoint is missing or damaged."""
    path = checkpoint / STATE
    try:
        return TrainState.parse(json.loads(path.read_bytes()), str(path))
    except (OSError, ValueError, GristmillError) as error:
        check_limits(path, error)
        raise RunError(f"{path}: not readable ({error})") from None


def newest_state(folder: Path) -> TrainState | None:
    """The state of the newest checkpoint of which it is readable; None where there is none."""
    for path in reversed(checkpoint_paths(folder)):
        try:
            return read_state(path)
        except RunError as error:
            log.warning("event=checkpoint_broken %s", error)
    return None


def recorded_identity(folder: Path) -> dict[str, Any]:
    """The plan's identity in the newest checkpoint whose state is readable; empty where there is none."""
    state = newest_state(folder)
    return state.identity if state else {}
