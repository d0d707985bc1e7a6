"""Read WARC and WET files: batches of rows out, every record accounted for.

    file ──records──▶ response, resource, conversion, revisit ──▶ a row each
                  ├─▶ request, metadata, warcinfo, …          ──▶ counted by type
                  └─▶ bytes that are no whole record          ──▶ `Damage`: offset, cause; reading goes on behind them

A unit ends at `UNIT_RECORDS` records or `UNIT_BYTES` of content; the next begins at the offset of the next record, so
one huge WARC is many units and a rerun seeks.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
from fastwarc.warc import WarcRecord

from cleaners.records import Record, next_record, read_records
from shards.schema import PAYLOAD
from shards.source import BATCH_BYTES, BATCH_ROWS, ROWS, UNIT_BYTES, UNIT_RECORDS, Damage, row_id
from shards.stage import Batch
from shards.stats import Stats
from shards.storage import InputFile

RECORD = pa.schema([pa.field("record_type", pa.string())])
SCHEMA = pa.unify_schemas([ROWS, PAYLOAD, RECORD])
MAX_BODY = 64 << 20  # a body is inflated up to here; `page.max_bytes` refuses what is far smaller

_DOCUMENTS = ("response", "resource", "conversion", "revisit")
_OTHERS = ("warcinfo", "request", "metadata", "continuation")


class WarcReader:
    """One unit of a WARC or WET file, from the record at byte `start`.

    A file that is not compressed record by record cannot be entered in the middle: it is one unit, and its rows give
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
        records = unit_bytes = batch_bytes = 0
        for record in read_records(self._file, self._start, self._damaged):
            if record.opens_unit and (records >= UNIT_RECORDS or unit_bytes >= UNIT_BYTES):
                self.next_start = record.offset
                break
            records += 1
            unit_bytes += len(record.content)
            kind = record.headers.get("warc-type", "").lower()
            if kind not in _DOCUMENTS:
                self.stats.add(f"records/{kind if kind in _OTHERS else 'unknown'}")
                continue
            rows.append(self._row(record, kind))
            batch_bytes += len(rows[-1]["payload"] or rows[-1]["text"] or "")
            if len(rows) == BATCH_ROWS or batch_bytes >= BATCH_BYTES:
                batch, rows, batch_bytes = pa.RecordBatch.from_pylist(rows, SCHEMA), [], 0
                yield batch
        if rows:
            yield pa.RecordBatch.from_pylist(rows, SCHEMA)
        if self._start == records == 0 and not self.damage:
            self._damaged(0, "not a WARC file: it holds no record")

    def _row(self, record: Record, kind: str) -> dict[str, Any]:
        url = record.headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">")
        date = record.headers.get("warc-date", "")
        declared = record.headers.get("content-type", "")
        content_type: str | None = declared.partition(";")[0].strip().lower() or None
        status = charset = None
        body = record.content
        if content_type == "application/http":
            content_type = None
            http, body = self._http(body)
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
            record, parts, size = WarcRecord(), [], 0
            record.is_http = True
            record.set_bytes_content(content)
            try:
                record.parse_http(auto_decode=encodings)
                while part := record.reader.read(64 << 10):
                    parts.append(part)
                    size += len(part)
                    if size > MAX_BODY:
                        self.stats.add("bodies/cut")
                        break
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


def draw_records(files: Sequence[InputFile], number: int, places: int, seed: int, out: BinaryIO) -> None:
    """Write about `number` document records, uncompressed, from up to `places` random places in `files`.

    A place is drawn by bytes; from there the next record is looked for and a few are read. Fewer come where the files
    hold fewer.
    """
    draw = random.Random(seed)
    total = sum(file.num_bytes for file in files)
    seen: set[tuple[str, int, int]] = set()
    for _ in range(10 * places):  # a place near the end of a file, or of damage, gives few records or none
        wanted = min(-(-number // places), number - len(seen))
        at = draw.randrange(max(total, 1))
        for file in files:
            if at < file.num_bytes:
                break
            at -= file.num_bytes
        begin = next_record(file, at) if wanted > 0 else None
        if begin is None:
            continue
        for i, record in enumerate(read_records(file, begin, lambda offset, cause: None)):
            place = (file.path, record.offset, -1 if record.opens_unit else i)
            if wanted == 0:
                break
            if place not in seen and record.headers.get("warc-type", "").lower() in _DOCUMENTS:
                seen.add(place)
                out.write(record.head + b"\r\n\r\n" + record.content + b"\r\n\r\n")
                wanted -= 1
