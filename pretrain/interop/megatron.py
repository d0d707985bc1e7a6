"""Megatron-LM's indexed data sets, version 1: tokens one after the other, and an index of sequences and documents.

    <split>.bin    tokens: uint16, or int32 for vocabularies of more than 65,536 entries
    <split>.idx    "MMIDIDX", two zeros │ version u64 │ type of tokens u8 │ sequences u64 │ bounds u64
                   │ lengths int32 │ first bytes int64 │ bounds of documents int64: 0, 1, … sequences

Little-endian, as `megatron/core/datasets/indexed_dataset.py` of Megatron-LM reads it. A document is one sequence. The
format knows no masks, so masked tokens are learned there.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.interop.documents import Documents
from shards.atomic import atomic_file

_HEADER, _VERSION = b"MMIDIDX\0\0", 1
_TYPES: dict[int, tuple[int, np.dtype[Any]]] = {2: (8, np.dtype("<u2")), 4: (4, np.dtype("<i4"))}  # code, type
_CHUNK = 1 << 16  # numbers that are written at once


def write(to: Path, split: str, documents: Documents) -> None:
    """Write the documents of a split; the index appears last. `_TYPES` is by the bytes of our ids."""
    code, kind = _TYPES[documents.item_bytes]
    index, count = to / f"{split}.idx", len(documents)
    index.unlink(missing_ok=True)
    with atomic_file(to / f"{split}.bin") as file:
        for data, weight in _tokens(documents, kind):
            for _ in range(weight):
                file.write(data)
    with atomic_file(index) as file:
        file.write(_HEADER + struct.pack("<QBQQ", _VERSION, code, count, count + 1))
        for lengths in documents.lengths():
            file.write(lengths.astype("<i4").tobytes())
        end = 0
        for lengths in documents.lengths():
            ends = end + np.cumsum(lengths) * kind.itemsize
            file.write((ends - lengths * kind.itemsize).astype("<i8").tobytes())
            end = int(ends[-1]) if len(ends) else end
        for start in range(0, count + 1, _CHUNK):
            file.write(np.arange(start, min(start + _CHUNK, count + 1), dtype="<i8").tobytes())


def _tokens(documents: Documents, kind: np.dtype[Any]) -> Iterator[tuple[memoryview, int]]:
    """The tokens of each document, and how often it is wanted."""
    for batch, weights in documents.rows():
        offsets, values = np.asarray(batch["tokens"].offsets).tolist(), np.asarray(batch["tokens"].values)
        for row, weight in enumerate(weights.tolist()):
            yield values[offsets[row] : offsets[row + 1]].astype(kind).data, weight
