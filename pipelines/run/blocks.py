"""Blocks of work: the units that one task takes through a pass, whose files they share.

    small files a b c d … ──▶ block ──▶ work/<pass>/<block>.{facts,text,dropped}.arrow   the units end to end
    one large file        ──▶ block of one unit                                         work/<pass>/<block>.json, last

A crawl of small files has as many units as files, and a file for each would cost more than its rows. A block exists
when its manifest does; it is named after its first unit. Its units follow each other in the order of the run, and the
manifest counts the rows of each. How units are put into blocks changes no byte of the result.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from pipelines.run.folder import RunFolder
from shards import mirror
from shards.atomic import write_bytes
from shards.errors import RunError
from shards.exchange import Block
from shards.limits import raise_unless_damage
from shards.manifest import WrittenFile
from shards.unit_key import UnitKey


@dataclass(frozen=True)
class MadeUnit:
    """What a pass made of one unit."""

    key: str
    file: str  # input file, relative to its source
    start: int  # where in the input the unit begins
    next_start: int | None  # where the next unit of the file begins; None at its end
    stats: dict[str, int]  # counts by path, as `shards.stats.Stats` has them
    damage: list[dict[str, Any]]  # file, offset and cause of every place that could not be read
    rows: int  # of the unit: those of its facts
    live_rows: int  # those of its text
    dropped_rows: int  # those of its dropped texts
    failed: tuple[dict[str, Any], ...] = ()  # records of an index that could not be had, as rows of an index
    texts: WrittenFile | None = None  # the file of extracted texts, where this pass extracts and they are kept

    @property
    def source(self) -> str:
        return UnitKey.parse(self.key).source


@dataclass(frozen=True)
class MadeBlock:
    """The manifest of a block."""

    fingerprint: str  # of the run
    units: tuple[MadeUnit, ...]
    files: dict[str, WrittenFile]  # by path relative to the run

    @property
    def key(self) -> UnitKey:
        return UnitKey.parse(self.units[0].key)

    @property
    def live_rows(self) -> int:
        return sum(unit.live_rows for unit in self.units)

    def units_of(self, rows: Literal["rows", "live_rows", "dropped_rows"]) -> np.ndarray:
        """i64: the index of its unit for each of the rows of the block's facts, text or dropped texts."""
        return np.repeat(np.arange(len(self.units)), [getattr(unit, rows) for unit in self.units])


_BLOCK = TypeAdapter(MadeBlock)


def write_block(path: Path, block: MadeBlock) -> None:
    write_bytes(path, _BLOCK.dump_json(block) + b"\n", synced=False)


def read_block(path: Path) -> MadeBlock:
    """RunError where the file is missing, damaged or no manifest of a block."""
    try:
        return _BLOCK.validate_json(mirror.read_bytes(path))
    except (OSError, ValidationError) as error:
        raise_unless_damage(path, error)
        cause = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise RunError(
            f"{path}: not the manifest of a block ({cause}); delete it and run the same command again, it makes the "
            "block anew"
        ) from None


def read_blocks(run: RunFolder, number: int) -> Iterator[MadeBlock]:
    """The blocks that have gone through pass `number`, in the order of the run. RunError as of `read_block`."""
    return map(read_block, run.paths([run.pass_manifest(number, key) for key in run.passed_blocks(number)]))


class UnitBatches:
    """The live rows of a block, unit after unit."""

    def __init__(self, block: Block, columns: list[str]) -> None:
        self._stored = ((rows, batch) for _, rows, batch in block.stored_batches(columns))
        self._end = block.first
        self._next = next(self._stored, None)
        self._num_given = 0  # rows of it that units before had

    def of_next(self, live_rows: int) -> Iterator[pa.RecordBatch]:
        """The batches of the next unit, which has `live_rows` in the text file, cut as they are stored there."""
        self._end += live_rows
        while self._next is not None:
            rows, batch = self._next
            begin, end = self._num_given, int(np.searchsorted(rows, self._end))
            if begin < end:  # a part is copied: stages get whole arrays
                yield batch if end - begin == len(rows) else batch.take(pa.array(np.arange(begin, end)))
            self._num_given = end
            if end < len(rows):
                return
            self._next, self._num_given = next(self._stored, None), 0


def is_whole(run: RunFolder, block: MadeBlock) -> bool:
    """Whether the files of the block are there as they were written."""
    files = {**block.files, **{run.texts(UnitKey.parse(u.key)): u.texts for u in block.units if u.texts is not None}}
    return all(written.is_at(run.path(name)) for name, written in files.items())
