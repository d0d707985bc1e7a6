"""The selection of an index: the places of all wanted records, by the file in which they lie.

    index files, in any order ──by file name──▶ 64 spools ──each sorted by file and offset──▶ one table, in which
                                                                                               a file has rows in a row

Memory holds a 64th of the places, and some 300 bytes for each crawl file that has any.
"""

import zlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from shards.address import is_remote, is_s3
from shards.index_rows import SCHEMA
from shards.ranges import Part
from shards.sink import BATCH_ROWS, ArrowSink, read_batches, read_table
from shards.storage import COMMON_CRAWL, Chosen, InputFile

PLACES = pa.schema([SCHEMA.field(name) for name in ("offset", "length", "url")])
_SPOOLS = 64


class OfFile(NamedTuple):
    """What a selection has of one crawl file."""

    name: str
    first: int  # row of the table
    num_records: int
    num_bytes: int
    digest: str  # of offsets and lengths


class Place(NamedTuple):
    part: Part
    url: str


def write_selection(rows: Iterable[pa.RecordBatch], path: Path, scratch: Path) -> list[OfFile]:
    """Write the table at `path`. Returns what it has of each file, by name. A place that is given twice is one."""
    with TemporaryDirectory(prefix="selection-", dir=scratch) as spools:
        paths = _spool(rows, Path(spools))
        found: list[OfFile] = []
        with ArrowSink(path, PLACES, synced=False) as sink:
            for spool in paths:
                table = _sorted(read_table(spool))
                found += _of_files(table, sink.num_rows + sink.num_pending[0])
                for batch in table.select(PLACES.names).to_batches():
                    sink.write(batch)
    return sorted(found)


def read_places(path: Path, chosen: Chosen) -> list[Place]:
    """The places in one file, by offset."""
    numbers = range(chosen.first // BATCH_ROWS, -(-(chosen.first + chosen.num_records) // BATCH_ROWS))
    table = pa.Table.from_batches(read_batches(path, PLACES.names, numbers), PLACES)
    rows = table.slice(chosen.first - numbers.start * BATCH_ROWS, chosen.num_records)
    offsets, lengths, urls = (rows[name].to_pylist() for name in PLACES.names)
    return [Place(Part(offset, length), url or "") for offset, length, url in zip(offsets, lengths, urls, strict=True)]


def input_file(root: str, of_file: OfFile) -> InputFile:
    """The crawl file below `root`. One whose name leads elsewhere has a fault, and nothing is asked for."""
    root = root or COMMON_CRAWL
    about = (of_file.num_bytes, of_file.digest)
    name = of_file.name.removeprefix(root).lstrip("/") if of_file.name.startswith(root) else of_file.name
    if not is_inside(name):
        return InputFile("", repr(name), *about, fault="the index names a file that is not below the source's `root`")
    chosen = Chosen(of_file.first, of_file.num_records)
    if not is_remote(root):
        return InputFile(str(Path(root).expanduser() / name), name, *about, chosen=chosen)
    below = name if is_s3(root) else quote(name)
    return InputFile(f"{root.rstrip('/')}/{below}", name, *about, chosen=chosen)


def is_inside(name: str) -> bool:
    """Whether a file name from an index stays below the folder that it is put after."""
    parts = name.split("/")
    return name.isprintable() and "\\" not in name and not {"", ".", ".."} & {*parts} and ":" not in parts[0]


def _spool(rows: Iterable[pa.RecordBatch], folder: Path) -> Sequence[Path]:
    """Write the rows into files, all of one crawl file into the same one."""
    sinks: dict[int, ArrowSink] = {}
    with ExitStack() as files:
        for batch in rows:
            names = batch["filename"].dictionary_encode()
            spool_of = np.array(
                [zlib.crc32(name.encode()) % _SPOOLS for name in names.dictionary.to_pylist()], np.int64
            )
            spools = spool_of[names.indices.to_numpy()]
            for number in np.unique(spools).tolist():
                if number not in sinks:
                    sink = ArrowSink(folder / f"{number:02d}.arrow", SCHEMA, synced=False)
                    sinks[number] = files.enter_context(sink)
                sinks[number].write(batch.filter(pa.array(spools == number)))
    return [sinks[number].path for number in sorted(sinks)]


def _sorted(table: pa.Table) -> pa.Table:
    """The rows by file and offset, each place once."""
    table = table.sort_by([(name, "ascending") for name in SCHEMA.names]).combine_chunks()
    is_new = np.ones(table.num_rows, bool)
    is_new[1:] = _changes(table["filename"]) | _changes(table["offset"])
    return table.filter(pa.array(is_new))


def _of_files(table: pa.Table, first: int) -> list[OfFile]:
    names, offsets, lengths = table["filename"], table["offset"].to_numpy(), table["length"].to_numpy()
    begins = [0, *(np.flatnonzero(_changes(names)) + 1).tolist()]
    found = []
    for begin, end in zip(begins, [*begins[1:], table.num_rows], strict=True):
        digest = xxhash.xxh3_128(offsets[begin:end].tobytes() + lengths[begin:end].tobytes()).hexdigest()
        num_bytes = int(lengths[begin:end].sum())
        found.append(OfFile(names[begin].as_py(), first + begin, end - begin, num_bytes, digest))
    return found


def _changes(column: pa.ChunkedArray) -> np.ndarray:
    """bool[n - 1], whether a value differs from the one before it."""
    changed: np.ndarray = pc.not_equal(column[1:], column[:-1]).to_numpy()
    return changed
