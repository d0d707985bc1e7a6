"""Spills removed documents to disk, then writes each unit's verdicts and copies.

    removed documents, in any order ──▶ removed.bin ──a range of documents at a time──▶ verdicts, copies

Memory is that of one range of documents; the file is read once for each range.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from dedup.files.verdicts import NOT_HERE, write_copies, write_verdicts
from dedup.lsh.signing import SignedFiles
from shards.atomic import disk_error
from shards.exchange import Block

_REMOVED = np.dtype(
    [
        ("number", "<i8"),
        ("representative", "<i8"),  # its number
        ("similarity", "<f8"),
        ("address", "<u8"),
        ("twin", "<u8", 2),  # the representative's id
        ("gain", "<i8"),  # copies that the representative takes over
    ]
)
_BLOCK = 1 << 18
_DOCUMENT_BYTES = 300  # of a document of the range, if it is removed


class RemovedDocuments:
    """A file of removed documents: `add` in any order, then `write`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        except OSError as error:
            raise disk_error(self._path, error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._file.close()
        except OSError as failure:
            raise disk_error(self._path, failure) from failure

    def add(self, edges: np.ndarray, numbers: np.ndarray, documents: np.ndarray) -> None:
        """Append the `second` of each of `edges` (EDGE), which is removed for the `first`.

        Both index `documents`, which have these `numbers`.
        """
        representatives, removed = (documents[edges[end]] for end in ("first", "second"))
        rows = np.zeros(len(edges), _REMOVED)
        rows["number"], rows["representative"] = numbers[edges["second"]], numbers[edges["first"]]
        rows["similarity"], rows["address"] = edges["similarity"], removed["address"]
        rows["twin"], rows["gain"] = representatives["id"], removed["copies"] + 1
        try:
            self._file.write(rows.tobytes())
        except OSError as error:
            raise disk_error(self._path, error) from error

    def write(self, folder: Path, units: Sequence[Block], signed: SignedFiles, memory: int) -> None:
        """Write verdicts and copies of all `units` in `memory` bytes, and delete the file."""
        units_of_file: list[list[Block]] = [[] for _ in range(len(signed.files.stems) - len(units))]
        units_of_file += [[unit] for unit in units]
        for range_units, start, end in _ranges(signed.files.ends, units_of_file, memory // _DOCUMENT_BYTES):
            parts = [np.zeros(0, _REMOVED)]
            gains = np.zeros(end - start, np.int64)
            for block in self._blocks():
                parts.append(block[(block["number"] >= start) & (block["number"] < end)])
                gaining = block[(block["representative"] >= start) & (block["representative"] < end)]
                np.add.at(gains, gaining["representative"] - start, gaining["gain"])
            removed = np.concatenate(parts)
            write_verdicts(folder, range_units, removed["address"], removed["twin"], removed["similarity"])
            gaining_numbers = np.flatnonzero(gains)
            representatives = signed.documents(start + gaining_numbers)
            copies = representatives["copies"] + gains[gaining_numbers]
            ours = representatives["address"] != NOT_HERE  # an index keeps no copies
            write_copies(folder, range_units, representatives["address"][ours], copies[ours])
        self._path.unlink()

    def _blocks(self) -> Iterator[np.ndarray]:
        with self._path.open("rb") as file:
            while len(block := np.fromfile(file, _REMOVED, _BLOCK)):
                yield block


def _ranges(
    ends: Sequence[int], units_of_file: Sequence[list[Block]], max_documents: int
) -> Iterator[tuple[list[Block], int, int]]:
    """(units, first number, end) of whole files with up to `max_documents` together, or of one file with more."""
    units: list[Block] = []
    start = range_end = 0
    for of_file, end in zip(units_of_file, ends, strict=True):
        if end - start > max_documents and range_end > start:
            yield units, start, range_end
            units, start = [], range_end
        units, range_end = units + of_file, end
    yield units, start, range_end
