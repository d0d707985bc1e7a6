"""The openings of pieces of a crawl file are those of the whole file, whatever lies at a cut."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from crawl import Crawl, article

from cleaners.crawl import warc
from cleaners.crawl.openings import crawl_extent, read_crawl_openings
from cleaners.crawl.records import next_record, read_records
from cleaners.crawl.warc import WarcReader
from shards.storage import InputFile
from shards.unit_starts import UnitStarts, tile

RECORDS = 3  # of a unit


def written(path: Path, data: bytes) -> InputFile:
    path.write_bytes(data)
    return InputFile(str(path), path.name, len(data))


def crawl(gzipped: bool, *payloads: bytes) -> bytes:
    """A file of small records of many types, with `payloads` among them."""
    made = Crawl(gzip=gzipped).other("warcinfo")
    for i in range(24):
        made.other("request").page(f"https://example.org/{i}", article(f"Page {i}")).other("metadata")
        if i % 6 == 2:
            for payload in payloads:
                made.page(f"https://example.org/{i}.bin", payload, content_type="application/octet-stream")
    return made.data


def chained(file: InputFile, kind: str = "warc") -> list[int]:
    """The starts of the units after the first, as readers give them one after the other."""
    starts, start = [], 0
    while True:
        reader = WarcReader("web", file, start, kind)
        for _ in reader.rows():
            pass
        if reader.next_start is None:
            return starts
        start = reader.next_start
        starts.append(start)


def scanned(file: InputFile, size: int) -> tuple[list[int], int]:
    """(the same of a file cut into pieces of `size`, read in a random order; pieces that were read again)."""
    todo = tile(0, file.num_bytes, size)
    starts, num_again = UnitStarts(todo, warc.is_full), 0
    random.Random(size).shuffle(todo)
    while todo:
        piece = todo.pop()
        again = starts.take(piece.number, read_crawl_openings(file, piece, lambda: None))
        num_again += len(again)
        todo += again
    return starts.found, num_again


def broken(data: bytes) -> bytes:
    """A quarter of the file is overwritten in its middle, its end is cut, and bytes lie between records."""
    half = len(data) // 2
    return data[:half] + b"no record" * (len(data) // 40) + data[half + len(data) // 4 : -7]


def with_junk_between(data: bytes) -> bytes:
    """Bytes that are no member after each tenth one."""
    members = data.split(b"\x1f\x8b\x08")
    return b"".join(m + b"junk" * (i % 10 == 9) + b"\x1f\x8b\x08" for i, m in enumerate(members[:-1])) + members[-1]


def in_stored_members(data: bytes, folder: Path) -> bytes:
    """The records of a plain file as gzip members that hold them byte for byte."""
    file = written(folder / "plain.warc", data)
    parts = [data[r.offset : r.offset + r.length] for r in read_records(file, 0, lambda *_: None)]
    return b"".join(gzip.compress(part, 0) for part in parts)


NOISE = random.Random(3).randbytes(3000)
INNER = crawl(gzipped=False)
FILES: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: crawl(True),
    "plain": lambda: crawl(False),
    "gzip, broken": lambda: broken(crawl(True)),
    "plain, broken": lambda: broken(crawl(False)),
    "gzip, junk between members": lambda: with_junk_between(crawl(True)),
    "gzip, a payload with the magic of gzip": lambda: crawl(True, NOISE + b"\x1f\x8b\x08\0" + NOISE),
    "plain, a payload that is a crawl file": lambda: crawl(False, INNER),
    "plain, a payload that is a compressed crawl file": lambda: crawl(False, crawl(True)),
    "gzip, a record longer than many pieces": lambda: crawl(True, random.Random(4).randbytes(100_000)),
    "plain, blank lines before the first record": lambda: b"\r\n\r\n" + crawl(False),
}


@pytest.mark.parametrize("name", FILES)
def test_units_begin_where_they_do_in_a_chain(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warc, "UNIT_RECORDS", RECORDS)
    file = written(tmp_path / "a.warc", FILES[name]())
    wanted = chained(file)
    assert len(wanted) > 8
    for size in (97, 1_009, 10_007, file.num_bytes // 3):
        assert scanned(file, size)[0] == wanted, size


def test_units_end_at_their_bytes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warc, "UNIT_BYTES", 5_000)
    file = written(tmp_path / "a.warc.gz", crawl(True))
    wanted = chained(file)
    assert len(wanted) > 2
    assert scanned(file, 2_000)[0] == wanted


@pytest.mark.parametrize("gzipped", [True, False])
def test_a_cut_within_a_payload_that_is_a_crawl_file_is_noticed(
    tmp_path: Path, gzipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warc, "UNIT_RECORDS", RECORDS)
    data = crawl(False, crawl(gzipped))
    file = written(tmp_path / "a.warc", in_stored_members(data, tmp_path) if gzipped else data)
    true = {record.offset for record in read_records(file, 0, lambda *_: None)}
    assert {next_record(file, cut, cut + 1_000) for cut in range(0, file.num_bytes, 1_000)} - {None} - true
    starts, num_again = scanned(file, 1_000)
    assert starts == chained(file)
    assert num_again > 0


def test_arc_files_are_scanned_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warc, "UNIT_RECORDS", RECORDS)
    lines = [b"filedesc://a.arc 0.0.0.0 20080101000000 text/plain 6\n1 0 IA\n\n"]
    for i in range(40):
        content = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + article(f"Page {i}").encode()
        head = f"http://example.org/{i} 192.0.2.1 20080101000000 text/html {len(content)}\n"
        lines.append(head.encode() + content + b"\n")
    for name, data in (("a.arc", b"".join(lines)), ("b.arc.gz", b"".join(map(gzip.compress, lines)))):
        file = written(tmp_path / name, data)
        wanted = chained(file)
        assert len(wanted) > 10
        assert crawl_extent(file, 0, "warc") == file.num_bytes
        for size in (500, 5_000):
            assert scanned(file, size)[0] == wanted, (name, size)


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [
        (crawl(True), "warc", True),
        (crawl(False), "warc", True),
        (crawl(True), "wet", False),
        (gzip.compress(crawl(False)), "warc", False),
        (zstandard.compress(crawl(False)), "warc", False),
        (Crawl().other("warcinfo").other("request").data, "warc", False),
        (b"no crawl file", "warc", False),
        (b"", "warc", False),
    ],
    ids=["gzip", "plain", "another kind", "gzip as a whole", "zstd", "no document", "another format", "empty"],
)
def test_a_file_can_be_entered_where_documents_are_records_by_themselves(
    tmp_path: Path, data: bytes, kind: str, expected: bool
) -> None:
    assert (crawl_extent(written(tmp_path / "a.warc.gz", data), 0, kind) > 0) is expected


def test_the_search_for_a_record_ends_with_its_piece(tmp_path: Path) -> None:
    plain, packed = crawl(False), crawl(True)
    for data in (plain + b"-" * 5_000_000 + plain, packed + b"-" * 5_000_000 + packed):
        file = written(tmp_path / "a.warc", data)
        end = len(data) // 2
        assert next_record(file, 60_000, 1_000_000) is None
        assert (next_record(file, end) or 0) > 5_000_000
        piece = tile(0, file.num_bytes, 1_000_000)[1]
        assert read_crawl_openings(file, piece, lambda: None).offsets.tolist() == []
