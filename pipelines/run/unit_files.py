"""The columns of the files that one unit of work leaves; `pipelines.run.folder` says where they lie.

facts     every row: metrics, drop_reasons
text      live rows: what the next pass reads
dropped   texts of dropped rows
ledger    every row, after all passes
"""

from collections.abc import Sequence

import pyarrow as pa

from pipelines.recipe import Pass
from shards.exchange import GlobalStageConfig
from shards.schema import PROVENANCE, TEXT, VERDICT

ROW = pa.schema([pa.field("row", pa.int64())])  # position in the unit, from 0: what joins a unit's passes
SIZES = pa.schema([pa.field("text_chars", pa.int64()), pa.field("text_bytes", pa.int64())])
DROPPED = pa.schema([*(PROVENANCE.field(n) for n in ("id", "url", "source")), VERDICT.field("drop_reasons"), TEXT])


def facts_schema(pass_: Pass) -> pa.Schema:
    provenance = PROVENANCE if pass_.number == 0 else pa.schema([])
    added = [f for config in pass_.local for f in config.columns() if f.name != "text"]
    return pa.schema([*ROW, *provenance, *added, VERDICT.field("drop_reasons"), *SIZES])


def text_schema(carried: pa.Schema) -> pa.Schema:
    return pa.schema([*ROW, *PROVENANCE, TEXT, *carried])


def carried_columns(passes: tuple[Pass, ...]) -> list[pa.Schema]:
    """For each pass the columns that go along with the texts at its end, those of earlier passes included."""
    carried: list[pa.Schema] = []
    fields: list[pa.Field] = []
    for pass_ in passes:
        fields += [field for config in pass_.local for field in config.carried()]
        carried.append(pa.schema(fields))
        fields += [field for field in added_columns(pass_.global_) if field not in fields]
    return carried


def added_columns(stages: Sequence[GlobalStageConfig]) -> tuple[pa.Field, ...]:
    """What these global stages add, each column once."""
    return tuple(dict.fromkeys(field for stage in stages for field in stage.columns()))


def ledger_schema(passes: tuple[Pass, ...]) -> pa.Schema:
    """One row per record: provenance, verdict, sizes, then every metric in recipe order."""
    cuts = [[f for stage in p.global_ if stage.cuts for f in cut_columns(stage.name)] for p in passes]
    measured = [f for p, after in zip(passes, cuts, strict=True) for f in (*facts_schema(p), *after)]
    metrics = [f for f in measured if f.name not in (*ROW.names, *VERDICT.names, *SIZES.names)]
    local = [f for f in metrics if f.name not in PROVENANCE.names]
    return pa.schema([*PROVENANCE, *VERDICT, *SIZES, *local, *added_columns([s for p in passes for s in p.global_])])


def cut_columns(stage: str) -> pa.Schema:
    """The ledger's columns of a stage that cuts: 0 for a document that stays and lost nothing."""
    return pa.schema([pa.field(f"{stage}.{name}", pa.int64()) for name in ("spans", "removed_chars")])
