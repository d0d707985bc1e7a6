"""Evaluation sets as passages: the texts that training data must not contain.

    arc.jsonl      {"query": "Question: Which …?", "choices": ["Sunlight is …", …], "gold": 0}
    record 0       item "arc:0", passages  query: "Question: Which …?"   choices: "Sunlight is …"   …
    a folder       items "cmmlu/dev/marketing.csv:0", …                 records are numbered from 0 in each file

Every text of a record is a passage by itself, also in a list or a table of the record: pages contain the question and
its choices, but seldom in our order and with our labels. Numbers are not passages.
"""

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from shards.errors import UserError
from shards.storage import InputFile, find_inputs, open_input

SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")
Record = Mapping[str, Any]


class Passage(NamedTuple):
    item: int  # index in `EvaluationSet.items`
    field: str
    text: str


@dataclass(frozen=True)
class EvaluationSet:
    name: str
    items: tuple[str, ...]
    passages: tuple[Passage, ...]
    sha256: str  # of all files and their names


def read_set(name: str, path: str, fields: tuple[str, ...], where: str) -> EvaluationSet:
    """The records of the files at `path`, with those of `fields` that a file has, or all its fields if none are named.

    A file that is missing, empty, of another format or without any of `fields` is a UserError that begins with `where`.
    """
    files = find_inputs([path], SUFFIXES, where)
    items: list[str] = []
    passages: list[Passage] = []
    digest = hashlib.sha256()
    for file in files:
        with open_input(file) as stream:
            data = stream.read()
        digest.update(f"{file.name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
        prefix = name if len(files) == 1 else f"{name}/{file.name}"
        records = _records(file, data, where)
        known = {key for record in records for key in record}
        if not records:
            raise UserError(f"{where}: {file}: holds no record; name the evaluation set's own file")
        if fields and not known & set(fields):
            names = ", ".join(sorted(map(repr, known)))
            raise UserError(f"{where}: {file}: has no field {' or '.join(fields)}; it has {names}")
        for number, record in enumerate(records):
            passages += (
                Passage(len(items), field, text)
                for field, value in record.items()
                if not fields or field in fields
                for text in _texts(value)
            )
            items.append(f"{prefix}:{number}")
    return EvaluationSet(name, tuple(items), tuple(passages), digest.hexdigest())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _records(file: InputFile, data: bytes, where: str) -> list[Record]:
    name = file.name.removesuffix(".gz")
    try:
        if file.name.endswith(".gz"):
            data = gzip.decompress(data)
        if name.endswith(".jsonl"):
            return _json_lines(data.decode("utf-8-sig"))
        if name.endswith(".csv"):
            return _csv_rows(data.decode("utf-8-sig"))
        if file.name.endswith(".parquet"):
            import pyarrow.parquet as pq

            records: list[Record] = pq.read_table(pa.BufferReader(data)).to_pylist()
            return records
    except (OSError, EOFError, zlib.error, ValueError, csv.Error, pa.ArrowException) as error:
        cause = " ".join(str(error).split())
        raise UserError(f"{where}: {file}: is not of the format that its name says: {cause}; repair it") from None
    raise UserError(f"{where}: {file}: of an unknown format; give {', '.join(SUFFIXES)}, or a folder of them")


def _json_lines(text: str) -> list[Record]:
    records: list[Record] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise ValueError(f"line {number}: {error}") from None
            if not isinstance(record, dict):
                raise ValueError(f"line {number}: expected an object, found {type(record).__name__}")
            records.append(record)
    return records


def _csv_rows(text: str) -> list[Record]:
    header, *rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row] or [[]]
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise ValueError(f"record {number}: {len(row)} cells, and the header has {len(header)}")
    return [dict(zip(header, row, strict=True)) for row in rows]
