"""Duplicates by `id`: one record read twice, from overlapping inputs or a file listed in two sources.

If records with one id have different texts, the source's ids do not identify records: an alarm says so.

The first in the order of source, WARC file and offset is kept, which is the order of row addresses. Only the id column
is read, and Python objects are made only for rows with a shared id.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dedup.equal_keys import remove_equal
from dedup.files.documents import parse_ids
from dedup.keep import KeepBy
from dedup.replay import groups_of_keys, recorded_groups, remove_equal_rows, remove_for_others
from shards.atomic import write_json
from shards.exchange import ALARMS_FILE, Cost, ExchangeUnit, Executor, GlobalStageConfig
from shards.replay import FinishedRun
from shards.sink import read_table

_MAX_IDS = 100_000


class SameRecordConfig(GlobalStageConfig):
    """The stage that every run has, without a kind of its own in a recipe."""

    version: ClassVar[int] = 1
    reason: ClassVar[str] = "dedup.same_record"

    @property
    def cost(self) -> Cost:
        return Cost(seconds_per_document=0.5e-6)

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
        remove_equal(units, folder, executor, column="id", fingerprint=_ids, keep=KeepBy("first"), copies=False)
        if alarms := _differing_texts(units, folder):
            write_json(folder / ALARMS_FILE, alarms)

    def replay(self, run: FinishedRun, *, changed: bool) -> None:
        new = run.possible & ~run.entered
        remove_for_others(run)
        rows = np.flatnonzero(run.possible)
        if new.any():
            asked = new | run.removed
            rows = np.concatenate([rows[asked[rows]], rows[~asked[rows]]])
            rows, groups = groups_of_keys(run, rows, run.column("id").take(pa.array(rows)), asked)
        else:
            groups = recorded_groups(run, rows)
        remove_equal_rows(run, rows, groups, KeepBy("first"))


SAME_RECORD = SameRecordConfig(name="same_record")  # every run has it, after its first pass


def _differing_texts(units: Sequence[ExchangeUnit], folder: Path) -> list[dict[str, Any]]:
    """An alarm if one of the shared ids, of which up to `_MAX_IDS` are checked, has more than one text."""
    verdicts = [path for unit in units if (path := folder / f"{unit.key}.arrow").exists()]
    twins = [pc.unique(read_table(path, ["twin"])["twin"]) for path in verdicts]  # copies: no file stays open
    ids = pc.unique(pa.chunked_array(twins, pa.string()))
    ids = ids.take(pc.sort_indices(ids)[:_MAX_IDS])
    texts: dict[str, int] = {}
    differing: set[str] = set()
    for unit in units if len(ids) else ():
        for _, batch in unit.batches(["id", "text"]):
            shared = batch.filter(pc.is_in(batch["id"], value_set=ids))
            for id_, text in zip(shared["id"].to_pylist(), shared["text"].to_pylist(), strict=True):
                digest = xxhash.xxh3_64_intdigest((text or "").encode())
                if texts.setdefault(id_, digest) != digest:
                    differing.add(id_)
    if not differing:
        return []
    return [{"alarm": "records of one id with different texts", "ids": len(differing), "example": min(differing)}]


def _ids(batch: pa.RecordBatch) -> pa.Array:
    raw = parse_ids(batch["id"]).astype(">u8").tobytes()
    return pa.Array.from_buffers(pa.binary(16), len(batch), [None, pa.py_buffer(raw)])
