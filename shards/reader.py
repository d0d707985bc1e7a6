"""The contract of readers: a unit of an input file in, batches of rows out.

    input file ──▶ Reader(file, start) ──▶ batches of rows       reader.next_start: where the next unit begins
                                       └─▶ stats, damage         (None at the end of the file)

A unit's batches depend on the file and on `start` alone, never on who reads it. Crawl files have their reader in
`cleaners.crawl.warc`, files of rows in `shards.row_reader`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import xxhash

from shards.errors import RunError
from shards.schema import PROVENANCE, TEXT
from shards.stage import Batch
from shards.stats import Stats

UNIT_RECORDS = 10_000  # a unit ends at this many records …
UNIT_BYTES = 512 << 20  # … or at this many bytes of payload or text, whichever comes first
BATCH_ROWS = 256  # a batch ends at this many rows …
BATCH_BYTES = 8 << 20  # … or at this many bytes, which bounds the memory of a stage
ROWS = pa.unify_schemas([PROVENANCE, pa.schema([TEXT])])  # the columns of a row that is text


@dataclass(frozen=True)
class Damage:
    """A place in a file that could not be read. Reading continues after it where it can."""

    file: str  # relative to its source
    offset: int  # bytes; row groups or record batches in a damaged file of tables
    cause: str


class Reader(Protocol):
    """One pass over one unit. `next_start`, `stats` and `damage` are complete when the iteration has ended."""

    schema: pa.Schema
    next_start: int | None
    stats: Stats
    damage: list[Damage]

    def __iter__(self) -> Iterator[Batch]: ...


class FaultyFile:
    """The unit of a file that cannot be read: no row, and its fault as damage."""

    schema = ROWS
    next_start: int | None = None

    def __init__(self, name: str, fault: str) -> None:
        self.stats = Stats({"records/damaged": 1})
        self.damage = [Damage(name, 0, fault)]

    def __iter__(self) -> Iterator[Batch]:
        return iter(())


def row_id(name: str, url: str, date: str, body: bytes | memoryview) -> str:
    """32 hex digits: xxh3-128 of the record's own id, or where it has none of URL, date and body as stored."""
    if name:
        return xxhash.xxh3_128_hexdigest(name.encode())
    digest = xxhash.xxh3_128(f"{url}\0{date}\0".encode())
    digest.update(body)
    return digest.hexdigest()


def only_error(damage: list[Damage]) -> RunError:
    """The error to raise when nothing at all could be read; `damage` is not empty."""
    first = damage[0]
    more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
    return RunError(f"{first.file}: offset {first.offset}: {first.cause}{more}; no document could be read")
