"""Counts the records of a part of a WARC, ARC or WET file, to find where its units begin (`shards.unit_starts`).

It reads as `cleaners.crawl.warc` does, damage included, but makes no rows.
"""

from collections.abc import Callable

from cleaners.crawl.records import next_record, read_records
from cleaners.crawl.warc import WarcReader
from shards.storage import InputFile
from shards.unit_starts import Openings, Piece


def crawl_extent(file: InputFile, start: int, kind: str) -> int:
    """The end of the file in bytes; 0 where it cannot be entered at records after `start`.

    The first document is then not of this kind, or it shares its gzip member, zstd or lz4 file with other records.
    """
    row = next(WarcReader("", file, start, kind).rows(), None)
    return file.num_bytes if row is not None and row["warc_length"] >= 0 else 0


def read_crawl_openings(file: InputFile, piece: Piece, check_stop: Callable[[], None]) -> Openings:
    """The openings of `piece`, which is in bytes of the file; `check_stop` is called at each of them."""
    start = piece.begin if piece.at_begin else next_record(file, piece.begin, piece.end)
    found: list[tuple[int, int, int]] = []
    if start is None or start >= piece.end:
        return Openings.of(found, piece.end)
    at, records, num_bytes = -1, 0, 0
    for record in read_records(file, start, lambda *_: None):
        if record.opens_unit:
            if at >= 0:
                found.append((at, records, num_bytes))
            at, records, num_bytes = record.offset, 0, 0
            if at >= piece.end:
                return Openings.of(found, at)
            check_stop()
        records += 1
        num_bytes += len(record.content)
    if at >= 0:
        found.append((at, records, num_bytes))
    return Openings.of(found, file.num_bytes)
