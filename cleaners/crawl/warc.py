"""Reads WARC, ARC and WET files as batches of rows, and accounts for every record.

    file ──records──▶ response, resource, revisit, conversion ──▶ a row each: a page or, of kind `wet`, a text
                  ├─▶ request, metadata, warcinfo, …          ──▶ counted by type
                  └─▶ bytes that are not a whole record       ──▶ `Damage`: offset, cause; reading goes on after them

A conversion record of plain text is a text. Any other (an image, a PDF, a rendered page) is a page, as a resource is.
A file whose first page or text is not of its source's kind is read no further; where it is, others are counted.

A unit ends at `UNIT_RECORDS` records or `UNIT_BYTES` of content. The next unit begins at the offset of the next record,
so one huge WARC file is many units, and a rerun seeks.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from fastwarc.warc import HeaderMap, WarcRecord

from cleaners.crawl import heads, media_type
from cleaners.crawl.bodies import undo_encodings
from cleaners.crawl.charset import codec_of, decode
from cleaners.crawl.framing import Damaged, Record
from cleaners.crawl.records import read_records
from shards.reader import BATCH_BYTES, BATCH_ROWS, ROWS, UNIT_BYTES, UNIT_RECORDS, Damage, add_damage, row_id
from shards.schema import PAYLOAD
from shards.stage import Batch, with_columns
from shards.stats import Stats
from shards.storage import InputFile

RECORD = pa.schema(
    [
        pa.field("record_type", pa.string()),
        pa.field("refers_to", pa.string()),
        pa.field("http_robots", pa.string()),  # X-Robots-Tag headers, a line each
        pa.field("http_tdm", pa.string()),  # TDM-Reservation
    ]
)
SCHEMA = pa.unify_schemas([ROWS, PAYLOAD, RECORD])

_PAGES = ("response", "resource", "revisit")
_OTHERS = (*_PAGES, "conversion", "warcinfo", "request", "metadata", "continuation", "filedesc")
_WRONG_KIND = {
    "warc": 'holds texts (WET), and the source is of kind "warc"; set kind = "wet"',
    "wet": 'holds pages (WARC), and the source is of kind "wet"; set kind = "warc" and add a stage of kind "extract"',
}
_WAT = "holds metadata (WAT) and no page; give the WARC or WET file of the same name"


def is_full(records: int, num_bytes: int) -> bool:
    """Whether a unit that holds so many records and bytes of content ends."""
    return records >= UNIT_RECORDS or num_bytes >= UNIT_BYTES


def is_document(record: Record, kind: str) -> bool:
    """Whether the record is a row of a source of this kind: a page of "warc", a text of "wet"."""
    return (is_text if kind == "wet" else is_page)(record)


def is_page(record: Record) -> bool:
    return _type(record) in _PAGES or (_type(record) == "conversion" and not is_text(record))


def is_text(record: Record) -> bool:
    """Whether it is a conversion record of plain text, as one without a media type is taken to be."""
    return _type(record) == "conversion" and _media_type(record) in (None, "text/plain")


def _type(record: Record) -> str:
    return record.headers.get("warc-type", "").lower()


def _media_type(record: Record) -> str | None:
    return media_type.extract(record.headers.get("content-type", ""))[0]


class WarcReader:
    """One unit of a WARC or WET file, from the record at byte `start`, of a source of kind "warc" or "wet".

    A file that is not compressed record by record cannot be entered in the middle. It is one unit, and its rows have
    the offset of their gzip member and length -1.
    """

    schema = SCHEMA

    def __init__(self, source: str, file: InputFile, start: int, kind: str = "warc") -> None:
        self._source, self._file, self._start, self._kind = source, file, start, kind
        self.next_start: int | None = None
        self.stats = Stats()
        self.damage: list[Damage] = []

    def __iter__(self) -> Iterator[Batch]:
        rows: list[dict[str, Any]] = []
        num_bytes = 0
        for row in self.rows():
            rows.append(row)
            num_bytes += len(row["payload"] or row["text"] or "")
            if len(rows) == BATCH_ROWS or num_bytes >= BATCH_BYTES:
                batch, rows, num_bytes = _batch(rows), [], 0
                yield batch
        if rows:
            yield _batch(rows)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The unit's documents one by one, keyed by the names of `SCHEMA`."""
        records = num_bytes = 0
        is_first, is_wat = self._start == 0, False
        for record in self._records(self._damaged):
            if record.opens_unit and is_full(records, num_bytes):
                self.next_start = record.offset
                break
            records += 1
            num_bytes += len(record.content)
            if is_document(record, self._kind):
                is_first = False
                yield self._row(record)
                continue
            if is_first and (_type(record) in _PAGES or is_text(record)):
                self._damaged(record.offset, _WRONG_KIND[self._kind])
                return
            record_type = _type(record)
            self.stats.add(f"records/{record_type if record_type in _OTHERS else 'unknown'}")
            is_wat = is_wat or (record_type == "metadata" and _media_type(record) == "application/json")
        if self.damage or not is_first or self.next_start is not None:
            return
        if is_wat:
            self._damaged(0, _WAT)
        elif records == 0:
            self._damaged(0, "not a WARC file: it holds no record")

    def _records(self, damaged: Damaged) -> Iterator[Record]:
        return read_records(self._file, self._start, damaged)

    def _row(self, record: Record) -> dict[str, Any]:
        record_type = _type(record)
        url = record.headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">")
        date = record.headers.get("warc-date", "")
        content_type, charset = media_type.extract(record.headers.get("content-type", ""))
        status = robots = reservation = None
        body: bytes | memoryview = record.content
        if content_type == "application/http":
            declared = record.headers.get("warc-identified-payload-type", "")
            http, body = self._http(record.content)
            if http is not None:
                status, declared = http.status_code, ",".join(http.get_multiple("Content-Type"))
                robots, reservation = "\n".join(http.get_multiple("X-Robots-Tag")), http.get("TDM-Reservation")
            content_type, charset = media_type.extract(declared)
        return {
            "id": row_id(record.headers.get("warc-record-id", ""), url, date, body),
            "url": url,
            "date": date,
            "source": self._source,
            "warc_file": self._file.name,
            "warc_offset": record.offset,
            "warc_length": record.length,
            "text": _text(bytes(body), charset) if self._kind == "wet" else None,
            "payload": None if self._kind == "wet" else body,
            "http_status": status,
            "content_type": content_type,
            "http_charset": charset,
            "record_type": record_type,
            "http_robots": robots or None,
            "http_tdm": reservation,
            "refers_to": _original(record.headers) if record_type == "revisit" else None,
        }

    def _http(self, content: bytes) -> tuple[HeaderMap | None, bytes | memoryview]:
        """(fields of the head of the HTTP message, None where it has no head; its body without encodings)."""
        head, end = heads.split(content)
        if not head:
            return None, content
        body: bytes | memoryview = memoryview(content)[end:]  # a view: pages are large
        record = WarcRecord()
        record.is_http = True
        record.set_bytes_content(head)
        record.parse_http(auto_decode="none")
        fields = record.http_headers
        transfer, encoding = (fields.get(f"{kind}-Encoding") or "" for kind in ("Transfer", "Content"))
        if transfer or encoding:
            body, state = undo_encodings(bytes(body), transfer, encoding)
            if state != "whole":
                self.stats.add("bodies/cut" if state == "cut" else "bodies/declared_encoding_untrue")
        return fields, body

    def _damaged(self, offset: int, cause: str) -> None:
        add_damage(self.damage, Damage(self._file.name, offset, cause))
        self.stats.add("records/damaged")


def _text(body: bytes, charset: str | None) -> str:
    """The text of a conversion record: UTF-8, as that of Common Crawl is, unless it says or shows another charset."""
    is_utf8 = charset is None or codec_of(charset) == "utf-8"
    return body.decode("utf-8", "replace") if is_utf8 and 0 not in body else decode(body, charset).text


def _batch(rows: list[dict[str, Any]]) -> Batch:
    """The rows as Arrow, which takes their payloads over from the rows."""
    payloads = [row.pop("payload") for row in rows]
    batch = pa.RecordBatch.from_pylist(rows, SCHEMA)
    missing = np.array([payload is None for payload in payloads])
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([0 if payload is None else len(payload) for payload in payloads], out=offsets[1:])
    # Joined in one step: an array that grows page by page copies each of them several times.
    data = b"".join(payload for payload in payloads if payload is not None)
    validity = pa.array(~missing).buffers()[1] if missing.any() else None
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(data)]
    return with_columns(batch, {"payload": pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(rows), buffers)})


def _original(headers: dict[str, str]) -> str | None:
    """The original of a revisit record: its address, else its record, else its digest, whichever is named first."""
    names = ("warc-refers-to-target-uri", "warc-refers-to", "warc-payload-digest")
    return next((headers[name] for name in names if headers.get(name)), None)
