"""The openings of pieces of a file of rows are those of the whole file, whatever lies at a cut."""

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards import row_reader
from shards.row_openings import read_row_openings, row_extent
from shards.row_reader import RowReader
from shards.source import SourceConfig
from shards.storage import InputFile
from shards.unit_starts import UnitStarts, tile

TEXTS = ["word " * (i % 7) + "\u00e9\u4e2d" * (i % 3) for i in range(90)]


def lines() -> bytes:
    """JSON lines with blank ones, broken ones, one that is long, and one whose text holds a line of JSON."""
    made = [
        json.dumps({"id": i, "text": text, "lang": "ab"[i % 2]}, ensure_ascii=False) for i, text in enumerate(TEXTS)
    ]
    made[10:10] = ["", "  ", "{broken", '{"text": 7}']
    made[40:40] = [json.dumps({"text": "x" * 9_000}), json.dumps({"text": '{"text": "inner"}\n' * 5})]
    return ("\n".join(made) + "\n").encode()


def tables() -> pa.Table:
    return pa.table({"text": TEXTS, "lang": ["ab"[i % 2] for i in range(len(TEXTS))]})


def write(path: Path, data: bytes | None = None) -> InputFile:
    if data is not None:
        path.write_bytes(data)
    elif path.suffix == ".parquet":
        pq.write_table(tables(), path, row_group_size=4)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, tables().schema) as writer:
            writer.write_table(tables(), max_chunksize=4)
    return InputFile(str(path), path.name, path.stat().st_size)


def chained(config: SourceConfig, file: InputFile) -> list[int]:
    starts, start = [], 0
    while True:
        reader = RowReader(config, "rows", file, start)
        for _ in reader:
            pass
        if reader.next_start is None:
            return starts
        start = reader.next_start
        starts.append(start)


def scanned(config: SourceConfig, file: InputFile, size: int) -> list[int]:
    extent = row_extent(config, file)
    todo = tile(0, extent, size)
    starts = UnitStarts(todo, row_reader.is_full)
    random.Random(size).shuffle(todo)
    while todo:
        piece = todo.pop()
        todo += starts.take(piece.number, read_row_openings(config, file, extent, piece, lambda: None))
    return starts.found


FILES = {"jsonl": "a.jsonl", "parquet": "a.parquet", "shards": "a.arrow"}


@pytest.mark.parametrize("limit", ["UNIT_RECORDS", "UNIT_BYTES"])
@pytest.mark.parametrize("where", [{}, {"lang": "b"}], ids=["all rows", "where"])
@pytest.mark.parametrize("kind", FILES)
def test_units_begin_where_they_do_in_a_chain(
    tmp_path: Path, kind: str, where: dict[str, str], limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_reader, limit, 6 if limit == "UNIT_RECORDS" else 80)
    config = SourceConfig(kind=kind, where=where)  # type: ignore[arg-type]
    file = write(tmp_path / FILES[kind], lines() if kind == "jsonl" else None)
    wanted = chained(config, file)
    assert len(wanted) > 7
    for size in (1, 3, 7, 10_000) if kind != "jsonl" else (31, 100, 5_003, 100_000):
        assert scanned(config, file, size) == wanted, size


@pytest.mark.parametrize("kind", FILES)
def test_a_file_whose_reading_breaks_off_has_the_units_before(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_reader, "UNIT_RECORDS", 6)
    config = SourceConfig(kind=kind)  # type: ignore[arg-type]
    file = write(tmp_path / FILES[kind], lines() if kind == "jsonl" else None)
    data = bytearray(Path(file.path).read_bytes())
    middle = len(data) // 2
    if kind == "parquet":
        middle = pq.ParquetFile(file.path).metadata.row_group(11).column(0).data_page_offset
    data[middle : middle + 40] = b"\xff" * 40
    file = write(tmp_path / FILES[kind], bytes(data))
    assert len(chained(config, file)) > 3
    assert scanned(config, file, 3 if kind != "jsonl" else 301) == chained(config, file)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_without_the_column_of_the_text_has_no_units_after_the_first(tmp_path: Path, kind: str) -> None:
    config = SourceConfig(kind=kind, text="body")  # type: ignore[arg-type]
    file = write(tmp_path / FILES[kind], b'{"text": "x"}\n' * 90 if kind == "jsonl" else None)
    assert scanned(config, file, 40) == chained(config, file) == []


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.jsonl.gz", gzip.compress(lines()), "jsonl"),
        ("a.jsonl", lines().decode().encode("utf-16"), "jsonl"),
        ("a.jsonl", b"PAR1", "jsonl"),
        ("a.parquet", b"no table", "parquet"),
        ("a.arrow", b"ARROW1, cut", "shards"),
        ("a.arrow", b"no table", "shards"),
        ("a.txt", b"one text", "text"),
    ],
)
def test_other_files_cannot_be_entered(tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    assert row_extent(SourceConfig(kind=kind), write(tmp_path / name, data)) == 0  # type: ignore[arg-type]
