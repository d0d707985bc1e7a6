"""What a training writes down as it goes: its settings, a line for each step and one for each evaluation.

OUT/train.toml      the settings with all defaults and overrides
    tokenizer.json  that of the token folders
    metrics.jsonl   one line a step: step, loss, tokens, tokens_per_s, loss_by_source, …
    held_out.jsonl  one line an evaluation: step, held_out_bits_per_byte by source
    samples.jsonl   one line a sample of text: step, prompt, sample; where samples are asked for
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import tomli_w

from pretrain.checkpoint import patience
from pretrain.config import CheckpointConfig, TrainConfig
from pretrain.metrics import BATCH_CHECKSUM, EVALUATIONS, METRICS, SAMPLES, MetricsFile, Record
from pretrain.model import Model
from pretrain.monitor import Monitor
from pretrain.order.batch import Batch
from pretrain.order.plan import SETTINGS
from pretrain.state import TrainState
from pretrain.step import StepResult
from shards import mirror
from shards.atomic import write_bytes
from shards.token_manifest import TOKENIZER

log = logging.getLogger(__name__)


class Journal:
    """The files of a training, of which the rank that leads writes one line after the other."""

    def __init__(
        self, config: TrainConfig, first_step: int, progress: Callable[[Record], None], *, is_leader: bool
    ) -> None:
        """Records after `first_step` are of steps that no checkpoint holds, and are deleted when this is opened."""
        self._config, self._first_step, self._progress, self._is_leader = config, first_step, progress, is_leader
        self._stack = ExitStack()
        self._files: dict[str, MetricsFile] = {}

    def __enter__(self) -> Self:
        if self._is_leader:
            out = Path(self._config.out)
            write_bytes(out / SETTINGS, tomli_w.dumps(self._config.model_dump(exclude_none=True)).encode())
            source = next(iter(self._config.source.values()))
            write_bytes(out / TOKENIZER, mirror.read_bytes(source.folder / TOKENIZER))
            wants_samples = self._config.monitor.sample_every is not None
            for name in (METRICS, EVALUATIONS, *[SAMPLES] * wants_samples):
                file = MetricsFile(out / name, self._first_step, self._progress)
                self._files[name] = self._stack.enter_context(file)
            num_kept, path = self._files[METRICS].num_kept, out / METRICS
            if num_kept < self._first_step:
                log.warning("event=records_lost file=%s: %d of its first %d steps", path, num_kept, self._first_step)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def done(self, record: Record) -> None:
        """Write the record of a step."""
        if self._is_leader:
            self._files[METRICS].append(record)

    def evaluated(
        self, step: int, bits_per_byte: dict[str, float], tasks: dict[str, dict[str, float]] | None = None
    ) -> None:
        """Write the record of an evaluation; `tasks` are the figures of each task."""
        if self._is_leader:
            record = {"step": step, "held_out_bits_per_byte": bits_per_byte}
            self._files[EVALUATIONS].append(record | ({"tasks": tasks} if tasks else {}))

    def sampled(self, records: Iterable[Record]) -> None:
        """Write the records of samples of text."""
        for record in records if self._is_leader else ():
            self._files[SAMPLES].append(record)

    def sync(self) -> None:
        """Put all records on disk. Called before a checkpoint says that their steps are done."""
        for file in self._files.values():
            file.sync()


class Clock:
    """The time that steps take, with waiting for batches and without evaluations and checkpoints, and that since a
    checkpoint."""

    def __init__(self, config: CheckpointConfig, *, is_first: bool) -> None:
        """`is_first` says that there is no checkpoint yet."""
        self._config, self._is_first = config, is_first
        self._lap_began_at = self._saved_at = time.perf_counter()
        self._waited_s: list[float] = []  # of the steps that are launched and not read

    def saved(self) -> None:
        self._saved_at, self._is_first = time.perf_counter(), False

    def is_checkpoint_due(self) -> bool:
        """Whether it is time for one, whatever the step."""
        return (time.perf_counter() - self._saved_at) / 60 >= patience(self._config, is_first=self._is_first)

    def restart(self) -> None:
        self._lap_began_at = time.perf_counter()

    def lap(self, ended_at: float) -> tuple[float, float]:
        """(seconds of the step that ended then, seconds that it waited for its batch)."""
        seconds, self._lap_began_at = ended_at - self._lap_began_at, ended_at
        return seconds, self._waited_s.pop(0)

    def waits(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches; what they are waited for is noted."""
        while True:
            began_at = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            self._waited_s.append(time.perf_counter() - began_at)
            yield batch


def step_record(
    state: TrainState, result: StepResult, lap: tuple[float, float], model: Model, monitor: Monitor
) -> Record:
    """The line of a step in metrics.jsonl; `lap` is its time by `Clock`."""
    seconds, wait_s = lap
    flops = model.training_flops(result.num_labels, result.sum_squared_lengths)
    record: Record = {"step": state.step, "loss": result.loss, "tokens": state.tokens, "lr": result.lr}
    record |= {"grad_norm": result.grad_norm, "loss_by_source": result.loss_by_source}
    record |= monitor.speed(flops=flops, num_tokens=result.num_labels, seconds=seconds, wait_s=wait_s)
    record |= {"loss_by_bucket": result.loss_by_bucket} if result.loss_by_bucket else {}
    return record | {BATCH_CHECKSUM: f"{result.checksum:016x}"}
