"""Draw a random part of a run's inputs: records from random positions, drawn by bytes.

Records of a crawl file stand in crawl order, so ten positions say more than one run of records ten times as long. From
each position the next record is looked for and a few are read.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cleaners.crawl.records import next_record, read_records
from shards.errors import UserError
from shards.storage import InputFile, open_input

_DOCUMENTS = ("response", "resource", "conversion", "revisit")  # WARC types of records that may become documents
_TRIES = 10  # positions drawn for each that is wanted: near the end of a file, or of damage, there are few records


@dataclass(frozen=True)
class Drawn:
    """A record as it is to be written."""

    identity: Any  # what tells it from other records of its file
    is_document: bool
    data: bytes


RecordsAt = Callable[[InputFile, int], Iterator[Drawn]]


def draw(
    files: Sequence[InputFile], number: int, positions: int, source: random.Random, records_at: RecordsAt
) -> Iterator[tuple[InputFile, Drawn]]:
    """About `number` documents from up to `positions` positions, each once, and other records that lie between them.

    `records_at` reads a file from the first record after a byte. Fewer documents come where the files hold fewer.
    """
    total = sum(file.num_bytes for file in files)
    seen: set[tuple[str, Any]] = set()
    num_documents = 0
    for _ in range(_TRIES * positions):
        at = source.randrange(max(total, 1))
        for file in files:
            if at < file.num_bytes:
                break
            at -= file.num_bytes
        wanted = min(-(-number // positions), number - num_documents)
        for record in records_at(file, at) if wanted > 0 else ():
            if (file.path, record.identity) in seen:
                continue
            seen.add((file.path, record.identity))
            yield file, record
            num_documents += record.is_document
            wanted -= record.is_document
            if wanted == 0:
                break


def documents_at(file: InputFile, at: int) -> Iterator[Drawn]:
    """The document records of a crawl file after byte `at`, uncompressed."""
    begin = next_record(file, at)
    for i, record in enumerate(read_records(file, begin, _pass_over) if begin is not None else ()):
        if record.headers.get("warc-type", "").lower() in _DOCUMENTS:
            identity = (record.offset, -1 if record.opens_unit else i)
            yield Drawn(identity, True, record.head + b"\r\n\r\n" + record.content + b"\r\n\r\n")


def stored_records_at(file: InputFile, at: int) -> Iterator[Drawn]:
    """All records of a crawl file after byte `at`, with the bytes as they are stored."""
    begin = next_record(file, at)
    with open_input(file) as stream:
        for record in read_records(file, begin, _pass_over) if begin is not None else ():
            if record.length < 0 or file.name.endswith((".zst", ".lz4")):
                raise UserError(
                    f"{file}: not stored so that one record can be read without those before it, which an "
                    "estimate needs; compress each record by itself, with gzip"
                )
            stream.seek(record.offset)
            is_document = record.headers.get("warc-type", "").lower() in _DOCUMENTS
            yield Drawn(record.offset, is_document, stream.read(record.length))


def lines_at(file: InputFile, at: int) -> Iterator[Drawn]:
    """The lines of a file after byte `at`."""
    with open_input(file, max(0, at - 1)) as stream:
        at = max(0, at - 1) + len(stream.readline()) if at else 0
        for line in stream:
            yield Drawn(at, True, line if line.endswith(b"\n") else line + b"\n")
            at += len(line)


def _pass_over(offset: int, cause: str) -> None:
    """A run reports damage; a sample reads on after it."""
