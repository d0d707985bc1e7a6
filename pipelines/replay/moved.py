"""Documents that other settings bring back or drop: how many, and some of them with the values that decide."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.ledger.table import NOT_DROPPED
from pipelines.replay.replay import Replay
from shards.schema import KEPT
from shards.stage import StageConfig

PERHAPS = "kept perhaps"  # the fate of a document that only a run can decide


@dataclass(frozen=True)
class MovedDocument:
    id: str
    url: str
    language: str | None
    before: str  # "kept" or the first drop reason
    after: str  # the same, or "kept perhaps"
    metric: str | None  # of the rule that dropped it or will; None for a global stage
    value: Any


@dataclass(frozen=True)
class Moved:
    """The documents that change sides."""

    documents: int
    perhaps: int  # of them, those that only a run can decide
    examples: tuple[MovedDocument, ...]  # spread evenly over the ledger


def gained(replay: Replay, examples: int) -> Moved:
    """Documents that the run dropped and that are kept now, or perhaps."""
    recorded, decided = replay.fates()
    is_kept, is_doubtful = decided == NOT_DROPPED, decided == len(replay.reasons)
    return _moved(replay, (recorded != NOT_DROPPED) & (is_kept | is_doubtful), examples)


def lost(replay: Replay, examples: int) -> Moved:
    """Documents that the run kept and that are dropped now, or perhaps."""
    recorded, decided = replay.fates()
    return _moved(replay, (recorded == NOT_DROPPED) & (decided != NOT_DROPPED), examples)


def _moved(replay: Replay, mask: np.ndarray, examples: int) -> Moved:
    rows = np.flatnonzero(mask)
    doubtful = int(np.count_nonzero(replay.fates()[1][rows] == len(replay.reasons)))
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(examples, len(rows))).astype(np.int64))]
    return Moved(len(rows), doubtful, tuple(_documents(replay, chosen)))


def _documents(replay: Replay, rows: np.ndarray) -> Iterator[MovedDocument]:
    names = {-1: KEPT, len(replay.reasons): PERHAPS} | dict(enumerate(replay.reasons))
    metrics = _metrics(replay)
    recorded, decided = replay.fates()
    for row, facts in zip(rows.tolist(), replay.ledger.rows(rows.tolist()), strict=True):
        before, after = names[int(recorded[row])], names[int(decided[row])]
        config, metric = metrics.get(before if before != KEPT else after, (None, None))
        value = None if config is None or metric is None else _value(config, metric, facts)
        yield MovedDocument(facts["id"], facts["url"] or "", facts.get("language"), before, after, metric, value)


def _metrics(replay: Replay) -> dict[str, tuple[StageConfig, str]]:
    """By drop reason: the local stage that gives it, and the column that it compares."""
    local = [(step.config, step.rules) for step in replay.steps if isinstance(step.config, StageConfig)]
    return {rule.reason: (config, rule.metric) for config, rules in local for rule in rules}


def _value(config: StageConfig, metric: str, facts: dict[str, Any]) -> Any:
    derived = config.derived().get(metric)
    if derived is None:
        return facts.get(metric)
    type_ = config.columns().field(derived.source).type if derived.source in config.columns().names else None
    return derived.compute(pa.array([facts[derived.source]], type_))[0].as_py()
