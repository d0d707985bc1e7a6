"""Reading records by an index beside reading their WARC files whole: requests, and wanted records a second.

A server on this machine has 50 files with 2,000 pages each, real ones where GRISTMILL_REAL_DATA names some. Both
sides make the rows of the wanted pages and nothing else; the server runs in a process of its own.

    python -m benchmarks.index [--files 50] [--records 2000] [--repeats 3]
"""

import argparse
import gzip
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.rows import Rows, median_of
from cleaners.crawl.indexed import IndexedReader
from cleaners.crawl.warc import WarcReader
from shards.index_rows import SCHEMA
from shards.ranges import Part, spans
from shards.selection import input_file, read_places, write_selection
from shards.storage import InputFile, find_inputs

_PAGE_BYTES = 3_000  # about, of a stored page that is made up
_NO_LIMIT = 1e6  # requests a second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--records", type=int, default=2_000, help="of a file")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    rows = Rows("index")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        index = make_crawl(folder / "crawl", args.files, args.records)
        here, there = multiprocessing.Pipe()
        server = multiprocessing.Process(target=serve, args=(folder / "crawl", there), daemon=True)
        server.start()
        root = f"http://127.0.0.1:{here.recv()}/"
        whole = median_of(args.repeats, lambda: seconds(lambda: read_whole(root, args.files)))
        for what, every in (("all records", 1), ("a tenth of the records", 10)):
            wanted = index[::every]
            read, requests = selected(root, wanted, folder)
            took = median_of(args.repeats, lambda read=read: seconds(read))  # type: ignore[misc]
            rows.add(f"records a request, {what}", len(wanted) / requests, None, "records")
            rows.add(f"records a second, {what}; peer: files whole", len(wanted) / took, len(index) / whole, "1/s")
            rows.add(f"seconds, {what}; peer: files whole", took, whole, "s", less_is_better=True)
        server.terminate()
    rows.write()


def selected(root: str, wanted: list[dict[str, Any]], folder: Path) -> tuple[Callable[[], int], int]:
    """(reads the wanted records, requests that this takes)."""
    table = folder / "selection.arrow"
    files = write_selection([pa.RecordBatch.from_pylist(wanted, SCHEMA)], table, folder)
    inputs = [input_file(root, file) for file in files]

    def read() -> int:
        found = 0
        for file in inputs:
            assert file.chosen is not None
            reader = IndexedReader("web", file, read_places(table, file.chosen), 0, _NO_LIMIT)
            found += sum(batch.num_rows for batch in reader)
            assert not reader.failed, reader.failed[0]
        assert found == len(wanted)
        return found

    requests = 0
    for file in inputs:
        assert file.chosen is not None
        requests += len(list(spans([place.part for place in read_places(table, file.chosen)])))
    return read, requests


def read_whole(root: str, num_files: int) -> int:
    paths = [f"{root}part-{number:02d}.warc.gz" for number in range(num_files)]
    found = 0
    for file in find_inputs(paths, (".warc.gz",), "paths"):
        found += sum(batch.num_rows for batch in units_of(file))
    return found


def units_of(file: InputFile) -> Iterator[pa.RecordBatch]:
    start: int | None = 0
    while start is not None:
        reader = WarcReader("web", file, start)
        yield from reader
        start = reader.next_start


def seconds(read: Callable[[], int]) -> float:
    began = time.perf_counter()
    read()
    return time.perf_counter() - began


def make_crawl(folder: Path, num_files: int, num_records: int) -> list[dict[str, Any]]:
    """Write the files; returns the rows of their index."""
    folder.mkdir()
    members = [*members_of_pages()]
    draw = random.Random(0)
    index: list[dict[str, Any]] = []
    for number in range(num_files):
        name = f"part-{number:02d}.warc.gz"
        offset = 0
        with (folder / name).open("wb") as out:
            for _ in range(num_records):
                url, member = draw.choice(members)
                index.append({"filename": name, "offset": offset, "length": len(member), "url": url})
                offset += out.write(member)
    return index


def members_of_pages() -> Iterator[tuple[str, bytes]]:
    """Gzip members with a page each, and its URL: real ones, cut to 40 KB stored, or made up."""
    crawl = Path(os.environ.get("GRISTMILL_REAL_DATA", "")) / "crawl"
    if (crawl / "part-00.warc.gz").exists():
        (file,) = find_inputs([str(crawl / "part-00.warc.gz")], (), "paths")
        data = Path(file.path).read_bytes()
        for row in WarcReader("web", file, 0).rows():
            if row["record_type"] == "response" and row["warc_length"] < 40 << 10:
                place = Part(row["warc_offset"], row["warc_length"])
                yield row["url"], data[place.offset : place.end]
        return
    draw = random.Random(1)
    for number in range(200):
        url = f"https://site{number}.org/"
        body = json.dumps([draw.random() for _ in range(_PAGE_BYTES // 10)])
        http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>{body}</p>".encode()
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nContent-Type: application/http\r\n"
        yield url, gzip.compress(f"{head}Content-Length: {len(http)}\r\n\r\n".encode() + http + b"\r\n\r\n")


class _Ranges(SimpleHTTPRequestHandler):
    """Sends files, or the range that is asked for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        total = path.stat().st_size
        first, last = 0, total - 1
        if wanted := self.headers.get("Range"):
            first, last = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
            last = min(last, total - 1)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
        self.send_header("ETag", '"1"')
        self.end_headers()
        with path.open("rb") as file:
            os.sendfile(self.connection.fileno(), file.fileno(), first, last - first + 1)


def serve(folder: Path, port: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Ranges, directory=str(folder)))
    port.send(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
