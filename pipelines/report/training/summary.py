"""All that a training's page says, from the files of its folder, which are read and never written.

    train.toml, metrics.jsonl, held_out.jsonl, samples.jsonl, starts.jsonl, spikes/*.jsonl, checkpoints/, token folders

Any of them but train.toml may be missing, and any may be written at the same moment.
"""

import tomllib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.report.training import is_training
from pipelines.report.training.curves import Curves, read_lines, read_objects
from pretrain.config import TrainConfig, load_config
from pretrain.metrics import EVALUATIONS, METRICS, SAMPLES, STARTS
from pretrain.order.ledger import EpochLine, epoch_ledger
from pretrain.order.plan import SETTINGS, make_plan
from pretrain.state import CHECKPOINTS, newest_state
from shards.errors import GristmillError, UserError
from shards.lock import owner_of
from shards.token_manifest import read_token_manifest

SPIKES = "spikes"  # name in a training's `out`

Record = dict[str, Any]


@dataclass(frozen=True)
class Spike:
    """A step whose loss or gradient norm was far above those before it."""

    step: int
    documents: list[Record]

    @property
    def mean_loss(self) -> float | None:
        """Nats, over all labels of the step; None where it was not finite."""
        return self.documents[0].get("mean_loss_of_step") if self.documents else None


@dataclass(frozen=True)
class TrainingSummary:
    """A training, finished or not."""

    name: str
    config: TrainConfig
    curves: Curves
    is_running: bool
    evaluations: list[Record]
    samples: list[Record]
    starts: list[Record]
    spikes: list[Spike]
    plan_hash: str = ""
    tokenizer_sha256: str = ""
    vocab_size: int | None = None
    epochs: list[EpochLine] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # what could not be read, and why

    @property
    def step(self) -> int:
        return self.curves.last_step

    @property
    def is_finished(self) -> bool:
        return self.step >= self.config.steps

    @property
    def tokens(self) -> int:
        """Labels trained on."""
        return int(self.curves.last.get("tokens") or 0)

    @property
    def seconds_left(self) -> float | None:
        """By the time that steps took so far; None before the first one."""
        spent = self.curves.total("seconds")
        return spent / self.step * (self.config.steps - self.step) if self.step and spent else None


def summarize(folder: Path) -> TrainingSummary:
    """The training in a folder; UserError where there is none."""
    if not is_training(folder):
        raise UserError(f"{folder}: no training: has no {SETTINGS}")
    config = load_config(folder / SETTINGS, {"out": str(folder.resolve())})
    missing: list[str] = []
    owner = owner_of(folder)
    state = newest_state(folder / CHECKPOINTS)
    starts = read_lines(folder / STARTS)
    tokenizer_sha256, vocab_size = _tokenizer(config, missing)
    return TrainingSummary(
        name=folder.resolve().name,
        config=config,
        curves=Curves.read(folder / METRICS),
        is_running=owner is not None and not owner.is_dead(),
        evaluations=_with(read_lines(folder / EVALUATIONS), "held_out_bits_per_byte", dict),
        samples=_with(read_lines(folder / SAMPLES), "sample", str),
        starts=starts,
        spikes=_spikes(folder / SPIKES),
        plan_hash=state.plan_hash if state else str(starts[-1].get("plan", "")) if starts else "",
        tokenizer_sha256=tokenizer_sha256,
        vocab_size=vocab_size,
        epochs=_epochs(config, missing),
        missing=missing,
    )


def flat(values: Record, prefix: str = "") -> Record:
    """The values of nested tables by dotted key."""
    found: Record = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def settings_of(folder: Path) -> Record:
    """The settings of train.toml by dotted key, as they stand there."""
    return flat(tomllib.loads((folder / SETTINGS).read_text(encoding="utf-8")))


def started_at(record: Record) -> datetime | None:
    """When a start was; None where the record does not say."""
    try:
        return datetime.fromisoformat(str(record.get("started")))
    except ValueError:
        return None


def _with(records: list[Record], key: str, kind: type) -> list[Record]:
    """The records that have such a value, by step."""
    return sorted((record for record in records if isinstance(record.get(key), kind)), key=lambda one: int(one["step"]))


def _tokenizer(config: TrainConfig, missing: list[str]) -> tuple[str, int | None]:
    """(sha256, entries) of the tokenizer; ("", None) where the token folders are elsewhere now."""
    try:
        manifest = read_token_manifest(next(iter(config.source.values())).folder)
    except GristmillError as error:
        missing.append(str(error))
        return "", None
    return manifest.tokenizer_sha256, manifest.vocab_size


def _epochs(config: TrainConfig, missing: list[str]) -> list[EpochLine]:
    """The use of each source at the end of the training; empty where the token folders are elsewhere now."""
    try:
        return epoch_ledger(make_plan(config, check=False))
    except GristmillError as error:
        if str(error) not in missing:
            missing.append(str(error))
        return []


def _spikes(folder: Path) -> list[Spike]:
    """The spikes of a folder in order of step; the documents of each are lines of a file, the worst first."""
    found = []
    for path in sorted(folder.glob("step-*.jsonl")):  # step-00000503-2.jsonl is a second one, after a rollback
        step = path.stem.split("-")[1]
        if step.isdecimal():
            found.append(Spike(int(step), list(read_objects(path))))
    return found
