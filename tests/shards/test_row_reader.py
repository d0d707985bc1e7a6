"""Rows of files of rows: the same for any unit size, and no row is lost silently."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from http_server import serving

from shards import json_lines, row_reader
from shards.errors import RunError
from shards.row_reader import RowReader
from shards.source import SourceConfig
from shards.storage import InputFile, find_inputs

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


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_behind_an_address_with_a_query_has_the_same_rows(tmp_path: Path, name: str, ranges: bool) -> None:
    kind, write = FORMATS[name]
    write(tmp_path / name)
    rows, _ = read(tmp_path / name, kind)
    with serving({f"/{name}": (tmp_path / name).read_bytes()}, ranges=ranges) as site:
        config = SourceConfig(kind=kind)  # type: ignore[arg-type]
        (file,) = find_inputs([f"{site.url}{name}?download=true&sig=a/b.txt"], config.suffixes, "x")
        reader = RowReader(config, "web", file, 0)
        assert [row for batch in reader for row in batch.to_pylist()] == rows
        assert reader.damage == []


def test_a_server_that_fails_is_no_damage(tmp_path: Path) -> None:
    for name in FORMATS:
        kind, write = FORMATS[name]
        write(tmp_path / name)
        with serving({f"/{name}": (tmp_path / name).read_bytes()}) as site:
            config = SourceConfig(kind=kind)  # type: ignore[arg-type]
            (file,) = find_inputs([f"{site.url}{name}"], config.suffixes, "x")
            site.files.clear()
            with pytest.raises(RunError, match=rf"{site.url}{name}: offset \d+: the server answers 404, not found"):
                list(RowReader(config, "web", file, 0))


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


@pytest.mark.parametrize("key", ["m", "id"])
@pytest.mark.parametrize("depth", [1_010, 100_000])
def test_an_object_that_is_nested_too_deep_is_damage_and_says_so(tmp_path: Path, key: str, depth: int) -> None:
    deep = f'{{"text": "deep", "{key}": {"[" * depth}{"]" * depth}}}\n'
    (tmp_path / "a.jsonl").write_text(f'{deep}{{"text": "two"}}\n')
    rows, reader = read(tmp_path / "a.jsonl", "jsonl")
    assert rows[-1]["text"] == "two"
    assert len(rows) + len(reader.damage) == 2
    assert all(damage.cause == json_lines.DEEP for damage in reader.damage)
    assert reader.damage or depth < 1_024


def damage_of(path: Path, kind: str, **settings: Any) -> list[tuple[int, str, int]]:
    return [(d.offset, d.cause, d.places) for d in read(path, kind, **settings)[1].damage]


def test_a_file_without_the_named_column_is_damage_and_tells_which_there_are(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet")
    write_arrow(tmp_path / "a.arrow")
    for name, kind in (("a.parquet", "parquet"), ("a.arrow", "shards")):
        told = "no column 'content'; there are text, url, lang"
        assert damage_of(tmp_path / name, kind, text="content") == [(0, told, 1)]
        assert damage_of(tmp_path / name, kind, where={"content": 1}) == [(0, told, 1)]


@pytest.mark.parametrize(
    "column", [pa.array([1, 2]), pa.array([["a"], ["b"]]), pa.array([{"text": "a"}, {"text": "b"}])], ids=str
)
def test_a_column_that_holds_no_text_is_damage_of_the_file(tmp_path: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet", row_group_size=1)
    ((_, cause, _),) = damage_of(tmp_path / "a.parquet", "parquet")
    kind = str(column.type).partition("<")[0]
    assert re.fullmatch(rf"column 'text' holds {kind}\S*( string>)?, not text; set source\.web\.text", cause)


def test_two_columns_of_one_name_are_damage_where_they_are_named(tmp_path: Path) -> None:
    columns = [pa.array(["x"]), pa.array(["y"]), pa.array(["z"])]
    pq.write_table(pa.table(columns, names=["text", "text", "body"]), tmp_path / "a.parquet")
    told = "several columns are named 'text'; rename all but one"
    assert damage_of(tmp_path / "a.parquet", "parquet") == [(0, told, 1)]
    assert [row["text"] for row in read(tmp_path / "a.parquet", "parquet", text="body")[0]] == ["z"]


@pytest.mark.parametrize("kind", ["parquet", "shards"])
def test_a_text_that_is_not_utf8_is_damage_and_the_rows_beside_it_are_kept(tmp_path: Path, kind: str) -> None:
    texts = pa.array([b"one", b"\xff\xfe", b"three", b"\xe4", None]).cast(pa.binary()).view(pa.string())
    path = tmp_path / "a"
    if kind == "parquet":
        pq.write_table(pa.table({"text": texts}), path)
    else:
        with pa.ipc.new_file(str(path), pa.schema([("text", pa.string())])) as writer:
            writer.write_table(pa.table({"text": texts}))
    assert [row["text"] for row in read(path, kind)[0]] == ["one", "three", ""]
    assert [cause for _, cause, _ in damage_of(path, kind)] == [
        f"a text that is not UTF-8 (row {row} of its part)" for row in (1, 3)
    ]


def test_a_broken_row_group_is_damage_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"text {i} " + "of some length " * 50 for i in range(40)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=10, compression="gzip", use_dictionary=False)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    for at in range(column.data_page_offset + 40, column.data_page_offset + column.total_compressed_size):
        data[at] ^= 0x55
    path.write_bytes(data)
    assert [row["text"] for row in read(path, "parquet")[0]] == texts[:10] + texts[20:]
    ((offset, cause, _),) = damage_of(path, "parquet")
    assert offset == 1
    assert cause.startswith("a row group that cannot be read from its row 0 on: ")


def test_arrow_streams_are_read_as_shards_and_their_units_begin_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    assert [row["text"] for row in read(tmp_path / "a.arrow", "shards")[0]] == [row["text"] for row in ROWS]
    monkeypatch.setattr(row_reader, "UNIT_RECORDS", 8)
    rows, reader = read(tmp_path / "a.arrow", "shards", start=2)
    assert [row["text"] for row in rows] == [row["text"] for row in ROWS[8:16]]
    assert reader.next_start == 4


def test_repeated_damage_is_listed_three_times_and_counted(tmp_path: Path) -> None:
    lines = ["{}", '{"body": 1}', "no json", *['{"id": 1}'] * 500, '{"text": "kept"}', "[]"]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    rows, reader = read(tmp_path / "a.jsonl", "jsonl")
    assert [row["text"] for row in rows] == ["kept"]
    assert reader.stats["records/damaged"] == 504
    assert [(d.offset, d.cause.partition(":")[0], d.places) for d in reader.damage] == [
        (0, "no key 'text'; the object is empty", 1),
        (3, "no key 'text'; there are body", 1),
        (15, "a line that is not JSON", 1),
        (23, "no key 'text'; there are id", 500),
        (5040, "a JSON array on one line; write an object a line, for example with", 1),
    ]


def test_broken_lines_end_a_unit_as_documents_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_reader, "UNIT_RECORDS", 10)
    (tmp_path / "a.jsonl").write_text("no json\n" * 25)
    readers = [read(tmp_path / "a.jsonl", "jsonl", start)[1] for start in (0, 80, 160)]
    assert [reader.next_start for reader in readers] == [80, 160, None]
    assert [sum(place.places for place in reader.damage) for reader in readers] == [10, 10, 5]


@pytest.mark.parametrize(
    "opening", ["WARC/1.0\r\nWARC-Type: response\r\n\r\n", "filedesc://a.arc 0.0.0.0 2001 text/plain 77\n"]
)
def test_a_crawl_given_as_json_lines_is_told_once(tmp_path: Path, opening: str) -> None:
    for name, data in (("a.jsonl", opening.encode()), ("a.jsonl.gz", gzip.compress(opening.encode()))):
        (tmp_path / name).write_bytes(data * 3)
        rows, reader = read(tmp_path / name, "jsonl")
        assert not rows
        assert [(damage.offset, damage.cause) for damage in reader.damage] == [(0, json_lines.CRAWL)]


@pytest.mark.parametrize("indent", [0, 2])
def test_json_spread_over_lines_is_told_once(tmp_path: Path, indent: int) -> None:
    for value in (ROWS[0], ROWS):
        (tmp_path / "a.jsonl").write_text(json.dumps(value, indent=indent))
        rows, reader = read(tmp_path / "a.jsonl", "jsonl")
        assert not rows
        assert [damage.cause for damage in reader.damage] == [json_lines.SPREAD]


def test_an_array_of_an_object_a_line_is_read_from_any_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_reader, "UNIT_RECORDS", 7)
    (tmp_path / "a.jsonl").write_text("[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n")
    texts, start = [], 0
    while start is not None:
        rows, reader = read(tmp_path / "a.jsonl", "jsonl", start)
        texts, start = texts + [row["text"] for row in rows], reader.next_start  # type: ignore[assignment]
        assert not reader.damage
    assert texts == [row["text"] for row in ROWS]


def test_a_null_text_is_an_empty_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": null}\n{"text": "x"}\n')
    assert [row["text"] for row in read(tmp_path / "a.jsonl", "jsonl")[0]] == ["", "x"]
    pq.write_table(pa.table({"text": ["x", None]}), tmp_path / "b.parquet")
    assert [row["text"] for row in read(tmp_path / "b.parquet", "parquet")[0]] == ["x", ""]
    pq.write_table(pa.table({"text": pa.nulls(2)}), tmp_path / "c.parquet")
    assert [row["text"] for row in read(tmp_path / "c.parquet", "parquet")[0]] == ["", ""]


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "shards"])
def test_a_dot_names_what_an_object_or_a_struct_holds(tmp_path: Path, kind: str) -> None:
    row = {"doc": {"text": "inner", "meta": {"lang": "ru", "no": 7}}, "doc.url": "flat"}
    path, table = tmp_path / "a", pa.Table.from_pylist([row])
    if kind == "jsonl":
        path.write_text(json.dumps(row))
    elif kind == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    settings = {"text": "doc.text", "id": "doc.meta.no", "url": "doc.url", "where": {"doc.meta.lang": "ru"}}
    ((found,), reader) = read(path, kind, **settings)
    assert (found["text"], found["original_id"], found["url"]) == ("inner", "7", "flat")
    assert read(path, kind, **settings | {"where": {"doc.meta.lang": "zh"}})[0] == []
    assert not reader.damage


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
    assert read(tmp_path / "a.arrow", "shards")[0] == [row | {"source": "web", "original_id": None}]
    carried = pa.schema([("language", pa.string()), ("tags", pa.list_(pa.string()))])
    table = table.append_column("tags", pa.array([["x", None]])).append_column("original_id", pa.array(["7"]))
    with pa.ipc.new_file(str(tmp_path / "b.arrow"), table.schema) as writer:
        writer.write_table(table)
    reader = RowReader(
        SourceConfig(kind="shards"),
        "web",
        InputFile(str(tmp_path / "b.arrow"), "b", (tmp_path / "b.arrow").stat().st_size),
        0,
        carried,
    )
    ((found,),) = (batch.to_pylist() for batch in reader)
    assert found == row | {"source": "web", "original_id": "7", "language": None, "tags": ["x", None]}


def ids_of(path: Path, *rows: dict[str, Any], source: str = "web") -> list[str]:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reader = RowReader(SourceConfig(kind="jsonl"), source, InputFile(str(path), path.name, 1), 0)
    return [row["id"] for batch in reader for row in batch.to_pylist()]


def test_a_row_is_known_by_its_id_and_its_text(tmp_path: Path) -> None:
    """Ids are often numbers that begin again in each part of a file."""
    one, other = {"id": 1, "text": "one"}, {"id": 1, "text": "other"}
    first, second, again = ids_of(tmp_path / "a.jsonl", one, other, one)
    assert first == again != second
    assert ids_of(tmp_path / "2024" / "a.jsonl", one, other) == [first, second]
    assert ids_of(tmp_path / "b.jsonl", one)[0] not in (first, second)  # a row number names a row of its file only


def test_a_uuid_names_a_record_in_every_file(tmp_path: Path) -> None:
    row = {"id": "<urn:uuid:12345678-1234-1234-1234-123456789abc>", "text": "one"}
    assert ids_of(tmp_path / "a.jsonl", row) == ids_of(tmp_path / "b.jsonl", row, source="books")
    assert ids_of(tmp_path / "a.jsonl", row) != ids_of(tmp_path / "a.jsonl", row | {"text": "other"})


@pytest.mark.parametrize(
    ("value", "original"),
    [
        (None, None), (float("nan"), None), ("", None), (0, "0"), (False, "False"), (7, "7"), (7.5, "7.5"),
        (12345678901234567890123, "12345678901234567890123"), ("a/b", "a/b"), ({"$oid": "5f"}, '{"$oid": "5f"}'),
    ],
)  # fmt: skip
def test_ids_of_any_type_are_kept_as_text_and_missing_ones_name_nothing(
    tmp_path: Path, value: Any, original: str | None
) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"id": value, "text": text}) + "\n" for text in "ab"))
    rows = read(tmp_path / "a.jsonl", "jsonl")[0]
    assert [row["original_id"] for row in rows] == [original, original]
    assert rows[0]["id"] != rows[1]["id"]
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "a"}) + "\n")
    assert (read(tmp_path / "b.jsonl", "jsonl")[0][0]["id"] == rows[0]["id"]) == (original is None)


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


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([["x"], [], None], pa.list_(pa.string())),
        ([[["x"], None], [], None], pa.list_(pa.list_(pa.string()))),
        ([[1, 2], None, [3, None]], pa.list_(pa.int32(), 2)),
        ([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        ([{"a": [None]}, None, {"a": None}], pa.struct([("a", pa.list_(pa.int8()))])),
    ],
)
def test_nested_columns_come_along_with_their_nulls(tmp_path: Path, values: list[Any], kind: pa.DataType) -> None:
    field = pa.field("more", kind)
    table = pa.table({"text": ["a", "b", "c"], "more": pa.array(values, kind)})
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    config = SourceConfig.parse({"kind": "shards"}, "test")
    (file,) = find_inputs([str(tmp_path / "a.arrow")], (), "test")
    (batch,) = RowReader(config, "web", file, 0, pa.schema([field]))
    assert batch["more"].equals(table["more"].combine_chunks())


def test_a_page_of_parquet_whose_checksum_is_wrong_is_damage(tmp_path: Path) -> None:
    table = pa.table({"text": [f"the mill in the valley {i}" for i in range(50)]})
    pq.write_table(table, tmp_path / "a", compression="none", use_dictionary=False, write_page_checksum=True)
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data.replace(b"valley 7", b"VALLEY 7"))
    rows, reader = read(tmp_path / "a", "parquet")
    assert rows == []
    assert "CRC checksum" in reader.damage[0].cause
