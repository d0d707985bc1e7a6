"""Batches by number: `batch(step)` is a function of the plan, so resuming is asking for the next number.

    places of step n       n · batch_size … (n + 1) · batch_size - 1
    rank r of a world of w    every w-th of them, from r on

The union over ranks is the same for every world size. Nothing is read ahead that has to be remembered: the loader's
whole state is the step and the plan's hash.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pretrain.config import load_config
from pretrain.order.packing import NO_LABEL, fill
from pretrain.order.plan import SETTINGS, Plan, differing_keys, make_plan
from pretrain.state import CHECKPOINTS, recorded_identity
from shards.errors import UserError


@dataclass(frozen=True)
class Batch:
    """Rows to train on. B rows of T tokens; a position of 0 begins a document's segment."""

    tokens_BT: np.ndarray  # int64
    labels_BT: np.ndarray  # int64; NO_LABEL where nothing is predicted
    positions_BT: np.ndarray  # int64
    source_B: np.ndarray  # int64: number of the row's source
    max_segments: int  # most segments in a row of the whole plan: a bound that does not change from batch to batch

    @property
    def num_labels(self) -> int:
        return int((self.labels_BT != NO_LABEL).sum())

    def labels_by_source(self, num_sources: int) -> np.ndarray:
        """int64[sources]: labels in each source's rows."""
        in_row = (self.labels_BT != NO_LABEL).sum(axis=1)
        return np.bincount(self.source_B, weights=in_row, minlength=num_sources).astype(np.int64)

    def sum_squared_lengths(self) -> int:
        """Of all segments: the pairs of positions that attention works on, before the causal half is left out."""
        starts = np.flatnonzero(self.positions_BT == 0)
        return int((np.diff(starts, append=self.positions_BT.size) ** 2).sum())

    def split(self, num_rows: int) -> Iterator["Batch"]:
        """Micro-batches of `num_rows` rows."""
        for i in range(0, len(self.source_B), num_rows):
            own = slice(i, i + num_rows)
            yield Batch(
                self.tokens_BT[own], self.labels_BT[own], self.positions_BT[own], self.source_B[own], self.max_segments
            )


@dataclass(frozen=True)
class Trace:
    """A piece of a document that a step was trained on."""

    slot: int  # of the row in the global batch
    source: str
    epoch: int
    id: str
    url: str
    start: int  # tokens [start, end) of the document were predicted, from those before them
    end: int
    num_masked: int  # of them, that were not learned


class Loader:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._max_segments = max(source.packing.max_segments for source in plan.sources)

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """The rows of `step` = 0, 1, … for one of `world` devices."""
        source_B, _, row_B = self._sample(step, rank, world)
        shape = len(source_B), self.plan.config.sequence_length
        tokens, labels, positions = (np.empty(shape, np.int64) for _ in range(3))
        for s in np.unique(source_B):
            own = source_B == s
            source = self.plan.sources[s]
            tokens[own], labels[own], positions[own] = fill(source.documents, source.packing, row_B[own])
        return Batch(tokens, labels, positions, source_B, self._max_segments)

    def trace(self, step: int) -> list[Trace]:
        """Every piece of every document in the global batch of `step` = 0, 1, …"""
        traces = []
        for slot, (s, epoch, row) in enumerate(zip(*map(np.ndarray.tolist, self._sample(step, 0, 1)), strict=True)):
            source = self.plan.sources[s]
            for document, start, end in source.packing.segments(row):
                origin = source.documents.provenance(document)
                masked = sum(b - a for a, b in source.documents.masked(document, start + 1, end + 1))
                traces.append(Trace(slot, source.name, epoch, origin.id, origin.url, start + 1, end + 1, masked))
        return traces

    def _sample(self, step: int, rank: int, world: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        size = self.plan.config.batch_size
        assert size % world == 0, f"batch_size {size} does not divide by a world of {world}"
        return self.plan.mixture.sample(np.arange(step * size + rank, (step + 1) * size, world))


def trace(config_path: Path, step: int) -> list[Trace]:
    """What the training step that metrics.jsonl calls `step` (1, 2, …) was trained on.

    A file that its `out` was not trained by, because of `--set` or a change since, is refused: it would tell of others.
    """
    config = load_config(config_path, {})
    plan = make_plan(config)
    _check_trained_by(plan, config_path)
    if not 1 <= step <= config.steps:
        raise UserError(f"step {step}: expected 1 … {config.steps}")
    return Loader(plan).trace(step - 1)


def _check_trained_by(plan: Plan, path: Path) -> None:
    out = Path(plan.config.out)
    settings = out / SETTINGS
    identity = recorded_identity(out / CHECKPOINTS)
    if not identity and settings.exists():
        identity = make_plan(load_config(settings, {})).identity  # before the first checkpoint
    if identity and (keys := differing_keys(plan.identity, identity)):
        changed = [key for key in keys if key in plan.token_digests]
        remedy = "tokenize their shards as they were" if keys == changed else f"give {settings}"
        raise UserError(f"{path}: {out} was trained by other settings; they differ in {', '.join(keys)}; {remedy}")
