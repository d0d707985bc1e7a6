"""Checkpoints: everything that is needed to continue a training as if it had not stopped.

    OUT/checkpoints/step-00000400/model-00000.safetensors       weights; a file of each rank that has some
                                  optimizer-00000.safetensors   optimizer state by the name of its weight
                                  rng-00000.safetensors         random-number state
                                  state.json                    step, tokens, plan, sha256 of the others; written last

    step 400        401             402             403
    ├─ copy ─┤ train          train           train                    the copy is all that training waits for
             └──── write, checksum, fsync ─ state.json ─ delete old ─┘  in a thread

A checkpoint exists when its state.json does, and loses that file first when it is deleted or written again. Older
checkpoints are deleted only after a new one exists, so a kill at any moment leaves a whole one. A checkpoint that does
not load, or of which a bit has changed, is passed over for the one before it. Any number of ranks reads what any other
number wrote.
"""

import logging
import re
import shutil
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.state_dict_loader import load as load_tensors
from torch.distributed.checkpoint.state_dict_saver import save as save_tensors

from pretrain.checkpoint_storage import WEIGHTS, SafetensorsReader, SafetensorsWriter, check_file
from pretrain.config import CheckpointConfig
from pretrain.state import STATE, TrainState, checkpoint_paths, read_state, step_of
from shards.errors import GristmillError, RunError

log = logging.getLogger(__name__)

FIRST_MINUTES = 1.0  # after which there is a first checkpoint, so that a short training that is killed has one
_WRAPPERS = re.compile(r"\b(_orig_mod|_checkpoint_wrapped_module|module)\.")  # of torch.compile, recomputation and DDP


class Checkpoints:
    """The checkpoints of a training in `folder`; made, loaded and saved by all ranks.

    The newest one of at most `keep_up_to` steps stays as well, whatever `config` says.
    """

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        config: CheckpointConfig,
        *,
        keep_up_to: int | None = None,
    ) -> None:
        self._folder, self._model, self._optimizer = folder, model, optimizer
        self._config, self._keep_up_to = config, keep_up_to
        # Of its own, since training communicates while a checkpoint is written; and on CPU.
        self._group = dist.new_group(backend="gloo") if dist.is_initialized() else None
        is_cuda = torch.cuda.is_available()
        self._stager = DefaultStager(
            StagingOptions(
                use_pinned_memory=is_cuda,
                use_shared_memory=False,
                use_async_staging=False,
                use_non_blocking_copy=is_cuda,
            )
        )
        # A thread has device 0 unless it is told otherwise.
        of_device = (torch.cuda.set_device, (torch.cuda.current_device(),)) if is_cuda else (None, ())
        self._thread = ThreadPoolExecutor(1, "checkpoint", *of_device)
        self._saving: Future[None] | None = None
        self._room: Future[Any] | None = None

    def save(self, state: TrainState) -> None:
        """Save a checkpoint of `state.step`: copy what it holds, and write it while training goes on.

        Waits for the one before. RunError where that one or, unless it is asynchronous, this one could not be written.
        """
        self.wait()
        tensors = _tensors(self._model, self._optimizer)
        if not self._config.asynchronous:
            self._write(state, tensors)
            return
        if self._room is not None:
            self._room.result()
        copies = self._stager.stage(tensors)
        assert isinstance(copies, dict)
        self._saving = self._thread.submit(self._write, state, copies)

    def check(self) -> None:
        """Called after each step. RunError where a checkpoint that was being written could not be; waits for none."""
        if self._room is None and self._config.asynchronous:
            # Memory costs more at its first use than the copy: several times as much. So a first copy, of whatever the
            # tensors hold meanwhile, is made beside training.
            self._room = self._thread.submit(self._stager.stage, _tensors(self._model, self._optimizer))
        if self._saving is not None and self._saving.done():
            self.wait()

    def wait(self) -> None:
        """Wait until a checkpoint that is being written is whole. RunError where it could not be written."""
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def load_newest(self) -> TrainState | None:
        """Load the newest checkpoint that loads, with its random-number state; None where there is no checkpoint.

        RunError where there are checkpoints and none loads: to train anew over them is the user's decision.
        """
        problems = []
        for path in self._agreed(checkpoint_paths(self._folder)[::-1]):
            try:
                state = self._load(path)
            except RunError as error:
                problems.append(str(error))
                log.warning("event=checkpoint_passed_over %s", error)
            else:
                if problems:
                    log.warning("event=checkpoint_before step=%d path=%s", state.step, path)
                return state
        if problems:
            raise RunError(
                f"{self._folder}: none of its checkpoints loads ({len(problems)} tried); the newest: {problems[0]}; "
                f"restore one from a copy, or delete {self._folder} to train from the beginning"
            )
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the checkpoint that is being written; its error is logged where there is another one already."""
        try:
            self.wait()
        except RunError as error:
            if kind is None:
                raise
            log.warning("event=checkpoint_failed %s", error)
        finally:
            self._thread.shutdown()

    def _write(self, state: TrainState, tensors: dict[str, Tensor]) -> None:
        path = self._folder / f"step-{state.step:08d}"
        try:
            save_tensors(tensors, storage_writer=SafetensorsWriter(path, state), process_group=self._group)
        except CheckpointException as error:
            raise _cause(error, f"{path}: cannot be written") from error
        if self._rank == 0:
            self._delete_old(state.step)

    def _delete_old(self, newest: int) -> None:
        # Checkpoints of later steps did not load; otherwise training would have continued from them.
        steps = [step for step in map(step_of, checkpoint_paths(self._folder)) if step <= newest]
        kept = kept_steps(steps, self._config, self._keep_up_to)
        for path in self._folder.glob("step-*"):
            if step_of(path) not in kept:  # an older one, or the rest of one that a kill left
                (path / STATE).unlink(missing_ok=True)
                shutil.rmtree(path)

    def _load(self, path: Path) -> TrainState:
        state, problem = None, ""
        try:
            state = read_state(path)
            self._check(path, state)
        except RunError as error:
            problem = str(error)
        if problem := next(filter(None, self._gathered(problem)), ""):
            raise RunError(problem)
        assert state is not None
        reader = SafetensorsReader(path, list(state.sha256))
        try:
            saved = reader.read_metadata().state_dict_metadata
            load_tensors(tensors := self._room_for(saved), storage_reader=reader, process_group=self._group)
        except CheckpointException as error:
            raise _cause(error, f"{path}: does not fit the model") from None
        torch.set_rng_state(tensors["rng/cpu"])
        if "rng/cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng/cuda"])
        return state

    def _check(self, path: Path, state: TrainState) -> None:
        """RunError where a file is not as it was written; each rank reads its share of them."""
        world = 1 if self._group is None else dist.get_world_size()
        for name, sha256 in list(state.sha256.items())[self._rank :: world]:
            check_file(path / name, sha256)

    def _room_for(self, saved: dict[str, Any]) -> dict[str, Tensor]:
        """The tensors to load into: weights, an optimizer state as it was saved, and random-number states."""
        named = {_plain(name): parameter for name, parameter in self._model.named_parameters()}
        for key, what in saved.items():
            kind, name = key.split("/", 1)
            if kind == "optimizer" and isinstance(what, TensorStorageMetadata):
                weight, _, of_state = name.rpartition(".")
                if weight in named:
                    self._optimizer.state[named[weight]][of_state] = _empty_like(named[weight], what)
        tensors = _tensors(self._model, self._optimizer)
        return {key: tensor for key, tensor in tensors.items() if key in saved or not key.startswith("rng/")}

    @property
    def _rank(self) -> int:
        return 0 if self._group is None else dist.get_rank()

    def _agreed(self, paths: list[Path]) -> list[Path]:
        """Those of rank 0."""
        if self._group is None:
            return paths
        dist.broadcast_object_list(box := [paths], src=0, group=self._group)
        return box[0]

    def _gathered(self, problem: str) -> list[str]:
        """The problems of all ranks."""
        if self._group is None:
            return [problem]
        problems = [""] * dist.get_world_size()
        dist.all_gather_object(problems, problem, group=self._group)
        return problems


def is_due(step: int, config: CheckpointConfig) -> bool:
    """Whether a checkpoint is due after a step, whatever the time."""
    return any(step % every == 0 for every in (config.every, config.keep_every) if every)


def patience(config: CheckpointConfig, *, is_first: bool) -> float:
    """Minutes after which a checkpoint is due: from the one before, or from the start for the first one."""
    return min(FIRST_MINUTES, config.every_minutes) if is_first else config.every_minutes


def kept_steps(steps: Iterable[int], config: CheckpointConfig, keep_up_to: int | None = None) -> set[int]:
    """The steps whose checkpoints stay: the newest ones, each that `keep_every` divides, the newest to `keep_up_to`."""
    ordered = sorted(steps)
    kept = set(ordered[-config.keep_last :])
    if config.keep_every:
        kept |= {step for step in ordered if step % config.keep_every == 0}
    if keep_up_to is not None:
        kept |= set([step for step in ordered if step <= keep_up_to][-1:])
    return kept


def _tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors of a training by KIND/NAME; those of the optimizer have the name of their weight first."""
    tensors = {f"{WEIGHTS}/{_plain(name)}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{_plain(name)}.{key}"] = value
    tensors["rng/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["rng/cuda"] = torch.cuda.get_rng_state()
    return tensors


def _plain(name: str) -> str:
    """The name of a weight without those of wrappers."""
    return _WRAPPERS.sub("", name)


def _empty_like(parameter: Tensor, saved: TensorStorageMetadata) -> Tensor:
    """A tensor for optimizer state: sharded as its weight where it has its shape, and a whole one elsewhere."""
    if saved.size == parameter.shape:
        return torch.zeros_like(parameter, dtype=saved.properties.dtype, requires_grad=False)
    return torch.zeros(saved.size, dtype=saved.properties.dtype, device=parameter.device)


def _cause(error: CheckpointException, what: str) -> GristmillError:
    """The first of our own errors on any rank, or one that says `what` failed."""
    causes: list[BaseException] = [cause for _, (cause, _) in sorted(error.failures.items())]
    ours = [cause for cause in causes if isinstance(cause, GristmillError)]
    return ours[0] if ours else RunError(f"{what} ({(str(causes[0]).splitlines() or [repr(causes[0])])[0]})")
