"""Texts of the documents that a report shows: of the kept from their shards, of the dropped from `dropped/`.

Only the record batches that hold one of them are read whole; the others give their ids.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.report.aggregate import Sample
from shards.sink import read_batches

SHOWN_CHARS = 1500

# Control characters, noncharacters of the C1 range and line separators that a page must not hold are shown as signs.
_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    0xFFFE: 0xFFFD,
    0xFFFF: 0xFFFD,
}


def visible(text: str) -> str:
    """`text` with control characters as the signs that stand for them; HTML may not hold most of them."""
    return text.translate(_VISIBLE)


def sample_texts(run: Path, samples: Sequence[Sample]) -> dict[tuple[str, str], str]:
    """The first `SHOWN_CHARS` characters by (id, first reason or ""); samples whose text was not kept are left out."""
    kept = kept_texts(run, [(sample.key, sample.source, sample.id) for sample in samples if not sample.drop_reasons])
    texts = {(id, ""): text for id, text in kept.items()}
    dropped = run / "dropped" / "texts.arrow"
    if dropped.exists():
        wanted = {sample.id for sample in samples if sample.drop_reasons}
        for row in _rows(dropped, wanted, ["id", "text", "drop_reasons"]):
            texts[row["id"], row["drop_reasons"][0]] = row["text"][:SHOWN_CHARS]
    return texts


def kept_texts(run: Path, documents: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    """The first `SHOWN_CHARS` characters by id of these kept documents: (key of the unit, source, id)."""
    texts: dict[str, str] = {}
    for key, source in sorted({(key, source) for key, source, _ in documents}):
        wanted = {id for of, _, id in documents if of == key}
        for row in _rows(run / "shards" / source / f"{key}.arrow", wanted, ["id", "text"]):
            if row["text"] is not None:  # null where the recipe extracts nothing
                texts[row["id"]] = row["text"][:SHOWN_CHARS]
    return texts


def _rows(path: Path, ids: set[str], columns: list[str]) -> Iterator[dict[str, Any]]:
    places: dict[int, list[int]] = {}  # rows by batch
    for number, batch in enumerate(read_batches(path, ["id"])):
        if rows := [row for row, name in enumerate(batch["id"].to_pylist()) if name in ids]:
            places[number] = rows
    for rows, batch in zip(places.values(), read_batches(path, columns, places), strict=True):
        yield from batch.take(pa.array(rows)).to_pylist()
