"""Indexes of small crawls: where each page lies, as Common Crawl's tables and lines say it."""

import csv
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_TARGET = re.compile(rb"WARC-Target-URI: <?([^>\r\n]+)")


def places(data: bytes) -> list[dict[str, Any]]:
    """Offset, length and URL of each response in a gzip WARC file."""
    found = []
    offset = 0
    while offset < len(data):
        inflate = zlib.decompressobj(31)
        head = inflate.decompress(data[offset:]).partition(b"\r\n\r\n")[0]
        length = len(data) - offset - len(inflate.unused_data)
        target = _TARGET.search(head)
        if b"WARC-Type: response" in head and target is not None:
            found.append({"warc_record_offset": offset, "warc_record_length": length, "url": target[1].decode()})
        offset += length
    return found


def index_of(files: Mapping[str, bytes], **columns: Any) -> list[dict[str, Any]]:
    """The rows of all files; `columns` are added to each of them."""
    rows = [{"warc_filename": name, **place} for name, data in files.items() for place in places(data)]
    return [row | columns for row in rows]


def write_index(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write the rows as the suffix says: Parquet, CSV, JSON lines, or CDXJ with the names and types of its lines."""
    rows = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        head = "org,example)/ 20240101000000 " if path.suffix == ".cdxj" else ""
        path.write_text("".join(f"{head}{json.dumps(_as_lines(row))}\n" for row in rows))
    return path


def _as_lines(row: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("warc_").removeprefix("record_"): str(value) for name, value in row.items()}
