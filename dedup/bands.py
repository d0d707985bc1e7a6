"""Signing: each unit becomes files of band keys and shingle sets, which all later steps map instead of holding.

    signed/<key>.keys.npy        u64[bands, documents]    one band of a unit is one contiguous slice
    signed/<key>.sets.npy        u32                      shingle sets (or whole signatures), end to end
    signed/<key>.documents.npy   SIGNED[documents]        address, id, keep order, where its set lies; written last

Of 9,000 hashes a document keeps 450 keys and its shingles, not 36 kB of signature. Rows without words are not there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numba import njit

from dedup.documents import DOCUMENT, KEEP_COLUMNS, Keep, UnitFiles, describe, save_npy, unit_path
from dedup.minhash import band_keys, permutations, signatures
from dedup.shingles import shingle_sets, word_characters, word_hashes
from shards.exchange import ExchangeUnit
from shards.unicode import text_buffers

Verify = Literal["shingles", "signature"]
SIGNED = np.dtype([*DOCUMENT.descr, ("set_start", "<i8"), ("set_size", "<i8")])
_SIGNATURE_BYTES = 4 << 20  # signatures held at a time: they stay in cache between the kernels


@dataclass(frozen=True)
class Signing:
    ngram: int
    bands: int
    rows: int
    seed: int
    verify: Verify
    keep: Keep


def sign(unit: ExchangeUnit, *, folder: Path, signing: Signing) -> None:
    """Write the files of `unit`, unless a killed attempt has finished them."""
    if unit_path(folder, unit.key, "documents").exists():
        return
    parts = list(_sign_batches(unit, signing))
    documents = np.concatenate([np.zeros(0, SIGNED), *(part[0] for part in parts)])
    documents["set_start"] = np.cumsum(documents["set_size"]) - documents["set_size"]
    sets = np.concatenate([np.zeros(0, np.uint32), *(part[1] for part in parts)])
    keys = np.concatenate([np.zeros((signing.bands, 0), np.uint64), *(part[2] for part in parts)], axis=1)
    for name, array in (("keys", keys), ("sets", sets), ("documents", documents)):
        save_npy(unit_path(folder, unit.key, name), array)


def _sign_batches(unit: ExchangeUnit, signing: Signing) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(documents without `set_start`, their sets, their band keys) of each batch of the unit's live rows."""
    multipliers, increments = permutations(signing.bands * signing.rows, signing.seed)
    block = max(1, _SIGNATURE_BYTES // multipliers.nbytes)
    for rows, batch in unit.batches(list(dict.fromkeys(["id", "text", *KEEP_COLUMNS[signing.keep]]))):
        hashes, starts = word_hashes(*text_buffers(batch["text"]), word_characters())
        sets, starts = shingle_sets(hashes, starts, signing.ngram)
        with_words = np.flatnonzero(np.diff(starts))
        documents = describe(unit, rows, batch, signing.keep, SIGNED)[with_words]
        documents["set_size"] = np.diff(starts)[with_words]
        starts = np.append(starts[with_words], starts[-1])  # a row without words takes no room between its neighbours
        keys, whole = [], []
        for first in range(0, len(documents), block):
            signed = signatures(sets, starts[first : first + block + 1], multipliers, increments)
            keys.append(band_keys(signed, signing.bands, signing.rows))
            if signing.verify == "signature":
                whole.append(signed.ravel())
        if signing.verify == "signature":
            documents["set_size"] = len(multipliers)
            sets = np.concatenate([np.zeros(0, np.uint32), *whole])
        yield documents, sets, np.concatenate([np.zeros((signing.bands, 0), np.uint64), *keys], axis=1)


def read_keys(signed: UnitFiles, first: int, end: int) -> np.ndarray:
    """u64[end - first, documents] of bands `first` to `end` - 1: eight bytes a document and band."""
    result = np.empty((end - first, len(signed)), np.uint64)
    start = 0
    for keys in signed.each("keys"):
        result[:, start : start + keys.shape[1]] = keys[first:end]
        start += keys.shape[1]
    return result


def read_sets(signed: UnitFiles, numbers: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(u32 sets end to end, i64[len(numbers) + 1] where each begins) of `documents`, whose `numbers` ascend."""
    begins = np.ascontiguousarray(documents["set_start"])
    starts = np.concatenate([[0], np.cumsum(documents["set_size"])])
    sets, done = np.empty(starts[-1], np.uint32), 0
    for stored, positions in signed.some("sets", numbers):
        until = done + len(positions)
        _copy_slices(stored, begins[done:until], starts[done : until + 1], sets)
        done = until
    return sets, starts


@njit(cache=True)
def _copy_slices(source: np.ndarray, begins: np.ndarray, starts: np.ndarray, target: np.ndarray) -> None:
    """target[starts[i]:starts[i + 1]] = the as many values of `source` from begins[i] on."""
    for i in range(len(begins)):
        size = starts[i + 1] - starts[i]
        target[starts[i] : starts[i + 1]] = source[begins[i] : begins[i] + size]
