"""Rows of an index of crawl records: the file, offset, length and URL of each record that `where` selects.

    Parquet   warc_filename, warc_record_offset, warc_record_length, url, …    Common Crawl's columnar index
    JSON lines   {"filename": …, "offset": …, "length": …, "url": …, …}        answers of its index server, failed.jsonl
    CDXJ         com,example)/ 20240101000000 {"filename": …, …}               its index files, cdx-00000.gz
    CSV          warc_filename,warc_record_offset,warc_record_length,url,…     with a line of names

The format is that of the first bytes. An index that cannot be read to its end is refused: half a selection would pass
for a whole one.
"""

import csv
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from shards import json_lines
from shards.errors import RunError, UserError
from shards.limits import check_limits
from shards.row_lines import UNREADABLE, open_lines
from shards.source import SourceConfig
from shards.storage import InputFile, open_input
from shards.table_columns import find_column, plain, stored_name
from shards.where import mask, matches

SCHEMA = pa.schema(
    {"filename": pa.large_string(), "offset": pa.int64(), "length": pa.int64(), "url": pa.large_string()}
)
_NAMES = {  # of the columns of `SCHEMA`, as indexes have them
    "filename": ("warc_filename", "filename"),
    "offset": ("warc_record_offset", "offset"),
    "length": ("warc_record_length", "length"),
}
_BATCH_ROWS = 64 << 10
_PARQUET = b"PAR1"
_CDXJ = re.compile(rb"\S+ \d{14} (?=\{)")
_MOST_BYTES = 1 << 30  # of a record; readers refuse far smaller ones


def read_index(config: SourceConfig, file: InputFile) -> Iterator[tuple[pa.RecordBatch, int]]:
    """(selected rows with the columns of `SCHEMA`, number of rows that are not selected), batch after batch.

    UserError or RunError where the file is no index, or cannot be read to its end.
    """
    try:
        with open_input(file) as stream:
            is_parquet = stream.read(len(_PARQUET)) == _PARQUET
            stream.seek(0)
            if is_parquet:
                yield from _parquet(config, file, stream)
                return
        yield from _lines(config, file)
    except UNREADABLE as error:
        check_limits(file.path, error)
        cause = " ".join(str(error).split())[:200]
        raise RunError(f"{file}: an index that cannot be read: {cause}; fetch it again") from None


def _parquet(config: SourceConfig, file: InputFile, stream: BinaryIO) -> Iterator[tuple[pa.RecordBatch, int]]:
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(stream)
    schema = opened.schema_arrow
    names = {own: _stored(file, schema.names, own) for own in _NAMES} | {"url": config.url}
    for column in config.where:
        if stored_name(schema, column) is None:
            raise _no_column(file, column, schema.names)
    wanted = [name for name in (*names.values(), *config.where) if stored_name(schema, name) is not None]
    for batch in opened.iter_batches(_BATCH_ROWS, columns=list(dict.fromkeys(wanted))):
        selected = np.ones(batch.num_rows, bool)
        for column, value in config.where.items():
            selected &= mask(find_column(batch, column), value)
        rows = batch.filter(pa.array(selected))
        columns = [plain(rows[n]) if n in rows.schema.names else pa.nulls(rows.num_rows) for n in names.values()]
        typed = [c.cast(field.type) for c, field in zip(columns, SCHEMA, strict=True)]
        yield _checked(file, pa.RecordBatch.from_arrays(typed, schema=SCHEMA)), int(np.sum(~selected))


def _lines(config: SourceConfig, file: InputFile) -> Iterator[tuple[pa.RecordBatch, int]]:
    with open_lines(file) as lines:
        rows = _rows(file, (line for line in lines if line.strip()))
        while some := list(islice(rows, _BATCH_ROWS)):
            found = [
                row
                for row in some
                if all(matches(json_lines.value(row, column), value) for column, value in config.where.items())
            ]
            places = [_place(config, file, row) for row in found]
            yield _checked(file, pa.RecordBatch.from_pylist(places, SCHEMA)), len(some) - len(found)


def _rows(file: InputFile, lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The rows of JSON lines, CDXJ or CSV, as the first line says."""
    first = next(lines, b"")
    if first.lstrip().startswith(b"{"):
        yield from (json_lines.parse(line, "") for line in chain([first], lines))
    elif _CDXJ.match(first):
        for line in chain([first], lines):
            found = _CDXJ.match(line)
            yield json_lines.parse(line[found.end() :] if found else line, "")
    elif first:
        rows = csv.DictReader(line.decode() for line in chain([first], lines))
        for own in _NAMES:
            _stored(file, list(rows.fieldnames or ()), own)
        yield from ({key: _number(value) for key, value in row.items() if key is not None} for row in rows)


def _place(config: SourceConfig, file: InputFile, row: dict[str, Any]) -> dict[str, Any]:
    """The columns of `SCHEMA`; Common Crawl's lines have numbers as text."""
    found = {own: row[_stored(file, list(row), own)] for own in _NAMES}
    try:
        numbers = {name: int(found[name]) for name in ("offset", "length")}
    except (TypeError, ValueError):
        raise ValueError(f"offset {found['offset']!r}, length {found['length']!r} are no place in a file") from None
    return {"filename": str(found["filename"]), **numbers, "url": json_lines.address(row, config.url)}


def _checked(file: InputFile, rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows. ValueError where one names no place in a file."""
    for name in _NAMES:
        if rows[name].null_count:
            raise ValueError(f"a row without {name}")
    offsets, lengths = (rows[name].to_numpy() for name in ("offset", "length"))
    wrong = np.flatnonzero((offsets < 0) | (lengths <= 0) | (lengths > _MOST_BYTES) | (offsets > (1 << 62)))
    if len(wrong):
        raise ValueError(f"offset {offsets[wrong[0]]}, length {lengths[wrong[0]]} are no place in a file")
    return rows


def _stored(file: InputFile, names: list[str], own: str) -> str:
    """The name under which an index has a column of `SCHEMA`."""
    for name in _NAMES[own]:
        if name in names:
            return name
    raise _no_column(file, " or ".join(_NAMES[own]), names)


def _no_column(file: InputFile, column: str, names: list[str]) -> UserError:
    return UserError(f"{file}: no index of records: no column {column}; there are {', '.join(names[:20])}")


def _number(value: str | None) -> str | int | None:
    """A value of CSV; digits are a number, which `where` compares."""
    is_number = value is not None and len(value) < 19 and value.isascii() and value.isdecimal()
    return int(value or 0) if is_number else value
