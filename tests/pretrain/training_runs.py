"""Short trainings for the tests, and what they leave in their folders."""

import json
from collections.abc import Callable
from pathlib import Path

from pretrain.metrics import Record
from pretrain.train import TrainSummary, train_model


def train(path: Path, progress: Callable[[Record], None] = lambda record: None, **overrides: str) -> TrainSummary:
    return train_model(path, overrides=overrides, progress=progress)


def curve(out: Path) -> list[tuple[int, float, int, dict[str, float]]]:
    """The records of steps without speeds: what must not depend on kills."""
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [(r["step"], r["loss"], r["tokens"], r["loss_by_source"]) for r in records]


def evaluations(out: Path) -> list[Record]:
    return [json.loads(line) for line in (out / "held_out.jsonl").read_text().splitlines()]
