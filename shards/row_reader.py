"""The reader of files of rows: Arrow shards, Parquet, JSON lines and plain text."""

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, TypeAlias

import orjson
import pyarrow as pa

from shards.errors import UserError
from shards.limits import check_limits
from shards.reader import BATCH_BYTES, BATCH_ROWS, ROWS, UNIT_BYTES, UNIT_RECORDS, Damage, row_id
from shards.source import SourceConfig
from shards.stage import Batch
from shards.stats import Stats
from shards.storage import InputFile, open_input

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# (start of a unit that begins with this row, None where none can; the row, None where `where` excludes it)
_StartAndRow: TypeAlias = tuple[int | None, dict[str, Any] | None]


class RowReader:
    """Reads one unit of a file of shards, Parquet, JSON lines or text.

    `start` is a record batch of a shard, a row group of a Parquet file, or a byte of the (inflated) JSON lines. A text
    file is one document. A null text in a table is an empty text. A compressed JSON lines file has larger units, since
    each unit must inflate everything before it.

    Iterating raises UserError where a column is missing or of another type. Rows that cannot be read are `damage`.
    """

    schema = ROWS

    def __init__(self, config: SourceConfig, name: str, file: InputFile, start: int) -> None:
        self._config, self._name, self._file, self._start = config, name, file, start
        self._compressed = file.name.endswith((".gz", ".zst"))
        self.next_start: int | None = None
        self.stats = Stats()
        self.damage: list[Damage] = []

    def __iter__(self) -> Iterator[Batch]:
        read = {"shards": self._arrow, "parquet": self._parquet, "jsonl": self._jsonl, "text": self._text}
        unit_scale = 20 if self._compressed else 1
        rows: list[dict[str, Any]] = []
        records = unit_bytes = batch_bytes = 0
        try:
            for start, row in read[self._config.kind]():
                full = records >= unit_scale * UNIT_RECORDS or unit_bytes >= unit_scale * UNIT_BYTES
                if full and start is not None:
                    self.next_start = start
                    break
                records += 1
                if row is None:
                    continue
                rows.append(row)
                unit_bytes += len(row["text"])
                batch_bytes += len(row["text"])
                if len(rows) == BATCH_ROWS or batch_bytes >= BATCH_BYTES:
                    batch, rows, batch_bytes = pa.RecordBatch.from_pylist(rows, ROWS), [], 0
                    yield batch
        except (pa.ArrowInvalid, OSError, EOFError) as error:
            check_limits(self._file.path, error)
            cause = " ".join(str(error).split())[:200]
            self._damaged(self._start, f"not a whole {self._config.kind} file: {cause}")
        if rows:
            yield pa.RecordBatch.from_pylist(rows, ROWS)

    def _arrow(self) -> Iterator[_StartAndRow]:
        with open_input(self._file) as stream:
            reader = pa.ipc.open_file(pa.PythonFile(stream))
            for i in range(self._start, reader.num_record_batches):
                yield from self._table_rows(i, reader.get_batch(i))

    def _parquet(self) -> Iterator[_StartAndRow]:
        import pyarrow.parquet as pq

        with open_input(self._file) as stream:
            file = pq.ParquetFile(stream)
            for i in range(self._start, file.num_row_groups):
                start: int | None = i
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[i]):
                    yield from self._table_rows(start, batch)
                    start = None

    def _table_rows(self, start: int | None, batch: pa.RecordBatch) -> Iterator[_StartAndRow]:
        for column in (self._config.text, *self._config.where):
            if column not in batch.schema.names:
                columns = ", ".join(batch.schema.names)
                raise UserError(f"{self._file}: source.{self._name}: no column {column!r}; there are {columns}")
        texts = batch[self._config.text]
        if not pa.types.is_string(texts.type) and not pa.types.is_large_string(texts.type):
            raise UserError(
                f"{self._file}: source.{self._name}: column {self._config.text!r} holds {texts.type}, not text; "
                f"set source.{self._name}.text"
            )
        for row in batch.to_pylist():
            yield start, self._selected(row | {self._config.text: row[self._config.text] or ""})
            start = None

    def _jsonl(self) -> Iterator[_StartAndRow]:
        next_offset = 0 if self._compressed else self._start
        with open_input(self._file, next_offset) as raw:
            for line in _inflate(raw, self._file.name) if self._compressed else raw:
                offset, next_offset = next_offset, next_offset + len(line)
                if offset < self._start or not line.strip():
                    continue
                try:
                    yield offset, self._selected(self._parsed(line), offset)
                except (ValueError, TypeError, AttributeError, RecursionError) as error:
                    self._damaged(offset, f"a line that is not a document: {error}")

    def _parsed(self, line: bytes) -> Any:
        """The value of the line. `json.loads` parses what orjson refuses (NaN, a byte order mark) or would round."""
        try:
            values = orjson.loads(line)
        except orjson.JSONDecodeError:
            return json.loads(line)
        return json.loads(line) if isinstance(values.get(self._config.id), float) else values

    def _text(self) -> Iterator[_StartAndRow]:
        with open_input(self._file) as raw:
            data = b"".join(_inflate(raw, self._file.name)) if self._compressed else raw.read()
        try:
            yield None, self._row({self._config.text: data.decode()})
        except UnicodeDecodeError as error:
            self._damaged(error.start, "not UTF-8; convert the file, for example with iconv")

    def _selected(self, values: dict[str, Any], offset: int = 0) -> dict[str, Any] | None:
        """The row of `values`, or None, counted, where `where` excludes it."""
        if all(_same(values.get(column), wanted) for column, wanted in self._config.where.items()):
            return self._row(values, offset)
        self.stats.add("records/not_selected")
        return None

    def _row(self, values: dict[str, Any], offset: int = 0) -> dict[str, Any]:
        """The row of one document. TypeError for a text that is no string; UnicodeEncodeError for lone surrogates,
        which JSON allows."""
        c = self._config
        text = values.get(c.text)
        if not isinstance(text, str):
            raise TypeError(f"{c.text!r} is not text but {type(text).__name__}")
        own_id, url, date = str(values.get(c.id) or ""), str(values.get(c.url) or ""), str(values.get(c.date) or "")
        (own_id + url + date).encode()
        from_crawl = c.kind == "shards" and isinstance(values.get("warc_offset"), int)
        if own_id and not _UUID.search(own_id):
            own_id = (
                f"{self._name}/{self._file.name}/{own_id}"  # a row number, for example, names a row of its file only
            )
        return {
            "id": values[c.id] if _is_row_id(values.get(c.id)) else row_id(own_id, url, date, text.encode()),
            "url": url,
            "date": date,
            "source": self._name,
            "warc_file": str(values.get("warc_file", "")) if from_crawl else self._file.name,
            "warc_offset": values["warc_offset"] if from_crawl else offset,
            "warc_length": values.get("warc_length", -1) if from_crawl else -1,
            "text": text,
        }

    def _damaged(self, offset: int, cause: str) -> None:
        self.damage.append(Damage(self._file.name, offset, cause))
        self.stats.add("records/damaged")


def _is_row_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 32 and re.fullmatch("[0-9a-f]{32}", value) is not None


def _same(value: Any, wanted: str | int | float | bool) -> bool:
    """Whether the two are equal, where true is not 1."""
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _inflate(raw: BinaryIO, path: str) -> Iterator[bytes]:
    """The lines of a .gz or .zst file."""
    if path.endswith(".gz"):
        yield from gzip.GzipFile(fileobj=raw)
        return
    with pa.CompressedInputStream(pa.PythonFile(raw), "zstd") as stream:
        rest = b""
        while chunk := stream.read(1 << 20):
            *lines, rest = (rest + chunk).splitlines(keepends=True) or [b""]
            yield from lines
        if rest:
            yield rest
