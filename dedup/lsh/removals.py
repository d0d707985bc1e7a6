"""From who leaves for whom to the files that the run reads, however many leave.

    removed, in any order ──▶ leavers.bin ──a range of documents at a time──▶ verdicts, copies

What a range needs is bounded by its documents; the file is read once for each.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from dedup.lsh.signing import SignedFiles
from dedup.verdicts import NOT_HERE, write_copies, write_verdicts
from shards.atomic import disk_error
from shards.exchange import ExchangeUnit

_LEAVER = np.dtype(
    [
        ("other", "<i8"),
        ("kept", "<i8"),
        ("similarity", "<f8"),
        ("address", "<u8"),
        ("twin", "<u8", 2),
        ("gain", "<i8"),  # by so many grow the copies of the kept one
    ]
)
_BLOCK = 1 << 18
_BYTES_EACH = 300  # of a document of the range, if it leaves


class Leavers:
    """A file of those who leave, to write and then to settle."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        except OSError as error:
            raise disk_error(self._path, error) from error
        return self

    def add(self, removed: np.ndarray, numbers: np.ndarray, documents: np.ndarray) -> None:
        """`removed` (EDGE) names places in `documents`, which have these `numbers`."""
        kept, other = (documents[removed[end]] for end in ("kept", "other"))
        leavers = np.zeros(len(removed), _LEAVER)
        leavers["other"], leavers["kept"] = numbers[removed["other"]], numbers[removed["kept"]]
        leavers["similarity"] = removed["similarity"]
        leavers["address"], leavers["twin"], leavers["gain"] = other["address"], kept["id"], other["copies"] + 1
        try:
            self._file.write(leavers.tobytes())
        except OSError as error:
            raise disk_error(self._path, error) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._file.close()
        except OSError as failure:
            raise disk_error(self._path, failure) from failure

    def settle(self, folder: Path, units: Sequence[ExchangeUnit], signed: SignedFiles, memory: int) -> None:
        """Write verdicts and copies, and remove the file."""
        units_of: list[list[ExchangeUnit]] = [[] for _ in range(len(signed.files.stems) - len(units))]
        units_of += [[unit] for unit in units]
        for here, start, end in _ranges(signed, units_of, memory // _BYTES_EACH):
            parts = [np.zeros(0, _LEAVER)]
            gains = np.zeros(end - start, np.int64)
            for block in self._blocks():
                parts.append(block[(block["other"] >= start) & (block["other"] < end)])
                gaining = block[(block["kept"] >= start) & (block["kept"] < end)]
                np.add.at(gains, gaining["kept"] - start, gaining["gain"])
            leaving = np.concatenate(parts)
            write_verdicts(folder, here, leaving["address"], leaving["twin"], leaving["similarity"])
            places = np.flatnonzero(gains)
            kept = signed.documents(start + places)
            ours = kept["address"] != NOT_HERE  # those of an index stand for their own run
            write_copies(folder, here, kept["address"][ours], (kept["copies"] + gains[places])[ours])
        self._path.unlink()

    def _blocks(self) -> Iterator[np.ndarray]:
        with self._path.open("rb") as file:
            while len(block := np.fromfile(file, _LEAVER, _BLOCK)):
                yield block


def _ranges(
    signed: SignedFiles, units_of: Sequence[list[ExchangeUnit]], max_documents: int
) -> Iterator[tuple[list[ExchangeUnit], int, int]]:
    """(units, first number, number after the last) of whole units with `max_documents` together, one at least."""
    here: list[ExchangeUnit] = []
    start = last = 0
    for of_file, end in zip(units_of, signed.files.ends, strict=True):
        if end - start > max_documents and last > start:
            yield here, start, last
            here, start = [], last
        here, last = here + of_file, end
    yield here, start, last
