"""The contract of readers: a unit of an input file in, batches of rows out.

    input file ──▶ Reader(file, start) ──▶ batches of rows       reader.next_start: where the next unit begins
                                       └─▶ stats, damage         (None at the end of the file)

A unit's batches depend on the file and on `start` alone, never on who reads it. Crawl files have their reader in
`cleaners.crawl.warc`, files of rows in `shards.row_reader`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
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


EXAMPLES = 3  # places of one kind of damage that are listed of a file; the others are counted
_DETAILS = re.compile(r"[:;(\d]")  # what follows the first of these in a cause differs from place to place


@dataclass(frozen=True)
class Damage:
    """A place in a file that could not be read. Reading continues after it where it can."""

    file: str  # relative to its source
    offset: int  # bytes, inflated ones of a compressed file; row groups or record batches of a file of tables
    cause: str
    places: int = 1  # places of this kind that it stands for, of which it is the first

    @property
    def kind(self) -> str:
        """The cause without what differs from place to place."""
        return _DETAILS.split(self.cause, maxsplit=1)[0]


def add_damage(damage: list[Damage], place: Damage) -> None:
    """Append `place` to the damage of its file, or count it where `EXAMPLES` of its kind are listed.

    So a file of 100 million broken lines has a short list.
    """
    same = [i for i, other in enumerate(damage) if other.kind == place.kind]
    if len(same) < EXAMPLES:
        damage.append(place)
    else:
        damage[same[-1]] = replace(damage[same[-1]], places=damage[same[-1]].places + place.places)


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


def own_row_id(name: str, text: str) -> str:
    """32 hex digits: xxh3-128 of the id that a row of a file has, and of its text.

    Ids of rows are often numbers that begin again in each part of a file, so an id alone names no record.
    """
    digest = xxhash.xxh3_128(f"{name}\0".encode())
    digest.update(text.encode())
    return digest.hexdigest()


def only_error(damage: list[Damage]) -> RunError:
    """The error to raise when nothing at all could be read; `damage` is not empty."""
    first, num_more = damage[0], sum(place.places for place in damage) - 1
    more = f" (and {num_more:,} more)" if num_more else ""
    return RunError(f"{first.file}: offset {first.offset}: {first.cause}{more}; no document could be read")
