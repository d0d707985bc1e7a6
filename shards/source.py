"""Where rows come from: units of work, and the readers of everything that is text already.

    input file ──▶ Reader(file, start) ──▶ batches of rows       reader.next_start: where the next unit begins
                                       └─▶ stats, damage         (None at the end of the file)

A unit's batches depend on the file and on `start` alone, never on who reads it. WARC, ARC and WET, the crawl formats,
have their reader in `cleaners.crawl.warc`; here are Arrow shards, Parquet, JSON lines and plain text.
"""

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import orjson
import pyarrow as pa
import xxhash
from pydantic import Field

from shards.config import Config
from shards.errors import GristmillError, RunError, UserError
from shards.manifest import read_manifest
from shards.schema import PROVENANCE, TEXT
from shards.stage import Batch
from shards.stats import Stats
from shards.storage import InputFile, open_input

UNIT_RECORDS = 10_000  # a unit ends at this many records …
UNIT_BYTES = 512 << 20  # … or at this many bytes of payload or text, whichever comes first
BATCH_ROWS = 256  # a batch ends at this many rows …
BATCH_BYTES = 8 << 20  # … or at this many bytes: the bound on what a stage holds in memory

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
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


_SNAPSHOT = re.compile(r"CC-MAIN-\d{4}-\d{2}(?!\d)")


class SourceConfig(Config):
    """`[source.<name>]` of a recipe."""

    kind: Literal["warc", "wet", "shards", "jsonl", "parquet", "text"]
    paths: tuple[str, ...] = ()
    # Name of the crawl that all files belong to; without one it is read in their names.
    snapshot: str = Field("", pattern=r"^[A-Za-z0-9_-]*$")
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
            "warc": (".warc", ".warc.gz", ".warc.zst", ".warc.lz4", ".arc", ".arc.gz"),
            "wet": (".wet", ".wet.gz"),
            "shards": (".arrow",),
            "jsonl": (".jsonl", ".jsonl.gz", ".json.gz", ".jsonl.zst"),
            "parquet": (".parquet",),
            "text": (".txt", ".txt.gz"),
        }[self.kind]

    def snapshot_of(self, source: str, file: str) -> str:
        """Which snapshot the rows of `file` belong to: as given, or Common Crawl's name in its path, or the source."""
        named = _SNAPSHOT.search(file)
        return self.snapshot or (named[0] if named else source)


def check_shards(paths: Sequence[str], where: str) -> None:
    """UserError where a folder of shards lacks one that its manifest names, or has one that was cut or changed.

    Without it a source would have fewer documents, and nobody would know.
    """
    for path in paths:
        for named in sorted(Path(path).rglob("*.json")) if "://" not in path and Path(path).is_dir() else ():
            try:
                manifest = read_manifest(named)
            except GristmillError:
                continue  # JSON of somebody else
            shard = named.with_suffix(".arrow")
            written = manifest.files.get(f"shards/{manifest.source}/{manifest.key}.arrow")
            found = shard.stat().st_size if shard.exists() else None
            if written is not None and found != written.num_bytes:
                cause = (
                    "missing" if found is None else f"{found:,} bytes, where its manifest says {written.num_bytes:,}"
                )
                raise UserError(f"{where}: {shard}: {cause}; put it back, or make its run again")


class RowReader:
    """Reads shards, Parquet, JSON lines and text.

    `start` is a record batch of a shard, a row group of a Parquet file, a byte of the (inflated) JSON lines; a text
    file is one document. A null text in a table is an empty one. A compressed JSON lines file has larger units, since
    each must inflate what lies before it.
    """

    schema = ROWS

    def __init__(self, config: SourceConfig, name: str, file: InputFile, start: int) -> None:
        self._config, self._name, self._file, self._start = config, name, file, start
        self._compressed = file.path.endswith((".gz", ".zst"))
        self.next_start: int | None = None
        self.stats = Stats()
        self.damage: list[Damage] = []

    def __iter__(self) -> Iterator[Batch]:
        read = {"shards": self._arrow, "parquet": self._parquet, "jsonl": self._jsonl, "text": self._text}
        larger = 20 if self._compressed else 1
        rows: list[dict[str, Any]] = []
        records = unit_bytes = batch_bytes = 0
        try:
            for start, row in read[self._config.kind]():
                full = records >= larger * UNIT_RECORDS or unit_bytes >= larger * UNIT_BYTES
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
            cause = " ".join(str(error).split())[:200]
            self._damaged(self._start, f"not a whole {self._config.kind} file: {cause}")
        if rows:
            yield pa.RecordBatch.from_pylist(rows, ROWS)

    # Each yields (where a unit could begin with this row or None, the row or None if it is not read).

    def _arrow(self) -> Iterator[tuple[int | None, dict[str, Any] | None]]:
        with open_input(self._file) as stream:
            reader = pa.ipc.open_file(pa.PythonFile(stream))
            for i in range(self._start, reader.num_record_batches):
                yield from self._table_rows(i, reader.get_batch(i))

    def _parquet(self) -> Iterator[tuple[int | None, dict[str, Any] | None]]:
        import pyarrow.parquet as pq

        with open_input(self._file) as stream:
            file = pq.ParquetFile(stream)
            for i in range(self._start, file.num_row_groups):
                start: int | None = i
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[i]):
                    yield from self._table_rows(start, batch)
                    start = None

    def _table_rows(
        self, start: int | None, batch: pa.RecordBatch
    ) -> Iterator[tuple[int | None, dict[str, Any] | None]]:
        for column in (self._config.text, *self._config.where):
            if column not in batch.schema.names:
                known = ", ".join(batch.schema.names)
                raise UserError(f"{self._file.path}: source.{self._name}: no column {column!r}; there are {known}")
        texts = batch[self._config.text]
        if not pa.types.is_string(texts.type) and not pa.types.is_large_string(texts.type):
            found = f"column {self._config.text!r} holds {texts.type}, not text"
            raise UserError(f"{self._file.path}: source.{self._name}: {found}; set source.{self._name}.text")
        for row in batch.to_pylist():
            yield start, self._selected(row | {self._config.text: row[self._config.text] or ""})
            start = None

    def _jsonl(self) -> Iterator[tuple[int | None, dict[str, Any] | None]]:
        at = 0 if self._compressed else self._start
        with open_input(self._file, at) as raw:
            for line in _inflate(raw, self._file.path) if self._compressed else raw:
                offset, at = at, at + len(line)
                if offset < self._start or not line.strip():
                    continue
                try:
                    yield offset, self._selected(self._parsed(line), offset)
                except (ValueError, TypeError, AttributeError, RecursionError) as error:
                    self._damaged(offset, f"a line that is no document: {error}")

    def _parsed(self, line: bytes) -> Any:
        """As `json.loads`, which is asked again for what orjson refuses (NaN, a byte order mark) or would round."""
        try:
            given = orjson.loads(line)
        except orjson.JSONDecodeError:
            return json.loads(line)
        return json.loads(line) if isinstance(given.get(self._config.id), float) else given

    def _text(self) -> Iterator[tuple[int | None, dict[str, Any] | None]]:
        with open_input(self._file) as raw:
            data = b"".join(_inflate(raw, self._file.path)) if self._compressed else raw.read()
        try:
            yield None, self._row({self._config.text: data.decode()})
        except UnicodeDecodeError as error:
            self._damaged(error.start, "not UTF-8; convert the file, for example with iconv")

    def _selected(self, given: dict[str, Any], offset: int = 0) -> dict[str, Any] | None:
        if all(_same(given.get(column), value) for column, value in self._config.where.items()):
            return self._row(given, offset)
        self.stats.add("records/not_selected")
        return None

    def _row(self, given: dict[str, Any], offset: int = 0) -> dict[str, Any]:
        """Raises TypeError for a text that is none, and UnicodeEncodeError for lone surrogates, which JSON allows."""
        c = self._config
        text = given.get(c.text)
        if not isinstance(text, str):
            raise TypeError(f"{c.text!r} is not text but {type(text).__name__}")
        name, url, date = str(given.get(c.id) or ""), str(given.get(c.url) or ""), str(given.get(c.date) or "")
        (name + url + date).encode()
        from_crawl = c.kind == "shards" and isinstance(given.get("warc_offset"), int)
        if name and not _UUID.search(name):
            name = f"{self._name}/{self._file.name}/{name}"  # row numbers and the like name a row of their file only
        return {
            "id": given[c.id] if _is_id(given.get(c.id)) else row_id(name, url, date, text.encode()),
            "url": url,
            "date": date,
            "source": self._name,
            "warc_file": str(given.get("warc_file", "")) if from_crawl else self._file.name,
            "warc_offset": given["warc_offset"] if from_crawl else offset,
            "warc_length": given.get("warc_length", -1) if from_crawl else -1,
            "text": text,
        }

    def _damaged(self, offset: int, cause: str) -> None:
        self.damage.append(Damage(self._file.name, offset, cause))
        self.stats.add("records/damaged")


def row_id(name: str, url: str, date: str, body: bytes | memoryview) -> str:
    """32 hex digits of xxh3-128 over the record's own id, or where it has none over URL, date and body as stored."""
    if name:
        return xxhash.xxh3_128_hexdigest(name.encode())
    digest = xxhash.xxh3_128(f"{url}\0{date}\0".encode())
    digest.update(body)
    return digest.hexdigest()


def _is_id(name: Any) -> bool:
    return isinstance(name, str) and len(name) == 32 and re.fullmatch("[0-9a-f]{32}", name) is not None


def _same(found: Any, wanted: str | int | float | bool) -> bool:
    """JSON's true is not 1."""
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


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
