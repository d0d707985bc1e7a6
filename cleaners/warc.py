"""Read WARC and WET files: batches of rows out, every record accounted for.

    file ──records──▶ response, resource, conversion, revisit ──▶ a row each
                  ├─▶ request, metadata, warcinfo, …          ──▶ counted by type
                  └─▶ unreadable bytes                        ──▶ `Damage`: offset, cause; reading goes on behind them

A unit ends at `UNIT_RECORDS` records or `UNIT_BYTES` of content; the next begins at the offset of the next record, so
one huge WARC is many units and a rerun seeks. fastwarc parses (1 GB/s of inflated bytes); what it passes over is
looked for here: a record cut short, and a last gzip member that ends too early.
"""

import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from shards.schema import PAYLOAD
from shards.source import BATCH_BYTES, BATCH_ROWS, ROWS, UNIT_BYTES, UNIT_RECORDS, Damage, row_id
from shards.stage import Batch
from shards.stats import Stats
from shards.storage import InputFile, open_input

RECORD = pa.schema([pa.field("record_type", pa.string())])
SCHEMA = pa.unify_schemas([ROWS, PAYLOAD, RECORD])

_DOCUMENTS = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion | WarcRecordType.revisit
_GZIP = b"\x1f\x8b\x08"
_ARC = b"filedesc://"
_CHUNK = 1 << 20


class WarcReader:
    """One unit of a WARC or WET file, from the record at byte `start`.

    A gzip file that is not compressed record by record cannot be entered in the middle: it is one unit, and its rows
    give offset 0 and length -1.
    """

    schema = SCHEMA

    def __init__(self, source: str, file: InputFile, start: int) -> None:
        self._source, self._file, self._start = source, file, start
        self.next_start: int | None = None
        self.stats = Stats()
        self.damage: list[Damage] = []

    def __iter__(self) -> Iterator[Batch]:
        start: int | None = self._start
        head = self._head()
        if not head:
            self._damaged(0, "an empty file; fetch it again")
            start = None
        elif head.startswith(_ARC):
            self._damaged(
                0, "an ARC file, and only WARC is read; convert it with `warcio recompress OLD.arc NEW.warc.gz`"
            )
            start = None
        elif start == 0 and b"WARC/" not in head:
            self._damaged(0, "not a WARC file: it does not begin with a WARC record")
            start = None
        self._seekable = start != 0 or self._record_by_record()
        self._records = self._bytes = 0
        while start is not None:  # once, and once more behind each damaged place
            yield from self._read(start)
            start = self._resume_at

    def _read(self, start: int) -> Iterator[Batch]:
        self._resume_at: int | None = None
        rows: list[dict[str, Any]] = []
        num_bytes, last, whole = 0, -1, True
        with open_input(self._file, start) as stream:
            records = iter(ArchiveIterator(stream, record_types=WarcRecordType.any_type, parse_http=False))
            while True:
                try:
                    record = next(records, None)
                    offset = record.stream_pos if record is not None else self._file.num_bytes
                    if rows and rows[-1]["warc_length"] is None:
                        rows[-1]["warc_length"] = offset - rows[-1]["warc_offset"] if self._seekable else -1
                    if record is None:
                        break
                    if self._seekable and (self._records >= UNIT_RECORDS or self._bytes >= UNIT_BYTES):
                        self.next_start = offset
                        break
                    last, whole = offset, False
                    row = self._take(record, offset)
                    whole = True
                except OSError as error:
                    where = max(last, start) if not whole else self._end_of(last) if last >= 0 else start
                    self._damaged(where, f"unreadable: {error}")
                    self._resume_at = self._next_record(where + 1)
                    break
                if row is not None:
                    rows.append(row)
                    num_bytes += len(row["payload"] or b"") + len(row["text"] or "")
                    if len(rows) == BATCH_ROWS or num_bytes >= BATCH_BYTES:
                        # The last row's length is known when the next record begins; it opens the next batch.
                        batch, rows, num_bytes = pa.RecordBatch.from_pylist(rows[:-1], SCHEMA), rows[-1:], 0
                        yield batch
        for row in rows:
            row["warc_length"] = -1 if row["warc_length"] is None else row["warc_length"]
        if rows:
            yield pa.RecordBatch.from_pylist(rows, SCHEMA)
        if (
            self.next_start is None
            and self._resume_at is None
            and last > max((d.offset for d in self.damage), default=-1)
        ):
            self._check_tail(last if self._seekable else 0)

    def _take(self, record: WarcRecord, offset: int) -> dict[str, Any] | None:
        """The row of a document record; None for one that is counted by type or is damaged."""
        declared = record.headers.get("Content-Length")
        record.freeze()  # reads the whole content, so that a length that is not true shows
        self._records += 1
        self._bytes += record.content_length
        if declared is None or not declared.strip().isdigit():
            self._damaged(offset, f"a record without a valid Content-Length ({declared!r})")
            return None
        if record.content_length < int(declared):
            self._damaged(offset, f"a record cut short: {record.content_length} of {int(declared)} bytes")
            return None
        if not int(record.record_type & _DOCUMENTS):
            self.stats.add(f"records/{record.record_type}")
            return None
        return self._row(record, offset)

    def _row(self, record: WarcRecord, offset: int) -> dict[str, Any]:
        url = (record.headers.get("WARC-Target-URI") or "").strip().removeprefix("<").removesuffix(">")
        date = record.headers.get("WARC-Date") or ""
        kind = str(record.record_type)
        status = content_type = charset = None
        if record.is_http:
            http, body = self._http(record.reader.read())
            if http is not None:
                status, content_type, charset = http.http_headers.status_code, http.http_content_type, http.http_charset
        else:
            body = record.reader.read()
            if declared := record.headers.get("Content-Type"):
                content_type = declared.partition(";")[0].strip().lower()
        is_text = kind == "conversion"
        return {
            "id": row_id(record.headers.get("WARC-Record-ID") or "", url, date, body),
            "url": url,
            "date": date,
            "source": self._source,
            "warc_file": self._file.name,
            "warc_offset": offset if self._seekable else 0,
            "warc_length": None,
            "text": body.decode("utf-8", "replace") if is_text else None,
            "payload": None if is_text else body,
            "http_status": status,
            "content_type": content_type,
            "http_charset": charset,
            "record_type": kind,
        }

    def _http(self, content: bytes) -> tuple[WarcRecord | None, bytes]:
        """The parsed HTTP message (None if it is none) and its body, its encodings undone as far as they can be.

        Crawlers cut long bodies, which leaves the part that inflates; and some archives store bodies decoded under
        headers that still declare an encoding, which leaves the body as it is stored.
        """
        for encodings in ("all", "content", "transfer", "none"):
            record, parts = WarcRecord(), []
            record.is_http = True
            record.set_bytes_content(content)
            try:
                record.parse_http(auto_decode=encodings)
                while part := record.reader.read(64 << 10):
                    parts.append(part)
            except OSError:
                if parts:
                    self.stats.add("bodies/cut")
                    return record, b"".join(parts)
                continue
            if encodings != "all":
                self.stats.add("bodies/declared_encoding_untrue")
            return record, b"".join(parts)
        return None, content

    def _damaged(self, offset: int, cause: str) -> None:
        self.damage.append(Damage(self._file.name, offset, cause))
        self.stats.add("records/damaged")

    # What follows looks at raw bytes, at most once for each damaged place and once at each end of a file.

    def _is_gzip(self) -> bool:
        with open_input(self._file) as stream:
            return stream.read(3) == _GZIP

    def _head(self) -> bytes:
        """The first inflated bytes of the file; b"" for an empty one."""
        with open_input(self._file) as stream:
            raw = stream.read(4096)
        if not raw.startswith(_GZIP):
            return b"WARC/" if raw.startswith((b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")) else raw  # zstd, lz4
        try:
            return zlib.decompressobj(31).decompress(raw) or raw
        except zlib.error:
            return raw

    def _record_by_record(self) -> bool:
        if not self._is_gzip():
            return True
        with open_input(self._file) as stream:
            try:
                records = iter(ArchiveIterator(stream, parse_http=False))
                next(records, None)
                second = next(records, None)
            except OSError:
                return True
        if second is None:
            return True
        with open_input(self._file, second.stream_pos) as stream:
            return stream.read(3) == _GZIP

    def _end_of(self, offset: int) -> int:
        """The offset behind the whole record at `offset`."""
        with open_input(self._file, offset) as stream:
            if self._is_gzip():
                return offset + _member_length(stream)[0]
            head = stream.read(64 << 10).partition(b"\r\n\r\n")[0]
            length = re.search(rb"(?i)^content-length:\s*(\d+)\s*$", head, re.MULTILINE)
            return offset + len(head) + 4 + (int(length[1]) + 4 if length else 0)

    def _next_record(self, offset: int) -> int | None:
        """Where, at or after `offset`, a record begins again."""
        gzipped = self._is_gzip()
        if gzipped and not self._seekable:
            return None
        mark, shift = (_GZIP, 0) if gzipped else (b"\nWARC/1.", 1)
        offset = max(0, offset - shift)
        with open_input(self._file, offset) as stream:
            window = stream.read(_CHUNK)
            while len(window) >= len(mark):
                at = window.find(mark)
                while at >= 0:
                    if not gzipped or self._is_record(offset + at):
                        return offset + at + shift
                    at = window.find(mark, at + 1)
                keep = window[-len(mark) + 1 :]
                offset += len(window) - len(keep)
                more = stream.read(_CHUNK)
                if not more:
                    return None
                window = keep + more
        return None

    def _is_record(self, offset: int) -> bool:
        with open_input(self._file, offset) as stream:
            try:
                return zlib.decompressobj(31).decompress(stream.read(1024)).startswith(b"WARC/")
            except zlib.error:
                return False

    def _check_tail(self, offset: int) -> None:
        """The gzip members from `offset` to the end of the file must be whole: fastwarc ends quietly at a cut one."""
        if not self._is_gzip():
            return
        while offset < self._file.num_bytes:
            with open_input(self._file, offset) as stream:
                length, ended = _member_length(stream)
            if not ended:
                self._damaged(offset, "the file ends in the middle of a gzip member; fetch it again")
                return
            offset += length


def copy_records(file: InputFile, start: int, number: int, out: BinaryIO, seen: set[tuple[str, int]]) -> None:
    """Append to `out`, uncompressed, the first `number` document records that begin at or after byte `start`.

    `seen` holds (path, offset) of records already copied; they are passed over. Fewer come where the file ends or a
    damaged place begins.
    """
    finder = WarcReader("", file, start)
    finder._seekable = finder._record_by_record()
    begin = finder._next_record(start) if finder._seekable and start else 0
    if begin is None:
        return
    with open_input(file, begin) as stream:
        try:
            for record in ArchiveIterator(stream, record_types=_DOCUMENTS, parse_http=False):
                place = (file.path, record.stream_pos)
                if place in seen:
                    continue
                seen.add(place)
                record.write(out)
                number -= 1
                if number == 0:
                    return
        except OSError:
            return


def _member_length(stream: Any) -> tuple[int, bool]:
    """(compressed bytes, whether it ended well) of the gzip member that `stream` stands at."""
    inflate, length = zlib.decompressobj(31), 0
    try:
        while not inflate.eof and (chunk := stream.read(_CHUNK)):
            inflate.decompress(chunk)
            length += len(chunk)
    except zlib.error:
        return length, False
    return length - len(inflate.unused_data), inflate.eof
