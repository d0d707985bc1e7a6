"""Rows of an index: every format that Common Crawl has, and what no index is."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crawl_index import write_index

from shards.errors import GristmillError
from shards.index_rows import read_index
from shards.source import SourceConfig
from shards.storage import find_inputs

ROWS = [
    {"warc_filename": f"f{i % 2}", "warc_record_offset": i, "warc_record_length": 10, "url": f"u{i}", "status": 200 + i}
    for i in range(4)
]


def read(path: Path, **settings: object) -> tuple[list[dict[str, object]], int]:
    config = SourceConfig.parse({"kind": "index", **settings}, "source.web")
    rows, excluded = [], 0
    for file in find_inputs([str(path)], (), "paths"):
        for batch, num_excluded in read_index(config, file):
            rows += batch.to_pylist()
            excluded += num_excluded
    return rows, excluded


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "cdxj"])
def test_rows_of_each_format(tmp_path: Path, suffix: str) -> None:
    path = write_index(tmp_path / f"index.{suffix}", ROWS)
    rows, excluded = read(path)
    assert [tuple(row.values()) for row in rows] == [tuple(row.values())[:4] for row in ROWS]
    assert excluded == 0
    status = 202 if suffix in ("parquet", "csv") else "202"  # lines of Common Crawl have numbers as text
    assert ([row["url"] for row in read(path, where={"status": status})[0]], read(path, where={"status": 7})[1]) == (
        ["u2"],
        4,
    )


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ({"filename": "a", "offset": "x", "length": "1"}, "no place in a file"),
        ({"filename": "a", "offset": -1, "length": 1}, "no place in a file"),
        ({"filename": "a", "offset": 1, "length": 1 << 40}, "no place in a file"),
        ({"filename": "a", "offset": 1}, "no column warc_record_length or length"),
    ],
)
def test_a_row_that_names_no_place_is_refused(tmp_path: Path, row: dict[str, object], cause: str) -> None:
    path = tmp_path / "index.jsonl"
    path.write_text(str(row).replace("'", '"') + "\n")
    with pytest.raises(GristmillError, match=cause):
        read(path)


def test_an_index_that_is_cut_is_refused(tmp_path: Path) -> None:
    for suffix in ("parquet", "jsonl"):
        path = write_index(tmp_path / f"index.{suffix}", ROWS)
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(GristmillError, match="cannot be read"):
            read(path)


def test_a_column_of_where_that_is_not_there_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "index.parquet")
    with pytest.raises(GristmillError, match="no column language; there are warc_filename"):
        read(tmp_path / "index.parquet", where={"language": "zho"})
