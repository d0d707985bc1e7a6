"""The sides of an ablation as text: what each trains on, and the pages that are held out of all of them.

    RUN                    ──▶ extracted   every text that extraction gave
                               languages   those in the languages that the recipe wants
                               clean       the shards
    --raw A  --clean B     ──▶ the shards of each run

A page is held out of all sides or of none, by the hash of its id, or of the id that its copies were removed for. Its
texts on the sides differ, so a split by text would train one side on what another is measured by. After that, texts
that equal a held-out one of any side are left out of every side.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.table import Ledger
from pipelines.run.folder import RunFolder
from pretrain.tokenizing.split import is_held_out, text_hashes
from pretrain.tokenizing.text_shards import find_shards, id_hashes, read_documents
from shards.errors import UserError
from shards.sink import ArrowSink, read_table

TEXT_SHARD = pa.schema([("id", pa.string()), ("url", pa.string()), ("text", pa.large_string())])
HELD_OUT_SUFFIX = "-held-out"
_SEED = 18  # of the hashes that hold pages out
_SHARD = "texts.arrow"


@dataclass(frozen=True)
class ShardsOf:
    """The documents that a run kept."""

    run: Path

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for shard in find_shards([self.run]):
            yield from read_documents(shard, TEXT_SHARD.names)


@dataclass(frozen=True)
class ExtractedTexts:
    """The texts that extraction gave, of all pages or of those in wanted languages."""

    ledger: Ledger
    only_wanted: bool

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        run, language = self.ledger.run, _language_stage(self.ledger) if self.only_wanted else None
        columns = ["id", "url", "drop_reasons", *(["language"] if language else [])]
        for key, path in zip(self.ledger.keys, self.ledger.paths, strict=True):
            rows = _rows(path, columns)
            texts = _rows(run.path(RunFolder.texts(key)), ["text"])  # a row for each of the ledger
            for batch, text in zip(rows, texts, strict=True):
                has_text = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(text["text"])), 0)
                kept = pc.fill_null(has_text, False).to_numpy(zero_copy_only=False)
                if language:
                    kept = kept & batch["language"].is_valid().to_numpy(zero_copy_only=False)
                    kept &= ~_dropped_by(batch["drop_reasons"], language)
                arrays = [batch["id"], batch["url"], text["text"].cast(pa.large_string())]
                yield pa.RecordBatch.from_arrays(arrays, schema=TEXT_SHARD).filter(pa.array(kept))


Documents = ShardsOf | ExtractedTexts


def three_sides(run: Path) -> dict[str, Documents]:
    """All extracted text of a run, what of it is in the wanted languages, and what the run kept.

    Without the second one a filter of languages would win alone; a recipe that wants all languages has no such side.
    UserError for a run that keeps no texts.
    """
    ledger = Ledger.open(run)
    if missing := next((k for k in ledger.keys if not ledger.run.has(RunFolder.texts(k))), None):
        raise UserError(
            f"{run}: has no {RunFolder.texts(missing)}: it keeps no texts or extracts none; name two runs by --raw and "
            "--clean"
        )
    sides: dict[str, Documents] = {"extracted": ExtractedTexts(ledger, only_wanted=False)}
    if any(stage.kept_languages for _, stage in ledger.recipe.stages):
        sides["languages"] = ExtractedTexts(ledger, only_wanted=True)
    return sides | {"clean": ShardsOf(run)}


@dataclass(frozen=True)
class Split:
    """Which pages are held out of all sides."""

    sides: Mapping[str, Documents]
    fraction: float
    representative: Mapping[str, str]  # of documents that were removed as copies, by id

    @classmethod
    def of(cls, sides: Mapping[str, Documents], runs: Sequence[Path], fraction: float) -> "Split":
        """`runs` are those whose ledgers say which documents are copies of which."""
        twins: dict[str, str] = {}
        for run in runs:
            ledger = Ledger.open(run)
            is_copy = ledger.column("twin").is_valid()
            twins |= dict(
                zip(*(ledger.column(name).filter(is_copy).to_pylist() for name in ("id", "twin")), strict=True)
            )
        return cls(sides, fraction, {id_: _end(id_, twins) for id_ in twins})

    def is_held_out(self, ids: pa.Array) -> np.ndarray:
        """bool[ids]."""
        ends = [self.representative.get(id_, id_) for id_ in ids.to_pylist()]
        return is_held_out(id_hashes(pa.array(ends, pa.string()), _SEED), self.fraction)

    @cached_property
    def held_out_texts(self) -> np.ndarray:
        """uint64, ascending: hashes of the held-out texts of all sides."""
        batches = (batch for documents in self.sides.values() for batch in documents)
        texts = (batch["text"].filter(pa.array(self.is_held_out(batch["id"]))) for batch in batches)
        return np.unique(np.concatenate([np.zeros(0, np.uint64), *map(text_hashes, texts)]))

    def write(self, folder: Path, report: Callable[[str], None]) -> None:
        """Write FOLDER/<side> and FOLDER/<side>-held-out, a text shard each."""
        for name, documents in self.sides.items():
            paths = (folder / f"{name}{suffix}" / _SHARD for suffix in ("", HELD_OUT_SUFFIX))
            left_out = 0
            with ArrowSink(next(paths), TEXT_SHARD) as train, ArrowSink(next(paths), TEXT_SHARD) as held_out:
                for batch in documents:
                    is_out = self.is_held_out(batch["id"])
                    is_copy = ~is_out & np.isin(text_hashes(batch["text"]), self.held_out_texts)
                    train.write(batch.filter(pa.array(~is_out & ~is_copy)))
                    held_out.write(batch.filter(pa.array(is_out)))
                    left_out += int(is_copy.sum())
            copies = f", {left_out:,} left out that equal held-out texts" if left_out else ""
            report(f"side {name}: {train.num_rows:,} documents to train on, {held_out.num_rows:,} held out{copies}")


def _end(id_: str, twins: Mapping[str, str]) -> str:
    """The document at the end of a chain of copies."""
    seen = {id_}
    while (twin := twins.get(id_)) is not None and twin not in seen:
        seen.add(twin)
        id_ = twin
    return id_


def _language_stage(ledger: Ledger) -> str:
    return next(stage.name for _, stage in ledger.recipe.stages if stage.kept_languages)


def _dropped_by(reasons: pa.Array, stage: str) -> np.ndarray:
    """bool[rows]: whether one of a row's drop reasons is of the stage."""
    dropped = np.zeros(len(reasons), bool)
    is_of_stage = pc.starts_with(reasons.flatten(), f"{stage}.").to_numpy(zero_copy_only=False)
    dropped[pc.list_parent_indices(reasons).to_numpy()[is_of_stage]] = True
    return dropped


def _rows(path: Path, columns: list[str]) -> list[pa.RecordBatch]:
    """All rows of a file of a unit, as one batch; none for a file without rows."""
    batches: list[pa.RecordBatch] = read_table(path, columns).combine_chunks().to_batches()
    return batches
