"""Reads WARC, ARC and WET files as batches of rows, and accounts for every record.

    file ──records──▶ response, resource, conversion, revisit ──▶ a row each
                  ├─▶ request, metadata, warcinfo, …          ──▶ counted by type
                  └─▶ bytes that are not a whole record       ──▶ `Damage`: offset, cause; reading goes on after them

A unit ends at `UNIT_RECORDS` records or `UNIT_BYTES` of content. The next unit begins at the offset of the next record,
so one huge WARC file is many units, and a rerun seeks.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from fastwarc.warc import WarcRecord

from cleaners.crawl.bodies import undo_encodings
from cleaners.crawl.framing import Record
from cleaners.crawl.records import read_records
from shards.reader import BATCH_BYTES, BATCH_ROWS, ROWS, UNIT_BYTES, UNIT_RECORDS, Damage, row_id
from shards.schema import PAYLOAD
from shards.stage import Batch, with_columns
from shards.stats import Stats
from shards.storage import InputFile

RECORD = pa.schema([pa.field("record_type", pa.string()), pa.field("refers_to", pa.string())])
SCHEMA = pa.unify_schemas([ROWS, PAYLOAD, RECORD])

_DOCUMENTS = ("response", "resource", "conversion", "revisit")
_OTHERS = ("warcinfo", "request", "metadata", "continuation", "filedesc")
_HTTP_END = re.compile(rb"\r?\n\r?\n")


class WarcReader:
    """One unit of a WARC or WET file, from the record at byte `start`.

    A file that is not compressed record by record cannot be entered in the middle. It is one unit, and its rows have
    the offset of their gzip member and length -1.
    """

    schema = SCHEMA

    def __init__(self, source: str, file: InputFile, start: int) -> None:
        self._source, self._file, self._start = source, file, start
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
        for record in read_records(self._file, self._start, self._damaged):
            if record.opens_unit and (records >= UNIT_RECORDS or num_bytes >= UNIT_BYTES):
                self.next_start = record.offset
                break
            records += 1
            num_bytes += len(record.content)
            kind = record.headers.get("warc-type", "").lower()
            if kind in _DOCUMENTS:
                yield self._row(record, kind)
            else:
                self.stats.add(f"records/{kind if kind in _OTHERS else 'unknown'}")
        if self._start == records == 0 and not self.damage:
            self._damaged(0, "not a WARC file: it holds no record")

    def _row(self, record: Record, kind: str) -> dict[str, Any]:
        url = record.headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">")
        date = record.headers.get("warc-date", "")
        declared = record.headers.get("content-type", "")
        content_type: str | None = declared.partition(";")[0].strip().lower() or None
        status = charset = None
        body: bytes | memoryview = record.content
        if content_type == "application/http":
            content_type = record.headers.get("warc-identified-payload-type")
            http, body = self._http(record.content)
            if http is not None:
                status, content_type, charset = http.http_headers.status_code, http.http_content_type, http.http_charset
        is_text = kind == "conversion"
        return {
            "id": row_id(record.headers.get("warc-record-id", ""), url, date, body),
            "url": url,
            "date": date,
            "source": self._source,
            "warc_file": self._file.name,
            "warc_offset": record.offset,
            "warc_length": record.length,
            "text": bytes(body).decode("utf-8", "replace") if is_text else None,
            "payload": None if is_text else body,
            "http_status": status,
            "content_type": content_type,
            "http_charset": charset,
            "record_type": kind,
            "refers_to": _original(record.headers) if kind == "revisit" else None,
        }

    def _http(self, content: bytes) -> tuple[WarcRecord | None, bytes | memoryview]:
        """(parsed head of the HTTP message or None, its body without encodings)."""
        if not content.startswith((b"HTTP", b"ICY ")):  # HTTP/0.9 has no head, radio stations say "ICY 200 OK"
            return None, content
        end = _HTTP_END.search(content)
        head = content if end is None else content[: end.end()]
        body: bytes | memoryview = memoryview(content)[len(head) :]  # a view: pages are large
        record = WarcRecord()
        record.is_http = True
        record.set_bytes_content(head)
        record.parse_http(auto_decode="none")
        transfer, encoding = (record.http_headers.get(f"{kind}-Encoding") or "" for kind in ("Transfer", "Content"))
        if transfer or encoding:
            body, state = undo_encodings(bytes(body), transfer, encoding)
            if state != "whole":
                self.stats.add("bodies/cut" if state == "cut" else "bodies/declared_encoding_untrue")
        return record, body

    def _damaged(self, offset: int, cause: str) -> None:
        self.damage.append(Damage(self._file.name, offset, cause))
        self.stats.add("records/damaged")


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
