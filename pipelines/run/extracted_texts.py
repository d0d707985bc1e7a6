"""The texts that extraction gave, kept with the run so that `apply` need not extract again, which costs most.

    run:    source ──▶ url page … extract ──▶ texts/<key>.arrow     a row for every row of the unit
    apply:  ledger + texts ──▶ the same batches, with the recorded columns of these stages, and the text

A row has what the ledger lacks: the text after extraction, the length of the body that the funnel counts before it,
the number of its batch, since some files are cut by the bytes of batches, and the columns that shards bring along.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.recipe import Pass
from pipelines.run.folder import RunFolder
from pipelines.run.recalled import SAVED, saved_names
from shards.errors import RunError
from shards.manifest import read_manifest
from shards.reader import Damage
from shards.schema import PAYLOAD, PROVENANCE, TEXT
from shards.sink import read_batches, read_table
from shards.stage import Batch, Stage, StageConfig, null_where, with_columns
from shards.stats import Stats
from shards.unit_key import UnitKey

TEXTS = pa.schema(
    [
        pa.field("batch", pa.int64()),  # number of the batch in which the unit's reader gave the row
        pa.field("body_bytes", pa.int64()),  # of the HTTP body; null for a row that came with its text
        pa.field("given", TEXT.type),  # the text that a row came with, where extraction tidied it or never saw it
        TEXT,  # after extraction; null for a row that did not come so far, or that has none
    ]
)
_OF_RUNNER = ("documents", "failed", "dropped", "funnel", "cut")  # other counts are the reader's


def early_stages(pass_: Pass) -> tuple[StageConfig, ...]:
    """The stages up to extraction. None where nothing is extracted, or where text is edited before that."""
    last = max((i for i, config in enumerate(pass_.local) if config.makes_text), default=-1)
    stages = pass_.local[: last + 1]
    return () if any(config.edits for config in stages[:-1]) else stages


class Keeper:
    """Wraps the stage that extracts, and holds its texts until the batch is written."""

    def __init__(self, stage: Stage, brought: pa.Schema) -> None:
        self._stage, self._brought = stage, brought

    def __call__(self, batch: Batch) -> Batch:
        done = self._stage(batch)
        self._rows, self._texts = done["row"].to_numpy(), done["text"]
        return done

    def kept(self, read: Batch, number: int) -> Batch:
        """TEXTS, and the columns that a source's rows bring along, of the batch that was read as number `number` and
        went through the stages."""
        positions = np.full(read.num_rows, -1, np.int64)
        positions[self._rows - read["row"][0].as_py()] = np.arange(len(self._rows))
        texts = self._texts.take(pa.array(positions, mask=positions < 0))
        body_bytes = pa.nulls(read.num_rows, pa.int64())
        if "payload" in read.schema.names:
            body_bytes = pc.cast(pc.binary_length(read["payload"]), pa.int64())
        given = read["text"].cast(TEXT.type)
        if given.null_count < len(given):
            given = null_where(pc.fill_null(pc.equal(given, texts), False).to_numpy(zero_copy_only=False), given)
        numbers = pa.array(np.full(read.num_rows, number))
        brought = [read[name] for name in self._brought.names]
        schema = pa.schema([*TEXTS, *self._brought])
        return pa.RecordBatch.from_arrays([numbers, body_bytes, given, texts, *brought], schema=schema)


class SavedReader:
    """Reads a unit of a finished run as its source gave it: rows with their first text, and bodies of the right length.

    The batches also have the recorded columns of every stage in `early`, from which `Recorded` takes them.
    """

    def __init__(self, run: RunFolder, key: UnitKey, early: tuple[StageConfig, ...]) -> None:
        self._run, self._key, self._early = run, key, early
        manifest = read_manifest(run.path(run.manifest(key)))
        for name, written in manifest.files.items():
            file = run.path(name)
            if name != run.shard(key) and not written.is_at(file):
                raise RunError(f"{file}: missing or not what was written; `gristmill verify {run}` tells what to do")
        self.next_start = manifest.next_start
        self.damage = [Damage(**damage) for damage in manifest.damage]
        self.stats = Stats({k: n for k, n in manifest.stats.items() if k.partition("/")[0] not in _OF_RUNNER})

    def __iter__(self) -> Iterator[Batch]:
        measured = saved_names(self._early)
        ledger = read_table(self._run.path(RunFolder.ledger(self._key)), [*PROVENANCE.names, *measured])
        first = 0
        for texts in _whole_batches(self._run.path(RunFolder.texts(self._key))):
            rows = ledger.slice(first, texts.num_rows).combine_chunks()
            columns = {name: _array(rows[name]) for name in PROVENANCE.names}
            columns |= {name: texts[name] for name in texts.schema.names if name not in TEXTS.names}
            columns |= _as_given(texts) | {"row": pa.array(np.arange(first, first + texts.num_rows))}
            columns |= {SAVED + name: _array(rows[name]) for name in measured} | {SAVED + "text": texts["text"]}
            yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
            first += texts.num_rows


def _whole_batches(path: Path) -> Iterator[Batch]:
    """The rows of a file of texts, cut as the unit's reader had cut them."""
    rest: list[Batch] = []
    for part in read_batches(path):
        numbers = part["batch"].to_numpy()
        begins = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), part.num_rows]
        for begin, end in pairwise(begins):
            if rest and rest[-1]["batch"][0] != part["batch"][begin]:
                yield _joined(rest)
                rest = []
            rest.append(part.slice(begin, end - begin))
    if rest:
        yield _joined(rest)


def _joined(parts: list[Batch]) -> Batch:
    (whole,) = pa.Table.from_batches(parts).combine_chunks().to_batches()
    return whole


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _as_given(texts: Batch) -> dict[str, pa.Array]:
    """`text` and `payload` as the source gave them; of a body only the length is known, and nothing else is asked."""
    has_body = texts["body_bytes"].is_valid().to_numpy(zero_copy_only=False)
    given = null_where(has_body, pc.coalesce(texts["given"], texts["text"]))
    lengths = pc.fill_null(texts["body_bytes"], 0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    zeros = pa.py_buffer(np.zeros(offsets[-1], np.uint8))  # pages of memory that are never touched
    payload = pa.Array.from_buffers(PAYLOAD.field("payload").type, len(texts), [None, pa.py_buffer(offsets), zeros])
    return {"text": given, "payload": null_where(~has_body, payload)}


@dataclass(frozen=True)
class Recorded:
    """Stands for a stage up to extraction: adds the columns that the run recorded, for its rules to decide again."""

    config: StageConfig

    def __call__(self, batch: Batch) -> Batch:
        columns = {name: batch[SAVED + name] for name in self.config.columns().names}
        return with_columns(batch, self.config.recorded(columns))
