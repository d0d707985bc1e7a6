"""Finish a unit: join what its passes measured with what the global stages decided.

    facts and texts of all passes ─┐
    verdicts, spans, columns      ─┴─▶ shards/<source>/<key>.arrow, ledger/<key>.arrow, then the manifest

A row of the unit is known by its *row*, the position at which the reader gave it, which is also its position in the
ledger. The text file of a pass holds only the rows that are live there, so a global stage numbers rows otherwise: by
their *text row*, the position in that file.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.recipe import Pass
from pipelines.run.folder import RunFolder
from pipelines.run.unit_files import SIZES, added_columns, cut_columns
from shards.exchange import ExchangeUnit, spans_path
from shards.manifest import Manifest, WrittenFile, read_manifest, write_manifest
from shards.schema import VERDICT
from shards.sink import open_arrow, read_table
from shards.stats import Stats
from shards.unit_key import UnitKey


@dataclass(frozen=True)
class Applied:
    """A global stage's verdicts on one unit."""

    stage: str
    reason: str
    path: Path  # may be missing: no row was removed


@dataclass(frozen=True)
class FinishTask:
    run: RunFolder
    key: UnitKey
    passes: tuple[tuple[Pass, tuple[Applied, ...]], ...]
    ledger: pa.Schema
    fingerprint: str
    recipe: str  # resolved, as TOML


def finish_unit(task: FinishTask) -> Manifest:
    """Write the unit's shard and ledger, then its final manifest."""
    joined = _JoinedUnit(task.run, task.key, task.ledger)
    for pass_, verdicts in task.passes:
        last = joined.add_pass(pass_, verdicts)
    stored = open_arrow(last.text).schema
    fields = [*stored, *(field for field in last.added if field.name not in stored.names)]
    shard_schema = pa.schema([field for field in fields if field.name != "row"])
    shard, ledger = task.run.shard(task.key), task.run.ledger(task.key)
    with task.run.sink(ledger, task.ledger) as ledger_sink, task.run.sink(shard, shard_schema) as shard_sink:
        for batch in joined.table().combine_chunks().to_batches():
            ledger_sink.write(batch)
        for _, batch in last.batches(shard_schema.names):
            shard_sink.write(batch)
    first = _pass_manifest(task.run, 0, task.key)
    texts = {name: written for name, written in first.files.items() if name == task.run.texts(task.key)}
    final = Manifest(
        key=str(task.key),
        source=task.key.source,
        file=first.file,
        start=first.start,
        next_start=first.next_start,
        fingerprint=task.fingerprint,
        stats=joined.stats.to_json(),
        damage=joined.damage,
        files={shard: WrittenFile.of(shard_sink), ledger: WrittenFile.of(ledger_sink), **texts},
        recipe=task.recipe,
    )
    write_manifest(task.run.path(task.run.manifest(task.key)), final)
    return final


def _pass_manifest(run: RunFolder, number: int, key: UnitKey) -> Manifest:
    return read_manifest(run.path(run.pass_manifest(number, key)))


@dataclass
class _JoinedUnit:
    """All rows of a unit, as far as passes have been added."""

    run: RunFolder
    key: UnitKey
    ledger: pa.Schema
    stats: Stats = field(default_factory=Stats)
    damage: list[dict[str, Any]] = field(default_factory=list)
    columns: dict[str, pa.Array] = field(default_factory=dict)  # of all rows; null where nothing was measured
    reasons: list[list[str]] = field(default_factory=list)  # of each row; [] is kept
    twins: dict[int, tuple[str, float]] = field(default_factory=dict)  # by row: twin, similarity

    def add_pass(self, pass_: Pass, verdicts: tuple[Applied, ...]) -> ExchangeUnit:
        """Join one pass and the global stages that end it; the unit as these left it."""
        manifest = _pass_manifest(self.run, pass_.number, self.key)
        self.stats += Stats.from_json(manifest.stats)
        self.damage += manifest.damage
        self._add_facts(pass_)
        text = self.run.path(self.run.pass_file(pass_.number, self.key, "text"))
        text_rows = read_table(text, ["row"])["row"].to_numpy()
        is_live = np.ones(len(text_rows), np.bool_)
        for applied in verdicts:
            self._apply(applied, text_rows, is_live)
        left = ExchangeUnit(
            0, str(self.key), text, tuple(applied.path for applied in verdicts), added_columns(pass_.global_)
        )
        positions = _positions(text_rows, len(self.reasons))
        for added in left.added:
            values, before = left.added_column(added).take(positions), self.columns.get(added.name)
            # Rows that did not come so far keep what an earlier pass added.
            self.columns[added.name] = values if before is None else pc.if_else(values.is_valid(), values, before)
        self.num_live = int(np.count_nonzero(is_live))
        return left

    def table(self) -> pa.Table:
        """The ledger's rows, after the last pass."""
        self.stats.add("documents/kept", self.num_live)
        rows = range(len(self.reasons))
        twins = [self.twins.get(row, (None, None)) for row in rows]
        self.columns["drop_reasons"] = pa.array(self.reasons, VERDICT.field("drop_reasons").type)
        self.columns["twin"] = pa.array([twin for twin, _ in twins], pa.string())
        self.columns["similarity"] = pa.array([similarity for _, similarity in twins], pa.float64())
        return pa.table({f.name: self.columns[f.name] for f in self.ledger}, schema=self.ledger)

    def _add_facts(self, pass_: Pass) -> None:
        """Metrics, sizes and drop reasons that the pass's local stages gave."""
        facts = read_table(self.run.path(self.run.pass_file(pass_.number, self.key, "facts"))).combine_chunks()
        rows = facts["row"].to_numpy()
        if pass_.number == 0:
            self.reasons = [[] for _ in range(facts.num_rows)]
        positions = _positions(rows, len(self.reasons))
        for name in facts.schema.names:
            values = facts[name].combine_chunks().take(positions)
            # The latest pass that saw a row knows its size.
            again = name in SIZES.names and name in self.columns
            self.columns[name] = pc.coalesce(values, self.columns[name]) if again else values
        for row, reasons in zip(rows, facts["drop_reasons"].to_pylist(), strict=True):
            if reasons:
                self.reasons[row] = reasons

    def _apply(self, applied: Applied, text_rows: np.ndarray, is_live: np.ndarray) -> None:
        """Drop the rows that a global stage removed, also from bool `is_live`, and count what it left."""
        if applied.path.exists():
            verdict = read_table(applied.path).to_pydict()
            for text_row, twin, similarity in zip(*(verdict[n] for n in ("row", "twin", "similarity")), strict=True):
                row = int(text_rows[text_row])
                self.reasons[row], self.twins[row], is_live[text_row] = [applied.reason], (twin, similarity), False
            self.stats.add(f"dropped/{applied.reason}", len(verdict["row"]))
            self.stats.add(f"failed/{applied.reason}", len(verdict["row"]))
        if cut_columns(applied.stage).names[0] in self.ledger.names:
            self._count_cut(applied, text_rows, is_live)
        live = pa.array(text_rows[is_live])
        self.stats.add(f"funnel/{applied.stage}/documents", len(live))
        self.stats.add(f"funnel/{applied.stage}/characters", pc.sum(self.columns["text_chars"].take(live)).as_py() or 0)
        self.stats.add(f"funnel/{applied.stage}/bytes", pc.sum(self.columns["text_bytes"].take(live)).as_py() or 0)

    def _count_cut(self, applied: Applied, text_rows: np.ndarray, is_live: np.ndarray) -> None:
        """Set the `cut_columns` of a stage, and take the spans that it cut off the sizes of texts."""
        num_spans, chars, num_bytes = np.zeros((3, len(self.reasons)), np.int64)
        if spans_path(applied.path).exists():
            spans = read_table(spans_path(applied.path), ["row", "start", "end", "chars"])
            rows = text_rows[spans["row"].to_numpy()]
            np.add.at(num_spans, rows, 1)
            np.add.at(chars, rows, spans["chars"].to_numpy())
            np.add.at(num_bytes, rows, spans["end"].to_numpy() - spans["start"].to_numpy())
        self.stats.add(f"cut/{applied.stage}/documents", int(np.count_nonzero(num_spans)))
        self.stats.add(f"cut/{applied.stage}/spans", int(num_spans.sum()))
        self.stats.add(f"cut/{applied.stage}/characters", int(chars.sum()))
        not_live = np.ones(len(chars), np.bool_)
        not_live[text_rows[is_live]] = False
        counts = (pa.array(num_spans, mask=not_live), pa.array(chars, mask=not_live))
        self.columns |= dict(zip(cut_columns(applied.stage).names, counts, strict=True))
        self.columns["text_chars"] = pc.subtract(self.columns["text_chars"], pa.array(chars))
        self.columns["text_bytes"] = pc.subtract(self.columns["text_bytes"], pa.array(num_bytes))


def _positions(rows: np.ndarray, num_rows: int) -> pa.Array:
    """int64[num_rows]: the position of each row in `rows`, null where it is not there."""
    positions = np.full(num_rows, -1, np.int64)
    positions[rows] = np.arange(len(rows))
    return pa.array(positions, mask=positions < 0)
