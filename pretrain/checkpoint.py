"""Checkpoints: everything that is needed to continue a training as if it had not stopped.

    OUT/checkpoints/step-00000400/model.safetensors    weights
                                  training.pt          optimizer and random-number state
                                  state.json           step, tokens, plan, sha256 of the others; written last

A checkpoint exists when its state.json does, and loses that file first when it is deleted or written again. Older
checkpoints are deleted only after a new one exists, so a kill at any moment leaves a whole one. A checkpoint that does
not load, or of which a bit has changed, is passed over for the one before it.
"""

import logging
import pickle
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from pretrain.state import STATE, TrainState, checkpoint_paths, read_state, step_of
from shards.atomic import atomic_file, write_bytes, write_json
from shards.errors import RunError
from shards.limits import check_limits
from shards.manifest import file_sha256

log = logging.getLogger(__name__)

_WEIGHTS, _TRAINING = "model.safetensors", "training.pt"


def save_checkpoint(
    folder: Path,
    state: TrainState,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    keep: int,
    keep_up_to: int | None = None,
) -> None:
    """Write the checkpoint of `state.step` and delete all but the newest `keep` up to that step.

    The newest one of at most `keep_up_to` steps is kept as well.

    RunError, before anything is written, where a weight is not finite.
    """
    if broken := next((name for name, tensor in model.state_dict().items() if not tensor.isfinite().all()), None):
        raise RunError(
            f"step {state.step}: {broken} is not finite, and no checkpoint was written; with a lower optimizer.lr "
            "train from the beginning, into another out"
        )
    path = folder / f"step-{state.step:08d}"
    (path / STATE).unlink(missing_ok=True)  # it exists only where this checkpoint did not load
    write_bytes(path / _WEIGHTS, save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}))
    with atomic_file(path / _TRAINING) as file:
        torch.save({"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}, file)
    sha256 = {name: file_sha256(path / name) for name in (_WEIGHTS, _TRAINING)}
    write_json(path / STATE, state.model_copy(update={"sha256": sha256}).model_dump())
    # Checkpoints of later steps did not load; otherwise training would have continued from them.
    older = [other for other in checkpoint_paths(folder) if other.name <= path.name]
    kept = older[-keep:]
    if keep_up_to is not None:
        kept += [other for other in older if step_of(other) <= keep_up_to][-1:]
    for other in folder.glob("step-*"):
        if other not in kept:  # an older one, or the rest of one that a kill left
            (other / STATE).unlink(missing_ok=True)
            shutil.rmtree(other)


def load_newest(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainState | None:
    """Load the newest checkpoint that loads, with its random-number state; None where there is no checkpoint.

    RunError where there are checkpoints and none loads: to train anew over them is the user's decision.
    """
    newest_first = checkpoint_paths(folder)[::-1]
    problems = []
    for path in newest_first:
        try:
            state = read_state(path)
            _check(path, state)
            _load(path, model, optimizer)
        except RunError as error:
            problems.append(str(error))
            log.warning("event=checkpoint_passed_over %s", error)
        else:
            if problems:
                log.warning("event=checkpoint_before step=%d path=%s", state.step, path)
            return state
    if problems:
        raise RunError(
            f"{folder}: none of its checkpoints loads ({len(problems)} tried); the newest: {problems[0]}; "
            f"restore one from a copy, or delete {folder} to train from the beginning"
        )
    return None


def set_aside(folder: Path, after: int) -> None:
    """Rename the checkpoints of steps above `after`, so that a training goes on from an earlier one."""
    for path in checkpoint_paths(folder):
        if step_of(path) > after:
            shutil.rmtree(aside := path.with_name(f"left-{path.name}"), ignore_errors=True)
            path.rename(aside)


def _check(path: Path, state: TrainState) -> None:
    """RunError where a file is not as it was written."""
    for name, sha256 in state.sha256.items():
        try:
            found = file_sha256(path / name)
        except OSError as error:
            check_limits(path / name, error)
            raise RunError(f"{path / name}: not readable ({error.strerror})") from None
        if found != sha256:
            raise RunError(f"{path / name}: is not as it was written: sha256 {found[:12]}, written was {sha256[:12]}")


def _load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    try:
        weights = load_file(path / _WEIGHTS)
    except (OSError, SafetensorError, ValueError) as error:
        check_limits(path / _WEIGHTS, error)
        raise RunError(f"{path / _WEIGHTS}: not readable ({_first_line(error)})") from None
    try:
        training = torch.load(path / _TRAINING, map_location="cpu", weights_only=True)
        # The error that torch raises depends on where the file is cut or damaged.
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, pickle.UnpicklingError) as error:
        check_limits(path / _TRAINING, error)
        raise RunError(f"{path / _TRAINING}: not readable ({_first_line(error)})") from None
    try:
        model.load_state_dict(weights)
        optimizer.load_state_dict(training["optimizer"])
        torch.set_rng_state(training["rng"])
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RunError(f"{path}: does not fit the model ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [repr(error)])[0]
