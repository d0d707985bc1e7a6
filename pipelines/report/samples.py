"""Texts of the documents that a report shows: kept ones from their shards, dropped ones from `dropped/`.

Record batches that hold none of them give their ids and nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.report.aggregate import Sample
from pipelines.run.folder import RunFolder
from shards.sink import read_batches
from shards.unit_key import UnitKey

SHOWN_CHARS = 1500

# Signs for control characters, for those of the C1 range, and for line separators that a page must not hold.
_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    0xFFFE: 0xFFFD,
    0xFFFF: 0xFFFD,
}


def visible(text: str) -> str:
    """`text` with signs in the place of control characters, most of which HTML must not hold."""
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
