"""Signing: files of band keys and shingle sets for each block, which all later steps map instead of holding.

    <stem>.keys            KEY by band and prefix   a range of prefixes of a band is one contiguous slice
    <stem>.sets.npy        u32                      shingle sets (or whole signatures), end to end
    <stem>.documents.npy   SIGNED[documents]        address, id, keep order, span of its set; written last

With 9,000 hashes a document has 450 keys and its shingles on disk, not a signature of 36 kB. Rows without words are
left out.

An index keeps such files of earlier runs, made by `sign` with the same `Signing` in all but `keep`, with their keys as
`<stem>.keys.npy` u64[bands, documents], and hands them over as `UnitFiles` of their stems. They hold kept rows only,
whose `address` is `NOT_HERE`; that is how an earlier document is recognised. It comes before all documents of this run
in keep order, is never removed, and is not compared with other earlier documents. Its `order` and `copies` are not
read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dedup.files.column_runs import by_prefix, read_runs, write_runs
from dedup.files.documents import DOCUMENT, UnitFiles, damaged, describe, load_npy, npy_path, save_npy, unit_path
from dedup.files.verdicts import NOT_HERE
from dedup.keep import EARLIER, KeepBy
from dedup.lsh.shingles import Unit, shingles_of
from dedup.lsh.signatures import band_keys, permutations, signatures
from shards import mirror
from shards.atomic import atomic_file
from shards.compiled import kernel
from shards.exchange import Block
from shards.schema import COPIES

Verify = Literal["shingles", "signature", "none"]
SIGNED = np.dtype([*DOCUMENT.descr, ("copies", "<i8"), ("set_start", "<i8"), ("set_size", "<i8")])
KEY = np.dtype([("key", "<u8"), ("document", "<u4")])  # document: its number in the block
_PREFIX_BITS = 8
_PREFIXES = 1 << _PREFIX_BITS
_SIGNATURE_BYTES = 4 << 20  # signatures held at a time: they stay in cache between the kernels


@dataclass(frozen=True)
class Signing:
    """The settings on which band keys, sets and keep order depend."""

    ngram: int
    unit: Unit
    segmented: bool
    bands: int
    rows: int
    seed: int
    verify: Verify
    keep: KeepBy


def sign(block: Block, *, folder: Path, signing: Signing) -> None:
    """Write the files of `block` as an index holds them, unless an earlier attempt has finished them."""
    if not mirror.exists(unit_path(folder, block.key, "documents")):
        documents, keys = _write_sets(block, folder, signing)
        save_npy(unit_path(folder, block.key, "keys"), keys)
        save_npy(unit_path(folder, block.key, "documents"), documents)


def sign_by_prefix(block: Block, *, folder: Path, signing: Signing) -> None:
    """Write the files of `block` for the search of edges, unless an earlier attempt has finished them."""
    if not mirror.exists(unit_path(folder, block.key, "documents")):
        documents, keys = _write_sets(block, folder, signing)
        write_runs(folder / f"{block.key}.keys", map(_by_prefix, keys), _PREFIXES)
        save_npy(unit_path(folder, block.key, "documents"), documents)


def _by_prefix(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(KEY of the keys of a band by prefix, i64[prefixes + 1] where each begins)."""
    order, bounds = by_prefix(keys, _PREFIX_BITS)
    band = np.empty(len(keys), KEY)
    band["key"], band["document"] = keys[order], order
    return band, bounds


def _write_sets(block: Block, folder: Path, signing: Signing) -> tuple[np.ndarray, np.ndarray]:
    """Write the sets of the block; (SIGNED, u64[bands, documents] of band keys)."""
    parts, num_values = [], 0
    with atomic_file(unit_path(folder, block.key, "sets"), synced=False) as file:
        file.write(_header(0))
        for documents, sets, keys in _sign_batches(block, signing):
            file.write(sets.tobytes())
            parts.append((documents, keys))
            num_values += len(sets)
        file.seek(0)
        file.write(_header(num_values))
    documents = np.concatenate([np.zeros(0, SIGNED), *(part[0] for part in parts)])
    documents["set_start"] = np.cumsum(documents["set_size"]) - documents["set_size"]
    keys = np.concatenate([np.zeros((signing.bands, 0), np.uint64), *(part[1] for part in parts)], axis=1)
    return documents, keys


def _header(count: int) -> bytes:
    """The header of a .npy file of u32[count], equally long for any count, so that it can be replaced at the end."""
    fields = f"{{'descr': '<u4', 'fortran_order': False, 'shape': ({count},), }}"
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + fields.encode().ljust(117) + b"\n"


def _sign_batches(unit: Block, signing: Signing) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(documents without `set_start`, their sets, their band keys) of each batch of the unit's live rows."""
    multipliers, increments = permutations(signing.bands * signing.rows, signing.seed)
    block = max(1, _SIGNATURE_BYTES // multipliers.nbytes)
    counted = [COPIES.name] if COPIES.name in unit.columns() else []
    for rows, batch in unit.batches(list(dict.fromkeys(["id", "text", *signing.keep.columns(), *counted]))):
        sets, starts = shingles_of(batch["text"], signing.ngram, signing.unit, signing.segmented)
        with_words = np.flatnonzero(np.diff(starts))
        documents = describe(unit, rows, batch, signing.keep, SIGNED)[with_words]
        if counted:
            documents["copies"] = batch[COPIES.name].to_numpy(zero_copy_only=False)[with_words]
        documents["set_size"] = np.diff(starts)[with_words]
        starts = np.append(starts[with_words], starts[-1])  # rows without words have no values between their neighbours
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


@dataclass(frozen=True)
class SignedFiles:
    """Signed documents by number: first those of an index, then those of this run."""

    files: UnitFiles
    num_earlier: int
    bands: int
    earlier_files: int  # of an index: the first of `files`

    @classmethod
    def open(cls, folder: Path, units: Sequence[Block], bands: int, earlier: UnitFiles | None) -> "SignedFiles":
        own = UnitFiles.open(folder, units, SIGNED)
        earlier = earlier or UnitFiles((), ())
        return cls(earlier + own, len(earlier), bands, len(earlier.stems))

    def __len__(self) -> int:
        return len(self.files)

    def documents(self, numbers: np.ndarray) -> np.ndarray:
        """SIGNED of `numbers`, which ascend."""
        documents = self.files.documents(numbers, SIGNED)
        documents["order"][documents["address"] == NOT_HERE] = EARLIER
        return documents

    def keys(self, band: int, prefix: int, num_prefixes: int) -> tuple[np.ndarray, np.ndarray]:
        """(u64 keys of the band, i64 numbers of their documents), of keys that begin with `prefix`.

        There are `num_prefixes`, a power of two.
        """
        parts, numbers = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        of_files = zip(self.files.stems, (0, *self.files.ends), self.files.ends, strict=False)
        for number, (stem, start, end) in enumerate(of_files):
            read = _keys_of_index if number < self.earlier_files else _keys_by_prefix
            keys, documents = read(stem, self.bands, end - start, band, prefix, num_prefixes)
            parts.append(keys)
            numbers.append(start + documents)
        return np.concatenate(parts), np.concatenate(numbers)

    def sets(self, numbers: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(u32 sets end to end, i64[len(numbers) + 1] where each begins) of `documents`, whose `numbers` ascend."""
        begins = np.ascontiguousarray(documents["set_start"])
        starts = np.concatenate([[0], np.cumsum(documents["set_size"])])
        sets, done = np.empty(starts[-1], np.uint32), 0
        for stem, positions in self.files.positions(numbers):
            until = done + len(positions)
            stored = load_npy(npy_path(stem, "sets"), np.dtype("<u4"))
            if len(stored) < (begins[done:until] + np.diff(starts[done : until + 1])).max():
                raise damaged(npy_path(stem, "sets"), f"it ends at {len(stored)} values, within a document's")
            copy_slices(stored, begins[done:until], starts[done : until + 1], sets)
            done = until
        return sets, starts


def _keys_of_index(
    stem: Path, bands: int, num_documents: int, band: int, prefix: int, num_prefixes: int
) -> tuple[np.ndarray, np.ndarray]:
    path = npy_path(stem, "keys")
    stored = load_npy(path, np.dtype("<u8"))
    if stored.shape != (bands, num_documents):
        raise damaged(
            path, f"{stored.shape} keys for {num_documents} documents and {bands} bands; made by another recipe?"
        )
    chosen = np.flatnonzero(_begins_with(stored[band], prefix, num_prefixes))
    return stored[band][chosen], chosen


def _keys_by_prefix(
    stem: Path, bands: int, num_documents: int, band: int, prefix: int, num_prefixes: int
) -> tuple[np.ndarray, np.ndarray]:
    path = stem.with_name(f"{stem.name}.keys")
    stored = read_runs(path, KEY)
    if stored.bounds.shape != (bands, _PREFIXES + 1) or len(stored.values) != bands * num_documents:
        raise damaged(path, f"{len(stored.values)} keys for {num_documents} documents and {bands} bands")
    first = prefix * _PREFIXES // num_prefixes
    end = max(first + 1, (prefix + 1) * _PREFIXES // num_prefixes)
    part = stored.values[stored.bounds[band, first] : stored.bounds[band, end]]
    keys, documents = np.array(part["key"]), part["document"].astype(np.int64)
    if num_prefixes > _PREFIXES:
        chosen = _begins_with(keys, prefix, num_prefixes)
        keys, documents = keys[chosen], documents[chosen]
    return keys, documents


def _begins_with(keys: np.ndarray, prefix: int, num_prefixes: int) -> np.ndarray:
    """bool[keys]"""
    bits = num_prefixes.bit_length() - 1
    if not bits:
        return np.ones(len(keys), np.bool_)
    found: np.ndarray = keys >> np.uint64(64 - bits) == np.uint64(prefix)
    return found


@kernel
def copy_slices(source: np.ndarray, begins: np.ndarray, starts: np.ndarray, target: np.ndarray) -> None:
    """Fill each target[starts[i]:starts[i + 1]] with the values of `source` from begins[i] on."""
    for i in range(len(begins)):
        size = starts[i + 1] - starts[i]
        target[starts[i] : starts[i + 1]] = source[begins[i] : begins[i] + size]
