"""Draw a random part of a run's inputs: records from random positions, drawn by bytes.

Records of a crawl file stand in crawl order, so ten positions say more than one run of records ten times as long. From
each position the next record is looked for and a few are read. A file is read as a ring: after its last record comes
the first, so that every record stands after some position.

    position ▾
    ┌ a ┬ b ┬──│──┬ d ┬ e ┐        d, e, a, b, c
    └───┴───┴─ c ─┴───┴───┘

A file that cannot be entered in the middle (zstd, lz4, one gzip member for all records) is always read from its
beginning.
"""

import gzip
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any, BinaryIO

from cleaners.crawl import frames
from cleaners.crawl.framing import Record
from cleaners.crawl.records import next_record, read_records
from cleaners.crawl.warc import WarcReader, is_document
from shards.errors import RunError, UserError
from shards.reader import only_error
from shards.row_lines import open_lines
from shards.storage import InputFile, open_input


@dataclass(frozen=True)
class Drawn:
    """A record as it is to be written."""

    identity: Any  # what tells it from other records of its file
    is_document: bool
    data: bytes


RecordsFrom = Callable[[InputFile, int], Iterator[Drawn]]


def draw(
    files: Sequence[InputFile], number: int, positions: int, source: random.Random, records_from: RecordsFrom
) -> Iterator[tuple[InputFile, Drawn]]:
    """About `number` documents from about `positions` positions, each once, and other records that lie between them.

    `records_from` reads a file as a ring, from the first record after a byte on. Fewer documents come where the files
    hold fewer.
    """
    left = [file for file in files if file.num_bytes]
    seen: set[tuple[str, Any]] = set()
    num_documents = 0
    while left and num_documents < number:
        file, at = _position(left, source.randrange(sum(file.num_bytes for file in left)))
        wanted = min(-(-number // positions), number - num_documents)
        for record in records_from(file, at):
            if (file.path, record.identity) in seen:
                continue
            seen.add((file.path, record.identity))
            yield file, record
            num_documents += record.is_document
            wanted -= record.is_document
            if wanted == 0:
                break
        else:
            left.remove(file)  # all that it holds is drawn


def documents_from(file: InputFile, at: int, kind: str) -> Iterator[Drawn]:
    """The documents of a crawl file as a ring from byte `at` on, uncompressed."""
    for identity, record in _ring(file, at, kind):
        if is_document(record, kind):
            yield Drawn(identity, True, _uncompressed(record))


def stored_records_from(file: InputFile, at: int, kind: str) -> Iterator[Drawn]:
    """All records of a crawl file as a ring from byte `at` on, with the bytes as they are stored.

    A record that shares a gzip member with others is compressed anew, and so is one of a zstd or lz4 file.
    """
    with open_input(file) as stream:
        compress = frames.compressor(stream) or gzip.compress
        for identity, record in _ring(file, at, kind):
            if record.length >= 0 and record.opens_unit:
                stream.seek(record.offset)
                data = stream.read(record.length)
            else:
                data = compress(_uncompressed(record))
            yield Drawn(identity, is_document(record, kind), data)


def lines_from(file: InputFile, at: int) -> Iterator[Drawn]:
    """The lines of a file as a ring from byte `at` on; UserError where its bytes are not those of its lines."""
    with open_lines(file) as lines:
        if not lines.is_stored:
            raise UserError(
                f"{file}: no estimate for JSON lines that are compressed or in UTF-16; plan draws from WARC, WET and "
                "plain JSON lines"
            )
    with open_input(file, max(0, at - 1)) as stream:
        begin = max(0, at - 1) + len(stream.readline()) if at else 0
        yield from _lines(stream, begin)
    with open_input(file) as stream:
        yield from takewhile(lambda line: line.identity < begin, _lines(stream, 0))


def nothing_drawn(source: str, kind: str, files: Sequence[InputFile]) -> RunError:
    """The error of crawl files from which no document was drawn, with the causes that a run would report."""
    readers = [WarcReader(source, file, 0, kind) for file in files]
    for reader in readers:
        for _ in reader.rows():
            pass
    damage = [damage for reader in readers for damage in reader.damage]
    return only_error(damage) if damage else RunError(f"source.{source}: the inputs hold no document of kind {kind}")


def _position(files: Sequence[InputFile], at: int) -> tuple[InputFile, int]:
    """The file that holds byte `at` of all files, and the byte in it."""
    for file in files:
        if at < file.num_bytes:
            return file, at
        at -= file.num_bytes
    raise AssertionError(at)


def _ring(file: InputFile, at: int, kind: str) -> Iterator[tuple[tuple[int, int], Record]]:
    """(what tells it from others, record) for all records of a file of this kind; none of another file."""
    if not _holds_documents(file, kind):
        return
    begin = next_record(file, at) if at else 0
    if begin is not None:
        yield from _records(file, begin)
    if begin != 0:
        for identity, record in _records(file, 0):
            if begin is not None and record.offset >= begin:
                return
            yield identity, record


@lru_cache(1024)
def _holds_documents(file: InputFile, kind: str) -> bool:
    return next(WarcReader("", file, 0, kind).rows(), None) is not None


def _records(file: InputFile, begin: int) -> Iterator[tuple[tuple[int, int], Record]]:
    """The records from `begin` on with their offset and their number among those that have this offset."""
    offset, number = -1, 0
    for record in read_records(file, begin, _pass_over):
        offset, number = record.offset, number + 1 if record.offset == offset else 0
        yield (offset, number), record


def _uncompressed(record: Record) -> bytes:
    return record.head + b"\r\n\r\n" + record.content + b"\r\n\r\n"


def _lines(stream: BinaryIO, at: int) -> Iterator[Drawn]:
    for line in stream:
        yield Drawn(at, True, line if line.endswith(b"\n") else line + b"\n")
        at += len(line)


def _pass_over(offset: int, cause: str) -> None:
    """A run reports damage; a sample reads on after it."""
