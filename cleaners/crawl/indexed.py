"""Reads the records of a crawl file that an index names, and no others.

    places: offset, length, URL ──ranges──▶ bytes of each ──records──▶ as from the whole file, or a line of `failed`

Each range is what an index takes for a record: whole, and nothing else. One that cannot be had, or holds no record, is
damage of the file, and a line that is a row of an index itself: a source of the next run.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from cleaners.crawl.framing import Damaged, Record
from cleaners.crawl.records import records_of
from cleaners.crawl.warc import WarcReader
from shards.ranges import Missing, read_parts
from shards.selection import Place
from shards.storage import InputFile

REQUESTS_PER_SECOND = 50.0  # to a host, where a source says nothing: a hundredth of what Common Crawl has for everybody


class IndexedReader(WarcReader):
    """One unit of the records at `places` in a WARC file, from the one at byte `start` on."""

    def __init__(
        self, source: str, file: InputFile, places: Sequence[Place], start: int, per_second: float | None
    ) -> None:
        super().__init__(source, file, start)
        self._places = [place for place in places if place.part.offset >= start]
        self._per_second = per_second or REQUESTS_PER_SECOND
        self.failed: list[dict[str, Any]] = []  # rows of an index, each with its cause

    def _records(self, damaged: Damaged) -> Iterator[Record]:
        parts = [place.part for place in self._places]
        for place, data in zip(self._places, read_parts(self._file.path, parts, self._per_second), strict=True):
            causes: list[str] = []
            if isinstance(data, Missing):
                causes.append(data.cause)
            else:
                yield from records_of(data, place.part.offset, lambda _, cause: causes.append(cause))  # noqa: B023
            if causes:
                damaged(place.part.offset, causes[0])
                self.failed.append(
                    {
                        "filename": self._file.name,
                        "offset": place.part.offset,
                        "length": place.part.length,
                        "url": place.url,
                        "cause": causes[0],
                    }
                )


def failed_lines(failed: Sequence[dict[str, Any]]) -> bytes:
    """Rows of an index as JSON lines."""
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in failed)
