"""Rows as global stages remember them: address, id and keep order; and the files of such documents, unit by unit.

    address   unit number << 32 | row                 unique by construction, one u64
    id        32 hex digits as two u64                what results carry, and what breaks ties
    order     the keep policy as one i64              the smallest is kept (dedup.keep)

Of duplicates the first by (order, id, address) is kept, so the result depends on the rows and not on workers or files.
"""

import binascii
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
import pyarrow as pa

from dedup.keep import Keep, KeepBy
from shards import mirror
from shards.atomic import atomic_file
from shards.errors import RunError
from shards.exchange import Block
from shards.limits import raise_unless_damage

DOCUMENT = np.dtype([("address", "<u8"), ("id", "<u8", 2), ("order", "<i8")])


def describe(
    unit: Block, rows: np.ndarray, batch: pa.RecordBatch, keep: Keep | KeepBy, dtype: np.dtype = DOCUMENT
) -> np.ndarray:
    """The live `rows` of `unit` as `dtype`, with the fields of DOCUMENT filled in.

    `batch` holds the rows with `id` and the columns of the policy.
    """
    documents = np.zeros(len(rows), dtype)
    documents["address"] = np.uint64(unit.number << 32) | rows.astype(np.uint64)
    documents["id"] = parse_ids(batch["id"])
    documents["order"] = (keep if isinstance(keep, KeepBy) else KeepBy(keep)).order(documents["address"], batch)
    return documents


def keep_order(documents: np.ndarray) -> np.ndarray:
    """Indices that sort `documents` by (order, id, address)."""
    ids: np.ndarray = documents["id"]
    return np.lexsort((documents["address"], ids[:, 1], ids[:, 0], documents["order"]))


def parse_ids(ids: pa.StringArray) -> np.ndarray:
    """u64[rows, 2] of ids of 32 hex digits each; a RunError for others."""
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
    """The files `<stem>.<name>.npy`, one array a unit, as one sequence of documents numbered from 0.

    Files are opened where they are used and closed again, so no limit of open files bounds the number of units, and
    no more than one unit's pages are held.
    """

    stems: tuple[Path, ...]  # one a unit, in the order of units
    ends: tuple[int, ...]  # the number after each unit's last document

    @classmethod
    def open(cls, folder: Path, units: Sequence[Block], dtype: np.dtype | None = None) -> "UnitFiles":
        """The files of finished units; a unit has as many documents as its `documents` file."""
        return cls.of([folder / unit.key for unit in units], dtype)

    @classmethod
    def of(cls, stems: Sequence[Path], dtype: np.dtype | None = None) -> "UnitFiles":
        """The files with these stems; a RunError for one that is damaged or not of `dtype`."""
        sizes = [len(load_npy(npy_path(stem, "documents"), dtype)) for stem in stems]
        return cls(tuple(stems), tuple(int(end) for end in np.cumsum(sizes)))

    @property
    def folder(self) -> Path:
        return self.stems[0].parent

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(stem.name for stem in self.stems)

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __add__(self, later: "UnitFiles") -> "UnitFiles":
        return UnitFiles(self.stems + later.stems, self.ends + tuple(len(self) + end for end in later.ends))

    def each(self, name: str) -> Iterator[np.ndarray]:
        """The mapped array of each unit. It holds its file open: copy of it what outlives the turn of the loop."""
        for stem in self.stems:
            yield load_npy(npy_path(stem, name))

    def values(self, dtype: np.dtype, select: Callable[[np.ndarray], np.ndarray] = np.asarray) -> np.ndarray:
        """`dtype`[len(self)]: what `select` takes of each unit's `documents`, copied, so no file stays open."""
        result, done = np.empty(len(self), dtype), 0
        for documents in self.each("documents"):
            result[done : done + len(documents)] = select(documents)
            done += len(documents)
        return result

    def some(self, name: str, numbers: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(mapped array, positions in it) for each unit that holds some of `numbers`, which ascend."""
        for stem, positions in self.positions(numbers):
            yield load_npy(npy_path(stem, name)), positions

    def positions(self, numbers: np.ndarray) -> Iterator[tuple[Path, np.ndarray]]:
        """(stem, positions in its arrays) for each unit that holds some of `numbers`, which ascend."""
        cuts = np.searchsorted(numbers, (0, *self.ends))
        for stem, start, first, end in zip(self.stems, (0, *self.ends), cuts, cuts[1:], strict=False):
            if first < end:
                yield stem, numbers[first:end] - start

    def documents(self, numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The rows `numbers`, which ascend, of the `documents` files, which are of `dtype`."""
        result, done = np.empty(len(numbers), dtype), 0
        for stored, positions in self.some("documents", numbers):
            result[done : done + len(positions)] = stored[positions]
            done += len(positions)
        return result


def unit_path(folder: Path, key: str, name: str) -> Path:
    return npy_path(folder / key, name)


def npy_path(stem: Path, name: str) -> Path:
    return stem.with_name(f"{stem.name}.{name}.npy")


def save_npy(path: Path, array: np.ndarray) -> None:
    """Write the array atomically. Who owns the folder syncs it (`shards.atomic`)."""
    with atomic_file(path, synced=False) as file:
        np.save(file, array)


def load_npy(path: Path, dtype: np.dtype | None = None) -> np.ndarray:
    """Read-only and mapped, not read. A file that is missing, cut short or of another `dtype` is a RunError."""
    try:
        array = mirror.opened(path, _mapped)
    except (OSError, ValueError, EOFError, SyntaxError, TokenError) as error:  # NumPy parses a header as Python
        raise_unless_damage(path, error)
        raise damaged(path, " ".join(str(error).split()) or "it is empty") from None
    if dtype is not None and array.dtype != dtype:
        raise damaged(path, f"rows of {array.dtype.itemsize} bytes, where {dtype.itemsize} were expected")
    return np.asarray(array)


def _mapped(path: Path) -> np.ndarray:
    mapped: np.ndarray = np.load(path, mmap_mode="r")
    return mapped


def damaged(path: Path, cause: str) -> RunError:
    """The error for a stored array that is not what was written, with its remedy."""
    stem = path.name.split(".", 1)[0]
    return RunError(
        f"{path}: not a whole array of this stage ({cause}); delete {path.parent / stem}.* and run the command that"
        " made it again"
    )
