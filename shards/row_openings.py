"""Counts the rows of a part of a file of rows, to find where its units begin (`shards.unit_starts`).

    JSON lines, not compressed   an opening is the first byte of a line
    Parquet                      a row group
    Arrow                        a record batch of the file format

A file of lines that is compressed, a text file and an Arrow stream cannot be entered in their middle.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from shards.row_lines import UNREADABLE, open_lines
from shards.row_reader import RowReader, is_arrow_file
from shards.schema import NO_COLUMNS
from shards.source import SourceConfig
from shards.stage import Batch
from shards.storage import InputFile, open_input
from shards.unit_starts import Openings, Piece

_NO_BATCH = pa.RecordBatch.from_pylist([], NO_COLUMNS)
_READ_BYTES = 1 << 16


def row_extent(config: SourceConfig, file: InputFile) -> int:
    """The end of the file as readers count it: bytes, row groups or record batches; 0 where it cannot be entered."""
    try:
        if config.kind == "jsonl":
            with open_lines(file) as lines:
                return file.num_bytes if lines.is_stored else 0
        with open_input(file) as stream:
            if config.kind == "parquet":
                import pyarrow.parquet as pq

                return int(pq.ParquetFile(stream).num_row_groups)
            if config.kind == "shards" and is_arrow_file(stream):
                return int(pa.ipc.open_file(pa.PythonFile(stream)).num_record_batches)
    except UNREADABLE:
        return 0  # its reader says why
    return 0


def read_row_openings(
    config: SourceConfig, file: InputFile, extent: int, piece: Piece, check_stop: Callable[[], None]
) -> Openings:
    """The openings of `piece`, counted as `extent`; `check_stop` is called at each of them."""
    start: int | None = piece.begin
    if config.kind == "jsonl" and not piece.at_begin:
        start = _next_line(file, piece.begin, piece.end)
    if start is None:
        return Openings.of([], piece.end)
    reader = _Counter(config, file, start, piece.end, check_stop)
    for _ in reader:
        pass
    return reader.openings(extent)


class _Counter(RowReader):
    """Reads rows and makes no batches. It notes the openings and ends at the first one after its piece."""

    def __init__(
        self, config: SourceConfig, file: InputFile, start: int, end: int, check_stop: Callable[[], None]
    ) -> None:
        super().__init__(config, "", file, start)
        self._end, self._check_stop = end, check_stop
        self._marks: list[tuple[int, int, int]] = []  # opening, and the records and bytes that were read before it

    def _ends_before(self, start: int) -> bool:
        self._check_stop()
        self._marks.append((start, self._num_records, self._num_bytes))
        return start >= self._end

    def _batch(self, rows: list[dict[str, Any]]) -> Batch:
        return _NO_BATCH

    def openings(self, extent: int) -> Openings:
        """What was found; of a file that ends in the piece or cannot be read further, the end is `extent`."""
        if not self._marks or self._marks[-1][0] < self._end:
            self._marks.append((extent, self._num_records, self._num_bytes))
        pairs = zip(self._marks, self._marks[1:], strict=False)
        found = [(at, records - before[0], num_bytes - before[1]) for (at, *before), (_, records, num_bytes) in pairs]
        return Openings.of(found, self._marks[-1][0])


def _next_line(file: InputFile, begin: int, end: int) -> int | None:
    """The first byte of the first line that begins in the part of the file."""
    at = begin - 1
    with open_input(file, at) as stream:
        while at < end - 1:
            part = stream.readline(min(_READ_BYTES, end - 1 - at))
            if not part:
                return None
            at += len(part)
            if part.endswith(b"\n"):
                return at
    return None
