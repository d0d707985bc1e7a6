"""The trace of a step: which piece of which document stands in which row of its batch, down to the crawl's record.

step ──plan──▶ rows of the batch ──▶ pieces of documents ──token shard──▶ URL, ledger row, file and offset
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pretrain.config import load_config
from pretrain.order.plan import SETTINGS, Plan, differing_keys, load_training, make_plan
from pretrain.state import CHECKPOINTS, recorded_identity
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.errors import UserError
from shards.token_manifest import TOKENIZER
from shards.tokens import Provenance


@dataclass(frozen=True)
class TracedSegment:
    """A segment of a document that a step was trained on."""

    batch_row: int  # 0, 1, … in the global batch
    source: str
    epoch: int  # 0, 1, … of the source
    origin: Provenance  # of the document
    start: int  # tokens [start, end) of the document were predicted, from those before them
    end: int
    num_masked: int  # tokens in [start, end) that were not learned
    text: str  # of the tokens [start, end); "" where it is not asked for

    @property
    def id(self) -> str:
        return self.origin.id

    @property
    def url(self) -> str:
        return self.origin.url


def trace_step(
    training: Path, step: int, *, rank: int = 0, world: int = 1, with_text: bool = False
) -> list[TracedSegment]:
    """The segments that the training step `step` was trained on; steps count 1, 2, … as metrics.jsonl does.

    `training` is the folder of a training or its TRAIN.toml. With a `world` of several devices, those of one `rank`.
    UserError for a step, rank or world outside the training, and for a file that its `out` was not trained by (because
    of `--set` or a later change), since its trace would be another one.
    """
    config = load_training(training)
    if world < 1 or config.batch_size % world:
        raise UserError(f"--world {world}: must divide batch_size {config.batch_size}")
    if not 0 <= rank < world:
        raise UserError(f"--rank {rank}: expected 0 … {world - 1}; --world says how many ranks there are")
    plan = make_plan(config)
    _check_trained_by(plan, training)
    if not 1 <= step <= config.steps:
        raise UserError(f"step {step}: expected 1 … {config.steps}")
    return traced_segments(plan, step - 1, rank=rank, world=world, with_text=with_text)


def traced_segments(
    plan: Plan, step: int, *, rank: int = 0, world: int = 1, with_text: bool = False
) -> list[TracedSegment]:
    """Every segment in the batch that `rank` of `world` devices has at `step` = 0, 1, …, by row."""
    tokenizer = Tokenizer(plan.sources[0].folder / TOKENIZER) if with_text else None
    segments = []
    rows = zip(*map(np.ndarray.tolist, plan.rows_of_step(step, rank, world)), strict=True)
    for number, (source_number, epoch, row) in enumerate(rows):
        source, batch_row = plan.sources[source_number], rank + number * world
        documents = source.documents
        for document, first, last in plan.planned.segments(source_number, row):
            start, end = first + 1, last + 1
            num_masked = sum(last - first for first, last in documents.masked(document, start, end))
            text = tokenizer.decode(documents.tokens(document, start, end)) if tokenizer is not None else ""
            origin = documents.provenance(document)
            segments.append(TracedSegment(batch_row, source.name, epoch, origin, start, end, num_masked, text))
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
