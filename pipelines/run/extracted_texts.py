"""What extraction gave, kept beside the run: nearly all of the cost lies there, and `apply` does not pay it again.

    run:    source ──▶ url page … extract ──▶ texts/<key>.arrow     a row for every row of the unit
    apply:  ledger + texts ──▶ the same batches, in which these stages find what they measured, and the text

A row has what the ledger lacks: the text behind extraction, the length of the body that the funnel counts before it,
and which batch held it, since some files are cut by the bytes of batches.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.extract import ExtractConfig
from pipelines.recipe import Pass
from shards.errors import RunError
from shards.manifest import file_sha256, read_manifest
from shards.reader import Damage
from shards.schema import PAYLOAD, PROVENANCE, TEXT
from shards.sink import read_batches, read_table
from shards.stage import Batch, Stage, StageConfig, with_columns
from shards.stats import Stats

TEXTS = pa.schema(
    [
        pa.field("batch", pa.int64()),  # number of the batch in which the unit's reader gave the row
        pa.field("body_bytes", pa.int64()),  # of the HTTP body; null for a row that brought its text
        pa.field("given", TEXT.type),  # the text that a row brought, where extraction tidied or never saw it
        TEXT,  # behind extraction; null for a row that did not come so far, or that has none
    ]
)
_OF_RUNNER = ("documents", "failed", "dropped", "funnel", "cut")  # other counts are the reader's
_SAVED = "saved "  # before the name of a column that a stage up to extraction is going to add
_BEFORE_REFUSAL = ("num_elements", "depth", "charset", "num_replaced")  # metrics of pages that extraction refuses


def texts_name(key: str) -> str:
    """Where a unit's texts lie in the folder of the run."""
    return f"texts/{key}.arrow"


def early_stages(pass_: Pass) -> tuple[StageConfig, ...]:
    """The stages up to extraction. None where nothing is extracted, or where text is edited before that."""
    last = max((i for i, config in enumerate(pass_.local) if isinstance(config, ExtractConfig)), default=-1)
    stages = pass_.local[: last + 1]
    return () if any(config.edits for config in stages[:-1]) else stages


class Keeper:
    """Stands in the place of extraction and holds what it gave until the batch is written."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __call__(self, batch: Batch) -> Batch:
        done = self._stage(batch)
        self._rows, self._texts = done["row"].to_numpy(), done["text"]
        return done

    def kept(self, read: Batch, number: int) -> Batch:
        """TEXTS of the batch that was read as the `number`-th and went through the stages."""
        place = np.full(read.num_rows, -1, np.int64)
        place[self._rows - read["row"][0].as_py()] = np.arange(len(self._rows))
        texts = self._texts.take(pa.array(place, mask=place < 0))
        body_bytes = pa.nulls(read.num_rows, pa.int64())
        if "payload" in read.schema.names:
            body_bytes = pc.cast(pc.binary_length(read["payload"]), pa.int64())
        given = read["text"].cast(TEXT.type)
        if given.null_count < len(given):
            given = _null_where(pc.fill_null(pc.equal(given, texts), False), given)
        numbers = pa.array(np.full(read.num_rows, number))
        return pa.RecordBatch.from_arrays([numbers, body_bytes, given, texts], schema=TEXTS)


class SavedReader:
    """One unit of a finished run, as its source gave it: rows with their first text, and bodies of the right length.

    For every stage of `early` the batches bring the columns that it is going to add, for `Recorded` to bring out.
    """

    def __init__(self, run: Path, source: str, key: str, early: tuple[StageConfig, ...]) -> None:
        self._run, self._key, self._early = run, key, early
        manifest = read_manifest(run / "shards" / source / f"{key}.json")
        for name, written in manifest.files.items():
            file = run / name
            if not name.startswith("shards/") and not (file.is_file() and file_sha256(file) == written.sha256):
                raise RunError(f"{file}: missing or not what was written; `gristmill verify {run}` tells what to do")
        self.next_start = manifest.next_start
        self.damage = [Damage(**damage) for damage in manifest.damage]
        self.stats = Stats({k: n for k, n in manifest.stats.items() if k.partition("/")[0] not in _OF_RUNNER})

    def __iter__(self) -> Iterator[Batch]:
        measured = [name for config in self._early for name in config.columns().names if name != "text"]
        ledger = read_table(self._run / "ledger" / f"{self._key}.arrow", [*PROVENANCE.names, *measured])
        first = 0
        for texts in _whole_batches(self._run / texts_name(self._key)):
            rows = ledger.slice(first, texts.num_rows).combine_chunks()
            columns = {name: _array(rows[name]) for name in PROVENANCE.names}
            columns |= _as_given(texts) | {"row": pa.array(np.arange(first, first + texts.num_rows))}
            columns |= {_SAVED + name: _array(rows[name]) for name in measured} | {_SAVED + "text": texts["text"]}
            yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
            first += texts.num_rows


def _whole_batches(path: Path) -> Iterator[Batch]:
    """The rows of a file of TEXTS, cut as the unit's reader had cut them."""
    rest: list[Batch] = []
    for part in read_batches(path, TEXTS.names):
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
    """`text` and `payload` as the source gave them; of a body the length alone is known, and nobody asks for more."""
    has_body = pc.is_valid(texts["body_bytes"])
    given = _null_where(has_body, pc.coalesce(texts["given"], texts["text"]))
    lengths = pc.fill_null(texts["body_bytes"], 0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    zeros = pa.py_buffer(np.zeros(offsets[-1], np.uint8))  # pages of memory that are never touched
    payload = pa.Array.from_buffers(PAYLOAD.field("payload").type, len(texts), [None, pa.py_buffer(offsets), zeros])
    return {"text": given, "payload": _null_where(pc.invert(has_body), payload)}


@dataclass(frozen=True)
class Recorded:
    """In the place of a stage up to extraction: the columns that it added in the run, for its rules to decide again."""

    config: StageConfig

    def __call__(self, batch: Batch) -> Batch:
        columns = {name: batch[_SAVED + name] for name in self.config.columns().names}
        if isinstance(self.config, ExtractConfig):
            columns = _refused(self.config, columns)
        return with_columns(batch, columns)


def _refused(config: ExtractConfig, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Extraction itself goes by two of its bounds: of a page outside them it tells the size and no more."""
    refused = pc.or_kleene(
        pc.greater(columns[f"{config.name}.num_elements"], config.max_elements),
        pc.greater(columns[f"{config.name}.depth"], config.max_depth),
    )
    refused = pc.fill_null(refused, False)
    kept = {f"{config.name}.{metric}" for metric in _BEFORE_REFUSAL}
    return {name: column if name in kept else _null_where(refused, column) for name, column in columns.items()}


def _null_where(mask: pa.Array, column: pa.Array) -> pa.Array:
    """`column` with nulls in the rows of `mask`. Not by `if_else`, which leaves a text's bytes behind the null, and
    they would be written."""
    gone = mask.to_numpy(zero_copy_only=False)
    return column if not gone.any() else column.take(pa.array(np.arange(len(gone)), mask=gone))
