"""The reader of files of rows: Arrow shards, Parquet, JSON lines and plain text.

tables ──named columns──▶ `table_columns` ─┐
lines ──────────────────▶ `json_lines` ────┴─▶ values of a row ──where──▶ id, url, date, place, text ──▶ batches
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO, TypeAlias

import pyarrow as pa

from shards import json_lines
from shards.limits import check_limits
from shards.reader import (
    BATCH_BYTES,
    BATCH_ROWS,
    ROWS,
    UNIT_BYTES,
    UNIT_RECORDS,
    Damage,
    add_damage,
    own_row_id,
    row_id,
)
from shards.row_lines import UNREADABLE, NotLines, cause_of, open_lines
from shards.schema import NO_COLUMNS, ORIGINAL_ID
from shards.source import SourceConfig
from shards.stage import Batch
from shards.stats import Stats
from shards.storage import InputFile, open_input
from shards.table_columns import NoSuchColumn, arrow_input, find_column, is_text, plain, stored_name, texts, values
from shards.where import matches

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PLACE = ("warc_file", "warc_offset", "warc_length")
_ARROW_FILE = b"ARROW1"  # begins the file format; all else is the stream format

_Rows: TypeAlias = Iterator[dict[str, Any] | None]  # None for a row that is not kept


class RowReader:
    """Reads one unit of a file of shards, Parquet, JSON lines or text.

    `start` is a record batch of a shard, a row group of a Parquet file, or a byte of the (inflated) JSON lines. A text
    file is one document. A null text is an empty text. A compressed JSON lines file has larger units, since each unit
    must inflate everything before it. `carried` are the columns of a shard that rows have besides those of `ROWS`.

    What cannot be read is `damage`: a row, a row group, or a file that lacks the columns that the source names.
    """

    def __init__(
        self, config: SourceConfig, name: str, file: InputFile, start: int, carried: pa.Schema = NO_COLUMNS
    ) -> None:
        self._config, self._name, self._file, self._start, self._carried = config, name, file, start, carried
        self.schema = pa.schema([*ROWS, *carried])
        self._is_stored = True  # False: offsets are bytes of what the file inflates to
        self._at = start  # what is read next
        self._num_records = self._num_bytes = 0
        self.next_start: int | None = None
        self.stats = Stats()
        self.damage: list[Damage] = []

    def __iter__(self) -> Iterator[Batch]:
        read = {"shards": self._arrow, "parquet": self._parquet, "jsonl": self._jsonl, "text": self._text}
        rows: list[dict[str, Any]] = []
        batch_bytes = 0
        try:
            for row in read[self._config.kind]():
                self._num_records += 1
                if row is None:
                    continue
                rows.append(row)
                self._num_bytes += len(row["text"])
                batch_bytes += len(row["text"])
                if len(rows) == BATCH_ROWS or batch_bytes >= BATCH_BYTES:
                    batch, rows, batch_bytes = self._batch(rows), [], 0
                    yield batch
        except NoSuchColumn as error:
            self._damaged(self._at, str(error))
        except UNREADABLE as error:
            check_limits(self._file.path, error)
            self._damaged(self._at, cause_of(error, self._config.kind, is_stored=self._is_stored))
        if rows:
            yield self._batch(rows)

    def _batch(self, rows: list[dict[str, Any]]) -> Batch:
        batch = pa.RecordBatch.from_pylist(rows, ROWS)
        for field in self._carried:
            null = pa.nulls(1, field.type)
            batch = batch.append_column(field, pa.concat_arrays([row.get(field.name, null) for row in rows]))
        return batch

    def _ends_before(self, start: int) -> bool:
        """Whether the unit is full, so that the next one begins at `start`."""
        unit_scale = 1 if self._is_stored else 20
        if not is_full(self._num_records // unit_scale, self._num_bytes // unit_scale):
            return False
        self.next_start = start
        return True

    def _arrow(self) -> _Rows:
        with open_input(self._file) as stream:
            if not is_arrow_file(stream):  # as `datasets` saves them
                batches = pa.ipc.open_stream(arrow_input(stream, self._file))
                for number, batch in enumerate(islice(batches, self._start, None), self._start):
                    if self._ends_before(number):
                        return
                    yield from self._table_rows(number, [batch])
                    self._at = number + 1
                return
            reader = pa.ipc.open_file(arrow_input(stream, self._file))
            for number in range(self._start, reader.num_record_batches):
                if self._ends_before(number):
                    return
                yield from self._table_rows(number, map(reader.get_batch, [number]))

    def _parquet(self) -> _Rows:
        import pyarrow.parquet as pq

        with open_input(self._file) as stream:
            file = pq.ParquetFile(stream, page_checksum_verification=True)
            self._require_columns(file.schema_arrow)
            for number in range(self._start, file.num_row_groups):
                if self._ends_before(number):
                    return
                batches = file.iter_batches(BATCH_ROWS, row_groups=[number], columns=self._columns())
                yield from self._table_rows(number, batches)

    def _columns(self) -> list[str]:
        """The columns that are read of a table."""
        c = self._config
        place = _PLACE if c.kind == "shards" else ()
        return list(dict.fromkeys([c.text, c.id, c.url, c.date, *c.where, ORIGINAL_ID.name, *place]))

    def _require_columns(self, schema: pa.Schema) -> None:
        """NoSuchColumn where a column that must be there is not."""
        for column in (self._config.text, *self._config.where):
            if stored_name(schema, column) is None:
                raise NoSuchColumn(f"no column {column!r}; there are {', '.join(schema.names)}")

    def _table_rows(self, number: int, batches: Iterable[pa.RecordBatch]) -> _Rows:
        """The rows of the record batch or row group with this number."""
        row = 0
        try:
            for batch in batches:
                for found in self._batch_rows(batch):
                    yield self._table_row(found, number, row)
                    row += 1
        except NoSuchColumn:
            raise
        except UNREADABLE as error:
            part = "record batch" if self._config.kind == "shards" else "row group"
            cause = " ".join(str(error).split())[:200]
            self._damaged(number, f"a {part} that cannot be read from its row {row:,} on: {cause}")
            yield None

    def _batch_rows(self, batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
        """The values of each row, by the names of columns."""
        self._require_columns(batch.schema)
        columns: dict[str, list[Any]] = {}
        for name in self._columns():
            column = find_column(batch, name)
            if name == self._config.text:
                if column is None or not is_text(column.type):
                    kind = "nothing" if column is None else column.type
                    raise NoSuchColumn(f"column {name!r} holds {kind}, not text; set source.{self._name}.text")
                columns[name] = texts(column)
            elif column is not None:
                columns[name] = values(column)
        for field in self._carried:
            if field.name in batch.schema.names:
                column = plain(batch[field.name]).cast(field.type)
                columns[field.name] = [column.slice(i, 1) for i in range(len(column))]  # of any type, nested ones too
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))

    def _table_row(self, found: dict[str, Any], part: int, number: int) -> dict[str, Any] | None:
        text = found[self._config.text]
        if isinstance(text, bytes):
            self._damaged(part, f"a text that is not UTF-8 (row {number:,} of its part)")
            return None
        row = self._selected(found)
        return None if row is None else row | {name: found[name] for name in self._carried.names if name in found}

    def _jsonl(self) -> _Rows:
        with open_lines(self._file) as lines:
            self._is_stored = lines.is_stored
            self._at = self._start if lines.is_stored else 0
            if lines.is_stored:
                lines.seek(self._start)
            opens = self._start == 0  # no object has been read
            for line in lines:
                offset, self._at = self._at, self._at + len(line)
                if offset < self._start or not line.strip():
                    continue
                if self._ends_before(offset):
                    return
                if opens and (json_lines.is_spread(line) or json_lines.is_crawl(line)):
                    self._damaged(offset, json_lines.CRAWL if json_lines.is_crawl(line) else json_lines.SPREAD)
                    return
                if json_lines.is_bracket(line):
                    continue
                opens = False
                try:
                    yield self._selected(json_lines.parse(line, self._config.id), offset)
                except (ValueError, RecursionError) as error:
                    self._damaged(offset, json_lines.DEEP if isinstance(error, RecursionError) else str(error))
                    yield None

    def _text(self) -> _Rows:
        with open_lines(self._file) as lines:
            self._is_stored = lines.is_stored
            data = _joined(lines)
        try:
            yield self._row({self._config.text: data.decode("utf-8-sig")})
        except UnicodeDecodeError as error:
            self._damaged(error.start, "not UTF-8; convert the file, for example with iconv")

    def _selected(self, found: dict[str, Any], offset: int = 0) -> dict[str, Any] | None:
        """The row of the values `found`, or None, counted, where `where` excludes it."""
        where = self._config.where
        if all(matches(json_lines.value(found, column), wanted) for column, wanted in where.items()):
            return self._row(found, offset)
        self.stats.add("records/not_selected")
        return None

    def _row(self, found: dict[str, Any], offset: int = 0) -> dict[str, Any]:
        """The row of one document. ValueError for a text that is no string, and for lone surrogates, which JSON
        allows."""
        c = self._config
        text = json_lines.text(found, c.text)
        own_id, url, date = (
            json_lines.name(found, c.id),
            json_lines.address(found, c.url),
            json_lines.date(found, c.date),
        )
        is_ours = _is_row_id(own_id)
        try:
            name = own_id
            if own_id and not _UUID.search(own_id):  # a row number, for example, names a row of its file only
                name = f"{self._name}/{self._file.name}/{own_id}"
            (url + date).encode()
            made_id = own_row_id(name, text) if name else row_id("", url, date, text.encode())
        except UnicodeEncodeError:
            raise ValueError("text with lone surrogates, which are no characters") from None
        from_crawl = c.kind == "shards" and isinstance(found.get("warc_offset"), int)
        return {
            "id": own_id if is_ours else made_id,
            "url": url,
            "date": date,
            "source": self._name,
            "warc_file": str(found.get("warc_file", "")) if from_crawl else self._file.name,
            "warc_offset": found["warc_offset"] if from_crawl else offset,
            "warc_length": found.get("warc_length", -1) if from_crawl else -1,
            ORIGINAL_ID.name: (json_lines.name(found, ORIGINAL_ID.name) if is_ours else own_id) or None,
            "text": text,
        }

    def _damaged(self, offset: int, cause: str) -> None:
        add_damage(self.damage, Damage(self._file.name, offset, cause))
        self.stats.add("records/damaged")


def is_arrow_file(stream: BinaryIO) -> bool:
    """Whether the stream, which stays at its beginning, has the file format of Arrow."""
    opening = stream.read(len(_ARROW_FILE))
    stream.seek(0)
    return opening == _ARROW_FILE


def _joined(lines: Iterable[bytes]) -> bytes:
    """The lines as one text. ValueError where it is longer than a unit."""
    data = bytearray()
    for line in lines:
        data += line
        if len(data) > UNIT_BYTES:
            raise NotLines(f"a text of more than {UNIT_BYTES:,} bytes; split it into documents")
    return bytes(data)


def is_full(records: int, num_bytes: int) -> bool:
    """Whether a unit that holds so many rows and characters of text ends."""
    return records >= UNIT_RECORDS or num_bytes >= UNIT_BYTES


def _is_row_id(value: str) -> bool:
    return len(value) == 32 and re.fullmatch("[0-9a-f]{32}", value) is not None
