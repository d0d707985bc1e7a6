"""Where rows come from: units of work, and the readers of everything that is text already.

    input file ──▶ Reader(file, start) ──▶ batches of rows       reader.next_start: where the next unit begins
                                       └─▶ stats, damage         (None at the end of the file)

A unit's batches depend on the file and on `start` alone, never on who reads it. WARC and WET, the crawl formats, have
their reader in `cleaners.warc`; here are Arrow shards, Parquet, JSON lines and plain text.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import Field

from shards.config import Config
from shards.errors import RunError, UserError
from shards.schema import PROVENANCE, TEXT
from shards.stage import Batch
from shards.stats import Stats
from shards.storage import InputFile, open_input

UNIT_RECORDS = 10_000  # a unit ends at this many records …
UNIT_BYTES = 512 << 20  # … or at this many bytes of payload or text, whichever comes first
BATCH_ROWS = 256  # a batch ends at this many rows …
BATCH_BYTES = 32 << 20  # … or at this many bytes: the bound on what a stage holds in memory

ROWS = pa.unify_schemas([PROVENANCE, pa.schema([TEXT])])


@dataclass(frozen=True)
class Damage:
    """A place in a file that could not be read. Reading went on behind it where there was more."""

    file: str
    offset: int
    cause: str


class Reader(Protocol):
    """One pass over one unit. `next_start`, `stats` and `damage` are complete when the iteration has ended."""

    schema: pa.Schema
    next_start: int | None
    stats: Stats
    damage: list[Damage]

    def __iter__(self) -> Iterator[Batch]: ...


class SourceConfig(Config):
    """`[source.<name>]` of a recipe."""

    kind: Literal["warc", "wet", "shards", "jsonl", "parquet", "text"]
    paths: tuple[str, ...] = ()
    where: dict[str, str | int | float | bool] = Field(
        default_factory=dict
    )  # column = value; rows that differ are counted, not read
    text: str = "text"  # names of the columns of a jsonl or parquet file
    id: str = "id"
    url: str = "url"
    date: str = "date"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of the files that are taken from a folder."""
        return {
            "warc": (".warc", ".warc.gz", ".warc.zst", ".warc.lz4"),
            "wet": (".wet", ".wet.gz"),
            "shards": (".arrow",),
            "jsonl": (".jsonl", ".jsonl.gz", ".json.gz", ".jsonl.zst"),
            "parquet": (".parquet",),
            "text": (".txt", ".txt.gz"),
        }[self.kind]


class RowReader:
    """Reads shards, jsonl, parquet and text. `start` is a byte offset for uncompressed jsonl and otherwise 0:
    such a file is one unit."""

    schema = ROWS

    def __init__(self, config: SourceConfig, name: str, file: InputFile, start: int) -> None:
        self._config, self._name, self._file, self._start = config, name, file, start
        self.next_start: int | None = None
        self.stats = Stats()
        self.damage: list[Damage] = []

    def __iter__(self) -> Iterator[Batch]:
        read = {"shards": self._arrow, "parquet": self._parquet, "jsonl": self._jsonl, "text": self._text}
        rows: list[dict[str, Any]] = []
        num_bytes = 0
        try:
            for row in read[self._config.kind]():
                rows.append(row)
                num_bytes += len(row["text"])
                if len(rows) == BATCH_ROWS or num_bytes >= BATCH_BYTES:
                    yield pa.RecordBatch.from_pylist(rows, ROWS)
                    rows, num_bytes = [], 0
        except (pa.ArrowInvalid, OSError, EOFError) as error:
            self._damaged(self._start, f"not a whole {self._config.kind} file: {' '.join(str(error).split())[:200]}")
        if rows:
            yield pa.RecordBatch.from_pylist(rows, ROWS)

    def _arrow(self) -> Iterator[dict[str, Any]]:
        with open_input(self._file) as stream:
            reader = pa.ipc.open_file(pa.PythonFile(stream))
            for i in range(reader.num_record_batches):
                yield from self._from_table(reader.get_batch(i))

    def _parquet(self) -> Iterator[dict[str, Any]]:
        import pyarrow.parquet as pq

        with open_input(self._file) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(BATCH_ROWS):
                yield from self._from_table(batch)

    def _from_table(self, batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
        for column in (self._config.text, *self._config.where):
            if column not in batch.schema.names:
                known = ", ".join(batch.schema.names)
                raise UserError(f"{self._file.path}: source.{self._name}: no column {column!r}; there are {known}")
        for column, value in self._config.where.items():
            before = batch.num_rows
            batch = batch.filter(pc.fill_null(pc.equal(batch[column], value), False))
            self.stats.add("records/not_selected", before - batch.num_rows)
        for row in batch.to_pylist():
            yield self._row(row)

    def _jsonl(self) -> Iterator[dict[str, Any]]:
        compressed = self._file.path.endswith((".gz", ".zst"))
        records = 0
        at = self._start
        with open_input(self._file, at) as raw:
            for line in _inflate(raw, self._file.path) if compressed else raw:
                if not compressed and (records == UNIT_RECORDS or at - self._start >= UNIT_BYTES):
                    self.next_start = at
                    return
                records += 1
                offset, at = at, at + len(line)
                try:
                    row = json.loads(line)
                    text = row[self._config.text]
                    text.encode()  # a lone surrogate is valid JSON and no text
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    if line.strip():
                        cause = f"no {self._config.text!r}" if isinstance(error, KeyError) else str(error)
                        self._damaged(offset, f"line {records} of the unit is not a document: {cause}")
                    continue
                if all(row.get(k) == v for k, v in self._config.where.items()):
                    yield self._row(row, offset)
                else:
                    self.stats.add("records/not_selected")

    def _text(self) -> Iterator[dict[str, Any]]:
        with open_input(self._file) as raw:
            data = b"".join(_inflate(raw, self._file.path)) if self._file.path.endswith((".gz", ".zst")) else raw.read()
        try:
            yield self._row({self._config.text: data.decode(), self._config.url: ""})
        except UnicodeDecodeError as error:
            self._damaged(error.start, "not UTF-8; convert the file, for example with iconv")

    def _row(self, given: dict[str, Any], offset: int = 0) -> dict[str, Any]:
        c = self._config
        text, url, date = given.get(c.text) or "", str(given.get(c.url) or ""), str(given.get(c.date) or "")
        provenance = c.kind == "shards"
        name = str(given.get(c.id) or "")
        return {
            "id": name if _is_id(name) else row_id(name, url, date, text.encode()),
            "url": url,
            "date": date,
            "source": self._name,
            "warc_file": given.get("warc_file", "") if provenance else self._file.name,
            "warc_offset": given.get("warc_offset", -1) if provenance else offset,
            "warc_length": given.get("warc_length", -1) if provenance else -1,
            "text": text,
        }

    def _damaged(self, offset: int, cause: str) -> None:
        self.damage.append(Damage(self._file.name, offset, cause))
        self.stats.add("records/damaged")


def row_id(name: str, url: str, date: str, body: bytes) -> str:
    """32 hex digits of xxh3-128 over the record's own id, or where it has none over URL, date and body as stored."""
    if name:
        return xxhash.xxh3_128_hexdigest(name.encode())
    digest = xxhash.xxh3_128(f"{url}\0{date}\0".encode())
    digest.update(body)
    return digest.hexdigest()


def _is_id(name: str) -> bool:
    return len(name) == 32 and all(c in "0123456789abcdef" for c in name)


def _inflate(raw: BinaryIO, path: str) -> Iterator[bytes]:
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


def only_error(damage: list[Damage]) -> RunError:
    """What to raise when nothing at all could be read."""
    first = damage[0]
    more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
    return RunError(f"{first.file}: offset {first.offset}: {first.cause}{more}; no document could be read")
