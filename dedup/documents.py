"""What a global stage remembers of a row: where it is, who it is, and which of two is kept.

    address   unit number << 32 | row                 unique by construction, one u64
    id        32 hex digits as two u64                what results carry, and how ties fall
    order     the keep policy as one i64              smaller is kept rather

Whoever comes first by (order, id, address) is kept, so the result depends on the rows and not on workers or files.
"""

import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.atomic import atomic_file
from shards.errors import RunError
from shards.exchange import ExchangeUnit

Keep = Literal["longest", "newest", "oldest", "first"]
KEEP_COLUMNS: dict[Keep, list[str]] = {"longest": ["text"], "newest": ["date"], "oldest": ["date"], "first": []}

DOCUMENT = np.dtype([("address", "<u8"), ("id", "<u8", 2), ("order", "<i8")])
_LAST = np.iinfo(np.int64).max


def describe(
    unit: ExchangeUnit, rows: np.ndarray, batch: pa.RecordBatch, keep: Keep, dtype: np.dtype = DOCUMENT
) -> np.ndarray:
    """The live `rows` of `unit` as `dtype`, of which the fields of DOCUMENT are set.

    `batch` holds the rows with `id` and `KEEP_COLUMNS[keep]`.
    """
    documents = np.zeros(len(rows), dtype)
    documents["address"] = np.uint64(unit.number << 32) | rows.astype(np.uint64)
    documents["id"] = parse_ids(batch["id"])
    documents["order"] = _order(documents["address"], batch, keep)
    return documents


def keep_order(documents: np.ndarray) -> np.ndarray:
    """Indices of `documents` from the first kept to the last."""
    ids: np.ndarray = documents["id"]
    return np.lexsort((documents["address"], ids[:, 1], ids[:, 0], documents["order"]))


def parse_ids(ids: pa.StringArray) -> np.ndarray:
    """u64[rows, 2] of ids that are 32 hex digits each."""
    if not len(ids):
        return np.zeros((0, 2), np.uint64)
    _, offsets_buffer, data = ids.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[ids.offset : ids.offset + len(ids) + 1]
    try:
        if (np.diff(offsets) != 32).any():
            raise binascii.Error("wrong length")
        raw = binascii.unhexlify(memoryview(data)[offsets[0] : offsets[-1]])
    except binascii.Error as error:
        raise RunError(f"an id is not 32 hex digits ({error}); rows of a global stage come from our sources") from None
    return np.frombuffer(raw, ">u8").reshape(-1, 2).astype(np.uint64)


def format_ids(ids: np.ndarray) -> pa.StringArray:
    """The reverse of `parse_ids`, in lower case."""
    digits = ids.astype(">u8").tobytes().hex().encode()
    offsets = np.arange(len(ids) + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(digits))


@dataclass(frozen=True)
class UnitFiles:
    """The files `folder/<key>.<name>.npy`, an array a unit, as one sequence of documents numbered from 0.

    Files are opened where they are used and closed again, so no limit of open files bounds the number of units.
    """

    folder: Path
    keys: tuple[str, ...]  # of the units, in their order
    ends: tuple[int, ...]  # number after each unit's last document

    @classmethod
    def open(cls, folder: Path, units: Sequence[ExchangeUnit]) -> "UnitFiles":
        """The files of finished units; lengths are those of the `documents` files."""
        keys = tuple(unit.key for unit in units)
        sizes = [len(load_npy(unit_path(folder, key, "documents"))) for key in keys]
        return cls(folder, keys, tuple(int(end) for end in np.cumsum(sizes)))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def each(self, name: str) -> Iterator[np.ndarray]:
        """The mapped array of each unit."""
        for key in self.keys:
            yield load_npy(unit_path(self.folder, key, name))

    def some(self, name: str, numbers: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(mapped array, positions in it) for each unit that holds some of `numbers`, which ascend."""
        cuts = np.searchsorted(numbers, (0, *self.ends))
        for key, start, first, end in zip(self.keys, (0, *self.ends), cuts, cuts[1:], strict=False):
            if first < end:
                yield load_npy(unit_path(self.folder, key, name)), numbers[first:end] - start

    def documents(self, numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The rows `numbers`, which ascend, of the `documents` files, which are of `dtype`."""
        parts = [stored[positions] for stored, positions in self.some("documents", numbers)]
        return np.concatenate([np.zeros(0, dtype), *parts])


def unit_path(folder: Path, key: str, name: str) -> Path:
    return folder / f"{key}.{name}.npy"


def save_npy(path: Path, array: np.ndarray) -> None:
    with atomic_file(path) as file:
        np.save(file, array)


def load_npy(path: Path) -> np.ndarray:
    """Read-only and mapped, not read."""
    return np.asarray(np.load(path, mmap_mode="r"))


def _order(addresses: np.ndarray, batch: pa.RecordBatch, keep: Keep) -> np.ndarray:
    if keep == "longest":
        lengths: np.ndarray = pc.fill_null(pc.utf8_length(batch["text"]), 0).to_numpy(zero_copy_only=False)
        return -lengths.astype(np.int64)
    if keep == "first":  # units are numbered in the order of source, file and part, so the address is that order
        return addresses.astype(np.int64)
    dates = _dates(batch["date"])
    # Without a date a row is kept only when all are without.
    return np.where(dates == 0, _LAST, -dates if keep == "newest" else dates)


def _dates(dates: pa.StringArray) -> np.ndarray:
    """i64: YYYYMMDDhhmmss and four digits of the fraction; 0 where there is no date. WARC dates are in UTC."""
    digits = pc.replace_substring_regex(pc.fill_null(dates, ""), r"Z|[+-]\d\d:\d\d$|\D", "")
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(digits, 18, "0"), 0, 18)
    values: np.ndarray = pc.cast(padded, pa.int64()).to_numpy(zero_copy_only=False)
    return values
