"""The whole abstraction on one page: stages measure, `decide` gives verdicts, `split` separates kept from dropped.

    for each stage:   batch ──stage──▶ same rows, new columns ──decide(rules)──▶ drop_reasons
    stages that stop: ──split──▶ kept go on, dropped are removed at once
    at the end:       ──split──▶ kept: text for the next pass or the shard; all rows: facts for the ledger

A row is dropped by the first stage with a failing rule, and `drop_reasons` lists every failing rule of that stage.
Rows in = kept + dropped, since `split` is the only place that removes rows, and it returns both parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.schema import VERDICT
from shards.stage import Batch, Rule, Stage, StageConfig, with_columns
from shards.stats import Stats

_REASONS = VERDICT.field("drop_reasons").type


@dataclass
class Measured:
    """What a pass made of one batch of rows."""

    kept: Batch
    dropped: list[Batch]  # one part for each stage that stops, and one at the end; empty parts are left out
    seconds: dict[str, float] = field(default_factory=dict)  # by stage name


def measure(batch: Batch, stages: Sequence[tuple[StageConfig, Stage]], stats: Stats) -> Measured:
    """Run `batch` through local stages. Counts go to `stats`: `failed/<reason>`, `dropped/<reason>` and
    `funnel/<stage>/documents|characters|bytes` of what was kept after each stage."""
    if "drop_reasons" not in batch.schema.names:
        batch = with_columns(batch, {"drop_reasons": pa.array([[]] * batch.num_rows, _REASONS)})
    dropped, seconds = [], {}
    for config, stage in stages:
        began = perf_counter()
        num_rows = batch.num_rows
        batch = run_stage(batch, config, stage)
        assert batch.num_rows == num_rows, f"{config.name} returned {batch.num_rows} of {num_rows} rows"
        batch = decide(batch, config.rules(), stats)
        if config.stops:
            batch, removed = split(batch)
            dropped.append(removed)
            count_funnel(stats, config.name, batch)
        else:
            sized = batch.select([name for name in ("text", "payload") if name in batch.schema.names])
            count_funnel(stats, config.name, sized.filter(_live(batch)))
        seconds[config.name] = perf_counter() - began
    kept, removed = split(batch)
    dropped = [part for part in (*dropped, removed) if part.num_rows]
    for part in dropped:
        for reasons in part["drop_reasons"].to_pylist():
            stats.add(f"dropped/{reasons[0]}")
    return Measured(kept, dropped, seconds)


def decide(batch: Batch, rules: Sequence[Rule], stats: Stats) -> Batch:
    """`batch` with `drop_reasons` set for rows that had none and fail; a null metric was not measured and passes."""
    if not rules or not batch.num_rows:
        return batch
    languages = languages_of(batch.schema.names, batch.__getitem__)
    fails = [(rule.reason, failing(metric_of(rule, batch.__getitem__), rule, languages)) for rule in rules]
    for reason, mask in fails:
        stats.add(f"failed/{reason}", int(mask.sum()))
    newly = np.logical_or.reduce([mask for _, mask in fails]) & _live(batch).to_numpy(zero_copy_only=False)
    if not newly.any():
        return batch
    lists = batch["drop_reasons"].to_pylist()
    for row in np.flatnonzero(newly):
        lists[row] = [reason for reason, mask in fails if mask[row]]
    return with_columns(batch, {"drop_reasons": pa.array(lists, _REASONS)})


def run_stage(batch: Batch, config: StageConfig, stage: Stage) -> Batch:
    """`stage(batch)`; with `only_languages`, rows of other languages keep their text and get null metrics."""
    if not config.only_languages:
        return stage(batch)
    chosen = pc.fill_null(pc.is_in(batch["language"], value_set=pa.array(config.only_languages)), False)
    done = stage(batch.filter(chosen))
    mask = chosen.to_numpy(zero_copy_only=False)
    index = pa.array(np.cumsum(mask) - 1, mask=~mask)
    columns = {name: done[name].take(index) for name in config.columns().names if name != "text"}
    if config.edits:
        columns["text"] = pc.if_else(chosen, done["text"].take(index), batch["text"])
    return with_columns(batch, columns)


def metric_of(rule: Rule, column: Callable[[str], pa.Array]) -> pa.Array:
    """The metric that `rule` compares, null in rows that it does not apply to; `column` gives a column by its name."""
    metric = column(rule.metric)
    if rule.language is None:
        return metric
    return pc.if_else(pc.equal(column("language"), rule.language), metric, pa.scalar(None, metric.type))


def languages_of(names: Sequence[str], column: Callable[[str], pa.Array]) -> pa.Array | None:
    """The language of each row, from columns of these names; None where no stage and no source gives it."""
    return column("language") if "language" in names else None


def failing(metric: pa.Array, rule: Rule, languages: pa.Array | None = None) -> np.ndarray:
    """bool[rows]: True for a metric outside the limits of its row, whose language is that of `languages`."""
    below, above = outside(metric, rule, languages)
    fails: np.ndarray = below | above
    return fails


def outside(metric: pa.Array, rule: Rule, languages: pa.Array | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(bool[rows]: below the smallest value kept, bool[rows]: above the largest)."""
    below, above = (
        np.zeros(len(metric), np.bool_)
        if limit is None
        else pc.fill_null(compare(metric, limit), False).to_numpy(zero_copy_only=False)
        for limit, compare in zip(_limits(metric, rule, languages), (pc.less, pc.greater), strict=True)
    )
    return below, above


def _limits(metric: pa.Array, rule: Rule, languages: pa.Array | None) -> list[pa.Scalar | pa.Array | None]:
    """The smallest and the largest value kept, for all rows or for each; None and null where there is no limit.

    They are of the metric's own type: int64 against float64 would round counts above 2**53.
    """
    if languages is None or not rule.by_language:
        own = (rule.min_kept, rule.max_kept)
        return [None if limit is None else pa.scalar(limit, metric.type, from_pandas=False) for limit in own]
    coded = languages.dictionary_encode()
    of_rows = pc.fill_null(coded.indices, len(coded.dictionary))
    of_languages = zip(*map(rule.limits, [*coded.dictionary.to_pylist(), None]), strict=True)
    return [pa.array(limits, metric.type, from_pandas=False).take(of_rows) for limits in of_languages]


def split(batch: Batch) -> tuple[Batch, Batch]:
    """(kept, dropped); together they are all rows."""
    live = _live(batch)
    if pc.all(live).as_py():
        return batch, batch.slice(0, 0)  # no copy of the pages
    kept, dropped = batch.filter(live), batch.filter(pc.invert(live))
    assert kept.num_rows + dropped.num_rows == batch.num_rows
    return kept, dropped


def count_funnel(stats: Stats, stage: str, kept: Batch) -> None:
    stats.add(f"funnel/{stage}/documents", kept.num_rows)
    text = kept["text"]
    if text.null_count < len(text):
        stats.add(f"funnel/{stage}/characters", pc.sum(pc.utf8_length(text)).as_py() or 0)
        stats.add(f"funnel/{stage}/bytes", pc.sum(pc.binary_length(text)).as_py() or 0)
    elif "payload" in kept.schema.names:
        stats.add(f"funnel/{stage}/bytes", pc.sum(pc.binary_length(kept["payload"])).as_py() or 0)


def _live(batch: Batch) -> pa.Array:
    return pc.equal(pc.list_value_length(batch["drop_reasons"]), 0)
