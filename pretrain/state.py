"""The state of a training, as its checkpoints record it; read without torch.

    OUT/checkpoints/step-00000400/state.json    step, tokens and plan, sha256 of the other files; written last

A checkpoint exists when its state.json does. The checksum at the end of that file is the sha256 of the file with
zeros in its place.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from pydantic import Field

from shards.atomic import write_bytes
from shards.config import Config
from shards.errors import GristmillError, RunError, UserError
from shards.limits import check_limits

log = logging.getLogger(__name__)

CHECKPOINTS, STATE = "checkpoints", "state.json"
_PICKLED = "training.pt"  # in checkpoints of earlier versions
_NO_CHECKSUM = "0" * 64


class TrainState(Config):
    """The state after a number of steps."""

    step: int  # steps done
    tokens: int  # labels trained on
    plan_hash: str
    identity: dict[str, Any]  # of the plan
    phases: tuple[tuple[int, dict[str, float]], ...] = ()  # of the mixture: first place, weights
    left_out: tuple[tuple[int, int], ...] = ()  # windows of places, [first, end) each (`pretrain.order.left_out`)
    recent: tuple[tuple[int, float, float], ...] = ()  # step, loss, gradient norm of late (`pretrain.spikes`)
    loss: float | None = None  # of the last step; None before the first step
    tokenizer_sha256: str | None = None  # None in checkpoints of earlier versions
    sha256: dict[str, str] = Field(default_factory=dict)  # of the checkpoint's other files


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first."""
    return sorted(path.parent for path in folder.glob(f"step-*/{STATE}"))


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint, by its name."""
    return int(checkpoint.name.removeprefix("step-"))


def write_state(checkpoint: Path, state: TrainState) -> None:
    """Write the state of a checkpoint, atomically and with its checksum."""
    text = json.dumps(state.model_dump() | {"checksum": _NO_CHECKSUM}, ensure_ascii=False, indent=1) + "\n"
    write_bytes(checkpoint / STATE, text.replace(_NO_CHECKSUM, _checksum(text.encode())).encode())


def read_state(checkpoint: Path) -> TrainState:
    """RunError where the state of the checkpoint is missing or damaged; UserError where an earlier version wrote it."""
    path = checkpoint / STATE
    if (checkpoint / _PICKLED).exists():
        raise UserError(
            f"{checkpoint}: is of an earlier gristmill; finish its training with that one, or choose another out"
        )
    try:
        data = path.read_bytes()
        values = json.loads(data)
        found = str(values.pop("checksum"))
        if _checksum(data.replace(found.encode(), _NO_CHECKSUM.encode())) != found:
            raise RunError("not as it was written")
        return TrainState.parse(values, str(path))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, GristmillError) as error:
        check_limits(path, error)
        raise RunError(f"{path}: not readable ({error})") from None


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint whose state is readable; None where there is none."""
    for path in reversed(checkpoint_paths(folder)):
        try:
            read_state(path)
        except RunError as error:
            log.warning("event=checkpoint_broken %s", error)
        else:
            return path
    return None


def newest_state(folder: Path) -> TrainState | None:
    """The state of the newest checkpoint of which it is readable; None where there is none."""
    path = newest_checkpoint(folder)
    return None if path is None else read_state(path)


def recorded_identity(folder: Path) -> dict[str, Any]:
    """The plan's identity in the newest checkpoint whose state is readable; empty where there is none."""
    state = newest_state(folder)
    return state.identity if state else {}
