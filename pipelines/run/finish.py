"""A unit from its last pass into the run: what its passes measured and the global stages decided, joined.

all passes + verdicts ──▶ shards/<source>/<key>.arrow, ledger/<key>.arrow, shards/<source>/<key>.json
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.recipe import Pass
from pipelines.run.extracted_texts import texts_name
from pipelines.run.unit_files import SIZES, added_columns, cut_columns, work_file
from shards.exchange import ExchangeUnit, spans_path
from shards.manifest import Manifest, WrittenFile, read_manifest, write_manifest
from shards.schema import VERDICT
from shards.sink import ArrowSink, open_arrow, read_table
from shards.stats import Stats


@dataclass(frozen=True)
class Applied:
    """A global stage's verdicts on one unit."""

    stage: str
    reason: str
    path: Path  # may be missing: no row was removed


@dataclass(frozen=True)
class FinishTask:
    run: Path
    key: str
    source: str
    passes: tuple[tuple[Pass, tuple[Applied, ...]], ...]
    ledger: pa.Schema
    fingerprint: str
    recipe: str  # resolved, as TOML

    def work(self, number: int, what: str) -> Path:
        return work_file(self.run / "work" / str(number) / self.key, what)

    @property
    def ledger_path(self) -> Path:
        return self.run / "ledger" / f"{self.key}.arrow"

    @property
    def manifest_path(self) -> Path:
        return self.run / "shards" / self.source / f"{self.key}.json"


def finish_unit(task: FinishTask) -> Manifest:
    """Join a unit's passes and verdicts into its shard, its ledger and its final manifest."""
    stats = Stats()
    damage: list[dict[str, Any]] = []
    columns: dict[str, pa.Array] = {}
    reasons: list[list[str]] = []
    twins: dict[int, tuple[str, float]] = {}
    live = np.zeros(0, np.int64)
    for pass_, verdicts in task.passes:
        manifest = read_manifest(task.work(pass_.number, "text").with_name(task.key + ".json"))
        stats += Stats.from_json(manifest.stats)
        damage += manifest.damage
        facts = read_table(task.work(pass_.number, "facts")).combine_chunks()
        rows = facts["row"].to_numpy()
        if pass_.number == 0:
            reasons = [[] for _ in range(facts.num_rows)]
        place = np.full(len(reasons), -1, np.int64)
        place[rows] = np.arange(len(rows))
        index = pa.array(place, mask=place < 0)
        for name in facts.schema.names:
            taken = facts[name].combine_chunks().take(index)
            columns[name] = pc.coalesce(taken, columns[name]) if name in SIZES.names and name in columns else taken
        for row, given in zip(rows, facts["drop_reasons"].to_pylist(), strict=True):
            if given:
                reasons[row] = given
        text_rows = read_table(task.work(pass_.number, "text"), ["row"])["row"].to_numpy()
        alive = np.ones(len(text_rows), np.bool_)
        for applied in verdicts:
            if applied.path.exists():
                verdict = read_table(applied.path).to_pydict()
                for at, twin, similarity in zip(verdict["row"], verdict["twin"], verdict["similarity"], strict=True):
                    row = int(text_rows[at])
                    reasons[row], twins[row], alive[at] = [applied.reason], (twin, similarity), False
                stats.add(f"dropped/{applied.reason}", len(verdict["row"]))
                stats.add(f"failed/{applied.reason}", len(verdict["row"]))
            if cut_columns(applied.stage).names[0] in task.ledger.names:
                columns |= _count_cut(applied, text_rows, alive, columns, stats)
            left = pa.array(text_rows[alive])
            stats.add(f"funnel/{applied.stage}/documents", len(left))
            stats.add(f"funnel/{applied.stage}/characters", pc.sum(columns["text_chars"].take(left)).as_py() or 0)
            stats.add(f"funnel/{applied.stage}/bytes", pc.sum(columns["text_bytes"].take(left)).as_py() or 0)
        unit = _unit(pass_, task, verdicts)
        place = np.full(len(reasons), -1, np.int64)
        place[text_rows] = np.arange(len(text_rows))
        index = pa.array(place, mask=place < 0)
        for field in unit.added:
            columns[field.name] = _later(unit.added_column(field).take(index), columns.get(field.name))
        live = np.flatnonzero(alive)
    columns["drop_reasons"] = pa.array(reasons, VERDICT.field("drop_reasons").type)
    columns["twin"] = pa.array([twins[r][0] if r in twins else None for r in range(len(reasons))], pa.string())
    columns["similarity"] = pa.array([twins[r][1] if r in twins else None for r in range(len(reasons))], pa.float64())
    stats.add("documents/kept", len(live))
    pass_, verdicts = task.passes[-1]
    stored = open_arrow(unit.text).schema
    fields = [*stored, *(field for field in unit.added if field.name not in stored.names)]
    shard_schema = pa.schema([field for field in fields if field.name != "row"])
    with (
        ArrowSink(task.ledger_path, task.ledger) as ledger_sink,
        ArrowSink(task.manifest_path.with_suffix(".arrow"), shard_schema) as shard_sink,
    ):
        table = pa.table({f.name: columns[f.name] for f in task.ledger}, schema=task.ledger)
        for batch in table.combine_chunks().to_batches():
            ledger_sink.write(batch)
        for _, batch in unit.batches(shard_schema.names):
            shard_sink.write(batch)
    manifest = read_manifest(task.work(0, "text").with_name(task.key + ".json"))
    texts = {name: written for name, written in manifest.files.items() if name == texts_name(task.key)}
    final = Manifest(
        key=task.key,
        source=task.source,
        file=manifest.file,
        start=manifest.start,
        next_start=manifest.next_start,
        fingerprint=task.fingerprint,
        stats=stats.to_json(),
        damage=damage,
        files={
            f"shards/{task.source}/{task.key}.arrow": WrittenFile.of(shard_sink),
            f"ledger/{task.key}.arrow": WrittenFile.of(ledger_sink),
            **texts,
        },
        recipe=task.recipe,
    )
    write_manifest(task.manifest_path, final)
    return final


def _later(values: pa.Array, before: pa.Array | None) -> pa.Array:
    """What a pass says of each row, or what passes before said of those that did not come so far."""
    return values if before is None else pc.if_else(values.is_valid(), values, before)


def _unit(pass_: Pass, task: FinishTask, verdicts: tuple[Applied, ...]) -> ExchangeUnit:
    """The unit as the pass's global stages left it."""
    paths = tuple(applied.path for applied in verdicts)
    return ExchangeUnit(0, task.key, task.work(pass_.number, "text"), paths, added_columns(pass_.global_))


def _count_cut(
    applied: Applied, text_rows: np.ndarray, alive: np.ndarray, columns: dict[str, pa.Array], stats: Stats
) -> dict[str, pa.Array]:
    """`cut_columns` of a stage, and the sizes of texts without the spans that it left."""
    num_spans, chars, num_bytes = np.zeros((3, len(columns["text_chars"])), np.int64)
    if spans_path(applied.path).exists():
        spans = read_table(spans_path(applied.path), ["row", "start", "end", "chars"])
        rows = text_rows[spans["row"].to_numpy()]
        np.add.at(num_spans, rows, 1)
        np.add.at(chars, rows, spans["chars"].to_numpy())
        np.add.at(num_bytes, rows, spans["end"].to_numpy() - spans["start"].to_numpy())
    gone = np.ones(len(chars), np.bool_)
    gone[text_rows[alive]] = False
    stats.add(f"cut/{applied.stage}/documents", int(np.count_nonzero(num_spans)))
    stats.add(f"cut/{applied.stage}/spans", int(num_spans.sum()))
    stats.add(f"cut/{applied.stage}/characters", int(chars.sum()))
    counts = (pa.array(num_spans, mask=gone), pa.array(chars, mask=gone))
    return dict(zip(cut_columns(applied.stage).names, counts, strict=True)) | {
        "text_chars": pc.subtract(columns["text_chars"], pa.array(chars)),
        "text_bytes": pc.subtract(columns["text_bytes"], pa.array(num_bytes)),
    }
