"""Finish a block of units: join what its passes measured with what the global stages decided.

    facts and texts of all passes ─┐
    verdicts, spans, columns      ─┴─▶ for each unit shards/<source>/<key>.arrow, ledger/<key>.arrow, then its manifest

Rows are known by three numbers. The *row* of a unit is the position at which the reader gave it, which is its position
in the unit's ledger. The *block row* is its position when the units of the block are laid end to end. The text file of
a pass holds only the rows that are live there, so a global stage numbers rows otherwise: the *text row* is the position
in that file.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.recipe import Pass
from pipelines.run.blocks import MadeBlock, UnitBatches, read_block
from pipelines.run.dropped import Candidates, candidates
from pipelines.run.folder import RunFolder
from pipelines.run.unit_files import SIZES, added_columns, cut_columns
from shards.exchange import VERDICTS, Block, read_verdicts, spans_path
from shards.manifest import Manifest, WrittenFile, write_manifest
from shards.schema import VERDICT
from shards.sink import open_arrow, read_table
from shards.stats import Stats
from shards.unit_key import UnitKey


@dataclass(frozen=True)
class Applied:
    """A global stage's verdicts on a block of the exchange."""

    stage: str
    reason: str
    path: Path  # may be missing: no row was removed


@dataclass(frozen=True)
class Decided:
    """A pass, and what the global stages that end it decided."""

    pass_: Pass
    verdicts: tuple[Applied, ...]
    first: int  # number of the block's first text row in the verdicts


@dataclass(frozen=True)
class FinishTask:
    run: RunFolder
    key: UnitKey  # of the block
    passes: tuple[Decided, ...]
    ledger: pa.Schema
    fingerprint: str
    recipe: str  # resolved, as TOML
    dropped_per_rule: int


@dataclass(frozen=True)
class Finished:
    """What came of a task, beside its files."""

    manifests: tuple[Manifest, ...]
    dropped: Candidates


def finish_block(task: FinishTask) -> Finished:
    """Write shard and ledger of each unit of the block, then its final manifest."""
    joined = _JoinedBlock(task.run, task.key, task.ledger)
    for decided in task.passes:
        last = joined.add_pass(decided)
    stored = open_arrow(last.texts[0]).schema
    fields = [*stored, *(field for field in last.added if field.name not in stored.names)]
    shard_schema = pa.schema([field for field in fields if field.name != "row"])
    table = joined.table().combine_chunks()
    texts = UnitBatches(last, shard_schema.names)
    if len(joined.first.units) > 1:
        with task.run.sink(RunFolder.block_ledger(task.key), task.ledger) as sink:
            for batch in table.to_batches():
                sink.write(batch)
    manifests, begin = [], 0
    for number, unit in enumerate(joined.first.units):
        key = UnitKey.parse(unit.key)
        shard, ledger = task.run.shard(key), task.run.ledger(key)
        with task.run.sink(ledger, task.ledger) as ledger_sink, task.run.sink(shard, shard_schema) as shard_sink:
            for batch in table.slice(begin, unit.rows).to_batches():
                ledger_sink.write(batch)
            for batch in texts.of_next(joined.last.units[number].live_rows):
                shard_sink.write(batch)
        begin += unit.rows
        written = {shard: WrittenFile.of(shard_sink), ledger: WrittenFile.of(ledger_sink)}
        final = Manifest(
            key=unit.key,
            source=key.source,
            file=unit.file,
            start=unit.start,
            next_start=unit.next_start,
            fingerprint=task.fingerprint,
            stats=joined.stats[number].to_json(),
            damage=joined.damage[number],
            files=written if unit.texts is None else {**written, task.run.texts(key): unit.texts},
            recipe=task.recipe,
        )
        write_manifest(task.run.path(task.run.manifest(key)), final)
        manifests.append(final)
    dropped = candidates(table["id"], table["drop_reasons"], task.dropped_per_rule)
    return Finished(tuple(manifests), dropped)


@dataclass
class _JoinedBlock:
    """All rows of a block, as far as passes have been added."""

    run: RunFolder
    key: UnitKey
    ledger: pa.Schema
    stats: list[Stats] = field(default_factory=list)  # by unit, as the two lists below
    damage: list[list[dict[str, Any]]] = field(default_factory=list)
    columns: dict[str, pa.Array] = field(default_factory=dict)  # of all rows; null where nothing was measured
    reasons: list[list[str]] = field(default_factory=list)  # of each block row; [] is kept
    twins: dict[int, tuple[str, float]] = field(default_factory=dict)  # by block row: twin, similarity

    def add_pass(self, decided: Decided) -> Block:
        """Join one pass and the global stages that end it; the block as these left it."""
        number, stages = decided.pass_.number, decided.pass_.global_
        self.last = made = read_block(self.run.path(self.run.pass_manifest(number, self.key)))
        if number == 0:
            self._begin(made)
        for unit, of_pass in enumerate(made.units):
            self.stats[unit] += Stats.from_json(of_pass.stats)
            self.damage[unit] += of_pass.damage
        self._add_facts(number, made)
        text = self.run.path(self.run.pass_file(number, self.key, "text"))
        rows = read_table(text, ["row"])["row"].to_numpy() + self._begins[made.units_of("live_rows")]
        is_live = np.ones(len(rows), np.bool_)
        for applied in decided.verdicts:
            self._apply(applied, rows, is_live, decided.first)
        paths = tuple(applied.path for applied in decided.verdicts)
        left = Block(0, str(self.key), (text,), paths, added_columns(stages), decided.first)
        positions = _positions(rows, len(self.reasons))
        for added in left.added:
            values, before = left.added_column(added).take(positions), self.columns.get(added.name)
            # Rows that did not come so far keep what an earlier pass added.
            self.columns[added.name] = values if before is None else pc.if_else(values.is_valid(), values, before)
        self._live = rows[is_live]
        return left

    def table(self) -> pa.Table:
        """The ledger's rows, after the last pass."""
        self._add_stats("documents/kept", self._live)
        rows = range(len(self.reasons))
        twins = [self.twins.get(row, (None, None)) for row in rows]
        self.columns["drop_reasons"] = pa.array(self.reasons, VERDICT.field("drop_reasons").type)
        self.columns["twin"] = pa.array([twin for twin, _ in twins], pa.string())
        self.columns["similarity"] = pa.array([similarity for _, similarity in twins], pa.float64())
        return pa.table({f.name: self.columns[f.name] for f in self.ledger}, schema=self.ledger)

    def _begin(self, made: MadeBlock) -> None:
        self.first = made
        self._unit_of = made.units_of("rows")
        self._begins = np.cumsum([0, *(unit.rows for unit in made.units)])[:-1]  # block row at which a unit begins
        self.reasons = [[] for _ in self._unit_of]
        self.stats = [Stats() for _ in made.units]
        self.damage = [[] for _ in made.units]

    def _add_stats(self, name: str, rows: np.ndarray, amounts: np.ndarray | int = 1) -> None:
        """Add the amounts of block rows to the counts of their units."""
        sums = np.zeros(len(self.stats), np.int64)
        np.add.at(sums, self._unit_of[rows], amounts)
        for stats, amount in zip(self.stats, sums.tolist(), strict=True):
            stats.add(name, amount)

    def _add_facts(self, number: int, made: MadeBlock) -> None:
        """Metrics, sizes and drop reasons that the pass's local stages gave."""
        facts = read_table(self.run.path(self.run.pass_file(number, self.key, "facts"))).combine_chunks()
        rows = facts["row"].to_numpy() + self._begins[made.units_of("rows")]
        positions = _positions(rows, len(self.reasons))
        for name in facts.schema.names:
            values = facts[name].combine_chunks().take(positions)
            # The latest pass that saw a row knows its size.
            again = name in SIZES.names and name in self.columns
            self.columns[name] = pc.coalesce(values, self.columns[name]) if again else values
        fails = np.flatnonzero(pc.list_value_length(facts["drop_reasons"]).to_numpy() > 0)
        for row, reasons in zip(rows[fails], facts["drop_reasons"].take(pa.array(fails)).to_pylist(), strict=True):
            self.reasons[row] = reasons

    def _apply(self, applied: Applied, rows: np.ndarray, is_live: np.ndarray, first: int) -> None:
        """Drop the rows that a global stage removed, also from bool `is_live`, and count what it left.

        `rows` are the block rows of all text rows.
        """
        removed = read_verdicts(applied.path, first, len(rows))
        for text_row, twin, similarity in zip(*(removed[n].to_pylist() for n in VERDICTS.names), strict=True):
            row = int(rows[text_row])
            self.reasons[row], self.twins[row], is_live[text_row] = [applied.reason], (twin, similarity), False
        for what in ("dropped", "failed"):
            self._add_stats(f"{what}/{applied.reason}", rows[removed["row"].to_numpy()])
        if cut_columns(applied.stage).names[0] in self.ledger.names:
            self._count_cut(applied, rows, is_live, first)
        live = rows[is_live]
        self._add_stats(f"funnel/{applied.stage}/documents", live)
        for what, column in (("characters", "text_chars"), ("bytes", "text_bytes")):
            sizes = pc.fill_null(self.columns[column], 0).to_numpy()
            self._add_stats(f"funnel/{applied.stage}/{what}", live, sizes[live])

    def _count_cut(self, applied: Applied, rows: np.ndarray, is_live: np.ndarray, first: int) -> None:
        """Set the `cut_columns` of a stage, and take the spans that it cut off the sizes of texts."""
        num_spans, chars, num_bytes = np.zeros((3, len(self.reasons)), np.int64)
        spans = read_verdicts(spans_path(applied.path), first, len(rows), ["row", "start", "end", "chars"])
        cut = rows[spans["row"].to_numpy()]
        np.add.at(num_spans, cut, 1)
        np.add.at(chars, cut, spans["chars"].to_numpy())
        np.add.at(num_bytes, cut, spans["end"].to_numpy() - spans["start"].to_numpy())
        self._add_stats(f"cut/{applied.stage}/documents", np.flatnonzero(num_spans))
        self._add_stats(f"cut/{applied.stage}/spans", cut)
        self._add_stats(f"cut/{applied.stage}/characters", np.arange(len(chars)), chars)
        not_live = np.ones(len(chars), np.bool_)
        not_live[rows[is_live]] = False
        counts = (pa.array(num_spans, mask=not_live), pa.array(chars, mask=not_live))
        self.columns |= dict(zip(cut_columns(applied.stage).names, counts, strict=True))
        self.columns["text_chars"] = pc.subtract(self.columns["text_chars"], pa.array(chars))
        self.columns["text_bytes"] = pc.subtract(self.columns["text_bytes"], pa.array(num_bytes))


def _positions(rows: np.ndarray, num_rows: int) -> pa.Array:
    """int64[num_rows]: the position of each row in `rows`, null where it is not there."""
    positions = np.full(num_rows, -1, np.int64)
    positions[rows] = np.arange(len(rows))
    return pa.array(positions, mask=positions < 0)
