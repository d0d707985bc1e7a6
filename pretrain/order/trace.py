"""The trace of a step: which piece of which document stands in which row of its batch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pretrain.config import load_config
from pretrain.order.plan import SETTINGS, Plan, differing_keys, make_plan
from pretrain.state import CHECKPOINTS, recorded_identity
from shards.errors import UserError


@dataclass(frozen=True)
class TracedSegment:
    """A segment of a document that a step was trained on."""

    batch_row: int  # 0, 1, … in the global batch
    source: str
    epoch: int  # 0, 1, … of the source
    id: str  # of the document
    url: str
    start: int  # tokens [start, end) of the document were predicted, from those before them
    end: int
    num_masked: int  # tokens in [start, end) that were not learned


def trace_step(config_path: Path, step: int) -> list[TracedSegment]:
    """The segments that the training step `step` was trained on; steps count 1, 2, … as metrics.jsonl does.

    UserError for a step outside the training, and for a file that its `out` was not trained by (because of `--set` or a
    later change), since its trace would be another one.
    """
    config = load_config(config_path, {})
    plan = make_plan(config)
    _check_trained_by(plan, config_path)
    if not 1 <= step <= config.steps:
        raise UserError(f"step {step}: expected 1 … {config.steps}")
    return traced_segments(plan, step - 1)


def traced_segments(plan: Plan, step: int) -> list[TracedSegment]:
    """Every segment in the global batch of `step` = 0, 1, …, by row."""
    segments = []
    rows = zip(*map(np.ndarray.tolist, plan.rows_of_step(step)), strict=True)
    for batch_row, (source_number, epoch, row) in enumerate(rows):
        source = plan.sources[source_number]
        for document, start, end in plan.planned.segments(source_number, row):
            origin = source.documents.provenance(document)
            num_masked = sum(last - first for first, last in source.documents.masked(document, start + 1, end + 1))
            segments.append(
                TracedSegment(batch_row, source.name, epoch, origin.id, origin.url, start + 1, end + 1, num_masked)
            )
    return segments


def _check_trained_by(plan: Plan, path: Path) -> None:
    """UserError where the training in `out` has another plan; without a training there is nothing to compare with."""
    out = Path(plan.config.out)
    settings = out / SETTINGS
    identity = recorded_identity(out / CHECKPOINTS)
    if not identity and settings.exists():
        identity = make_plan(load_config(settings, {})).identity  # before the first checkpoint
    if identity and (keys := differing_keys(plan.identity, identity)):
        changed_tokens = [key for key in keys if key in plan.token_digests]
        remedy = "tokenize their shards as they were" if keys == changed_tokens else f"use {settings}"
        raise UserError(f"{path}: {out} was trained with other settings; they differ in {', '.join(keys)}; {remedy}")
