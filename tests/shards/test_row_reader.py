"""Rows of files of rows: the same for any unit size, and no row is lost silently."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards import row_reader
from shards.errors import UserError
from shards.row_reader import RowReader
from shards.source import SourceConfig
from shards.storage import InputFile

ROWS = [
    {"text": f"text {i} слово 文字", "url": f"https://a.example/{i}", "lang": "ru" if i % 3 else "zh"}
    for i in range(25)
]


def write_jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def write_jsonl_gz(path: Path) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))


def write_jsonl_zst(path: Path) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in ROWS).encode())


def write_parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=4)


def write_arrow(path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)


FORMATS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a.jsonl": ("jsonl", write_jsonl),
    "a.jsonl.gz": ("jsonl", write_jsonl_gz),
    "a.jsonl.zst": ("jsonl", write_jsonl_zst),
    "a.parquet": ("parquet", write_parquet),
    "a.arrow": ("shards", write_arrow),
}


def read(path: Path, kind: str, start: int = 0, **settings: Any) -> tuple[list[dict[str, Any]], RowReader]:
    config = SourceConfig(kind=kind, **settings)  # type: ignore[arg-type]
    reader = RowReader(config, "web", InputFile(str(path), path.name, path.stat().st_size), start)
    return [row for batch in reader for row in batch.to_pylist()], reader


@pytest.mark.parametrize("name", FORMATS)
def test_units_cover_the_file_and_hold_every_row_once(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, write = FORMATS[name]
    write(tmp_path / name)
    whole, reader = read(tmp_path / name, kind)
    assert [row["text"] for row in whole] == [row["text"] for row in ROWS]
    assert [row["url"] for row in whole] == [row["url"] for row in ROWS]
    assert len({row["id"] for row in whole}) == 25
    assert reader.next_start is None
    monkeypatch.setattr(row_reader, "UNIT_RECORDS", 1 if name.endswith((".gz", ".zst")) else 7)
    rows, start, units = [], 0, 0
    while start is not None:
        part, reader = read(tmp_path / name, kind, start)
        rows, start, units = rows + part, reader.next_start, units + 1  # type: ignore[assignment]
    assert rows == whole
    assert units > 1


@pytest.mark.parametrize("name", FORMATS)
def test_where_selects_and_counts_the_rest(tmp_path: Path, name: str) -> None:
    kind, write = FORMATS[name]
    write(tmp_path / name)
    rows, reader = read(tmp_path / name, kind, where={"lang": "zh"})
    assert len(rows) == 9
    assert reader.stats.to_json() == {"records/not_selected": 16}


@pytest.mark.parametrize("name", FORMATS)
def test_a_cut_file_is_named(tmp_path: Path, name: str) -> None:
    kind, write = FORMATS[name]
    write(tmp_path / name)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-40])
    rows, reader = read(path, kind)
    assert len(rows) < 25
    assert len(reader.damage) == 1


def test_lines_that_are_not_documents_are_damage_with_their_offset(tmp_path: Path) -> None:
    lines = [
        '{"text": "one"}',
        "not json",
        '{"text": 5}',
        '{"no": "text"}',
        '{"text": "\\ud800"}',
        '["text"]',
        "",
        '{"text": "two"}',
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines) + "\n")
    rows, reader = read(path, "jsonl")
    assert [row["text"] for row in rows] == ["one", "two"]
    assert [d.offset for d in reader.damage] == [16, 25, 37, 52, 71]


def test_a_missing_column_is_the_users_mistake(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="no column 'content'; there are text, url, lang"):
        read(tmp_path / "a.parquet", "parquet", text="content")


def test_a_column_of_another_type_is_the_users_mistake_and_null_is_empty_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"column 'text' holds int64, not text; set source\.web\.text"):
        read(tmp_path / "a.parquet", "parquet")
    pq.write_table(pa.table({"text": ["x", None]}), tmp_path / "b.parquet")
    assert [row["text"] for row in read(tmp_path / "b.parquet", "parquet")[0]] == ["x", ""]


def test_a_text_file_is_one_document_and_must_be_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Чехов")
    (tmp_path / "b.txt").write_bytes("Чехов".encode("cp1251"))
    assert [row["text"] for row in read(tmp_path / "a.txt", "text")[0]] == ["Чехов"]
    rows, reader = read(tmp_path / "b.txt", "text")
    assert rows == []
    assert "not UTF-8" in reader.damage[0].cause


def test_another_runs_shards_keep_their_identity_and_place(tmp_path: Path) -> None:
    row = {
        "id": "0" * 32,
        "url": "u",
        "date": "d",
        "warc_file": "x.warc.gz",
        "warc_offset": 7,
        "warc_length": 9,
        "text": "t",
    }
    table = pa.Table.from_pylist([row])
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert read(tmp_path / "a.arrow", "shards")[0] == [row | {"source": "web"}]


def test_row_numbers_as_ids_name_rows_of_their_file_and_uuids_name_records(tmp_path: Path) -> None:
    uuid = "<urn:uuid:12345678-1234-1234-1234-123456789abc>"
    for name in ("a.jsonl", "b.jsonl"):
        lines = [{"id": 1, "text": f"of {name}"}, {"id": uuid, "text": f"of {name}"}]
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, second = ([row["id"] for row in read(tmp_path / name, "jsonl")[0]] for name in ("a.jsonl", "b.jsonl"))
    assert first[0] != second[0]
    assert first[1] == second[1]


def test_what_the_fast_parser_refuses_or_rounds_is_read_as_json_does(tmp_path: Path) -> None:
    long = 123456789012345678901234567890
    lines = [f'{{"id": {n}, "text": "a"}}' for n in (long, long + 1)]
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + "\n".join([*lines, '{"text": "b", "n": NaN}']).encode())
    rows, reader = read(tmp_path / "a.jsonl", "jsonl")
    assert [row["text"] for row in rows] == ["a", "a", "b"]
    assert rows[0]["id"] != rows[1]["id"]
    assert not reader.damage


def test_true_is_not_one_for_where(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x", "n": 1}\n{"text": "y", "n": true}\n')
    assert [row["text"] for row in read(tmp_path / "a.jsonl", "jsonl", where={"n": 1})[0]] == ["x"]
