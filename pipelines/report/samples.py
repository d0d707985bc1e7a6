"""Texts of the documents that a report shows: kept ones from their shards, dropped ones from `dropped/`.

Record batches that hold none of them give their ids and nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.batches import ledger_batches
from pipelines.report.chosen_samples import Sample
from pipelines.run.folder import RunFolder
from shards.sink import read_batches
from shards.unit_key import UnitKey

SHOWN_CHARS = 1500

# Direction controls, each with its name: in their own place they would reorder the text around them.
CONTROLS = {
    0x061C: "ALM",
    0x200E: "LRM",
    0x200F: "RLM",
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
}
# Signs for control characters, for those of the C1 range, and for code points that a page must not hold.
_VISIBLE: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    0xFFFE: 0xFFFD,
    0xFFFF: 0xFFFD,
    **{code: f"⟨{name}⟩" for code, name in CONTROLS.items()},
}


def visible(text: str) -> str:
    """`text` with signs in the place of control characters: HTML must not hold most, and others reorder the page."""
    return text.translate(_VISIBLE)


def sample_texts(run: RunFolder, samples: Sequence[Sample]) -> dict[tuple[str, str], str]:
    """The first `SHOWN_CHARS` characters by (id, first reason or ""). Samples without a stored text are left out."""
    kept = kept_texts(run, [(sample.key, sample.id) for sample in samples if not sample.drop_reasons])
    texts = {(id, ""): text for id, text in kept.items()}
    if run.has(RunFolder.DROPPED_TEXTS):
        ids = {sample.id for sample in samples if sample.drop_reasons}
        for row in _rows(run.path(RunFolder.DROPPED_TEXTS), ids, "drop_reasons"):
            texts[row.id, (row.drop_reasons or [""])[0]] = (row.text or "")[:SHOWN_CHARS]
    return texts


def kept_texts(run: RunFolder, documents: Sequence[tuple[UnitKey, str]]) -> dict[str, str]:
    """The first `SHOWN_CHARS` characters by id, of kept documents: (key of the unit, id)."""
    texts: dict[str, str] = {}
    for key in sorted({key for key, _ in documents}):
        ids = {id for other, id in documents if other == key}
        for row in _rows(run.path(run.shard(key)), ids):
            if row.text is not None:  # null where the recipe extracts nothing
                texts[row.id] = row.text[:SHOWN_CHARS]
    return texts


def located(run: RunFolder, ids: Sequence[str]) -> list[tuple[UnitKey, str]]:
    """(key of the unit, id) of kept documents, from a pass over the ids of the ledger."""
    found: list[tuple[UnitKey, str]] = []
    wanted = pa.array(sorted(set(ids)), pa.string())
    for part in ledger_batches(run, ["id", "drop_reasons"]) if len(wanted) else ():
        kept = pc.equal(pc.list_value_length(part.rows["drop_reasons"]), 0)
        here = pc.and_(pc.is_in(part.rows["id"], value_set=wanted), kept).to_numpy(zero_copy_only=False)
        found += [(part.key_of(row), part.rows["id"][row].as_py()) for row in np.flatnonzero(here).tolist()]
    return found


def extracted_texts(run: RunFolder, documents: Sequence[tuple[UnitKey, str]]) -> dict[str, str]:
    """The first `SHOWN_CHARS` characters that extraction gave, by id: (key of the unit, id).

    Empty where the run keeps no such texts. A row of `texts/` has no id: it has the place of its row in the ledger.
    """
    texts: dict[str, str] = {}
    for key in sorted({key for key, _ in documents}):
        if not run.has(RunFolder.texts(key)):
            continue
        wanted = {id for other, id in documents if other == key}
        ids = (id for batch in read_batches(run.path(RunFolder.ledger(key)), ["id"]) for id in batch["id"].to_pylist())
        rows = {row: id for row, id in enumerate(ids) if id in wanted}
        first = 0
        for batch in read_batches(run.path(RunFolder.texts(key)), ["text"]):
            for row in [row for row in rows if first <= row < first + batch.num_rows]:
                if (text := batch["text"][row - first].as_py()) is not None:
                    texts.setdefault(rows[row], text[:SHOWN_CHARS])
            first += batch.num_rows
    return texts


@dataclass(frozen=True)
class _Row:
    id: str
    text: str | None
    drop_reasons: list[str] | None = None


def _rows(path: Path, ids: set[str], *more: str) -> Iterator[_Row]:
    """The rows of these documents, with the columns `more`."""
    rows_by_batch: dict[int, list[int]] = {}
    for number, batch in enumerate(read_batches(path, ["id"])):
        if rows := [row for row, id in enumerate(batch["id"].to_pylist()) if id in ids]:
            rows_by_batch[number] = rows
    chosen = read_batches(path, ["id", "text", *more], rows_by_batch)
    for rows, batch in zip(rows_by_batch.values(), chosen, strict=True):
        for row in batch.take(pa.array(rows)).to_pylist():
            yield _Row(**row)
