"""zstd and lz4 files are one unit of all their records, whatever frames are before, between and after them."""

import io
from pathlib import Path

import pytest
import zstandard
from crawl import Crawl, article
from fastwarc.stream_io import Lz4Writer

from cleaners.crawl.records import next_record
from cleaners.crawl.warc import WarcReader
from shards.storage import InputFile

RECORDS = [Crawl(gzip=False).page(f"https://a.example/{i}", article(f"Page {i}")).data for i in range(3)]
# Bytes as a dictionary has them: lines that begin records are not searched for in it.
LOOKS_LIKE_RECORDS = b"\n" + RECORDS[0]


def zstd(data: bytes) -> bytes:
    return zstandard.compress(data)


def lz4(data: bytes) -> bytes:
    target = io.BytesIO()
    writer = Lz4Writer(target)
    writer.write(data)
    writer.close()
    return target.getvalue()


def skippable(content: bytes, kind: int = 0) -> bytes:
    return (0x184D2A50 + kind).to_bytes(4, "little") + len(content).to_bytes(4, "little") + content


def read(path: Path, data: bytes) -> tuple[list[str], list[tuple[int, str]]]:
    """(addresses, damage)"""
    path.write_bytes(data)
    reader = WarcReader("web", InputFile(str(path), path.name, len(data)), 0)
    urls = [row["url"] for row in reader.rows()]
    return urls, [(damage.offset, damage.cause) for damage in reader.damage]


@pytest.mark.parametrize("compress", [zstd, lz4])
def test_skippable_frames_are_passed_over(tmp_path: Path, compress: object) -> None:
    parts = [compress(record) for record in RECORDS]  # type: ignore[operator]
    first = skippable(LOOKS_LIKE_RECORDS)
    for data in (
        b"".join(parts),
        compress(b"".join(RECORDS)),  # type: ignore[operator]
        first + b"".join(parts),
        skippable(b"") + first + parts[0] + skippable(b"y" * 70_000, 3) + parts[1] + parts[2] + skippable(b"index", 14),
    ):
        found, damage = read(tmp_path / "a.warc.zst", data)
        assert found == [f"https://a.example/{i}" for i in range(3)]
        assert damage == []


@pytest.mark.parametrize("compress", [zstd, lz4])
def test_a_cut_frame_is_said_and_the_records_before_it_are_read(tmp_path: Path, compress: object) -> None:
    data = b"".join(compress(record) for record in RECORDS)  # type: ignore[operator]
    for cut in (1, 5, 60):
        found, ((offset, cause),) = read(tmp_path / "a.warc.zst", data[:-cut])
        assert found[:2] == ["https://a.example/0", "https://a.example/1"]
        assert offset == 0
        assert "ends in the middle of a" in cause


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (skippable(LOOKS_LIKE_RECORDS), "does not begin with a record"),
        (skippable(LOOKS_LIKE_RECORDS, 13) + b"and more", "does not begin with a record"),
        (zstd(b"<html>" + LOOKS_LIKE_RECORDS), "does not begin with a record"),
        (lz4(b"{}" + LOOKS_LIKE_RECORDS), 'JSON lines, which have kind = "jsonl"'),
        (zstd(RECORDS[0])[:10], "ends in the middle"),
        (b"\xfd7zXZ\0" + LOOKS_LIKE_RECORDS, "xz; inflate it with unxz"),
        (b"BZh9" + LOOKS_LIKE_RECORDS, "bzip2"),
        (b"<html>\n" + LOOKS_LIKE_RECORDS, "does not begin with a record"),
    ],
)
def test_bytes_of_another_format_give_one_line_and_no_document(tmp_path: Path, data: bytes, says: str) -> None:
    found, ((offset, cause),) = read(tmp_path / "a.warc.zst", data)
    assert (found, offset) == ([], 0)
    assert says in cause


def test_a_file_of_frames_is_entered_at_its_beginning_only(tmp_path: Path) -> None:
    data = skippable(LOOKS_LIKE_RECORDS) + zstd(b"".join(RECORDS))
    (tmp_path / "a.warc.zst").write_bytes(data)
    file = InputFile(str(tmp_path / "a.warc.zst"), "a.warc.zst", len(data))
    assert [next_record(file, offset) for offset in (0, 1, len(data) - 1)] == [0, None, None]
