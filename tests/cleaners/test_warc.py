"""Every record of every file is a row, counted by type, or named as damaged with its offset."""

import gzip
from collections import Counter
from pathlib import Path

import pytest
from crawl import Crawl, article
from warcio.archiveiterator import ArchiveIterator

from cleaners import warc
from cleaners.warc import WarcReader
from shards.storage import InputFile, find_inputs


def read(path: Path, start: int = 0) -> tuple[list[dict[str, object]], WarcReader]:
    reader = WarcReader("web", InputFile(str(path), path.name, path.stat().st_size), start)
    return [row for batch in reader for row in batch.to_pylist()], reader


def small_crawl(gzip: bool = True) -> Crawl:
    crawl = Crawl(gzip=gzip).other("warcinfo")
    for i in range(6):
        crawl.other("request").page(f"https://example.org/{i}", article(f"Page {i}")).other("metadata")
    return crawl


@pytest.mark.parametrize("gzipped", [True, False])
def test_rows_say_where_their_record_lies(tmp_path: Path, gzipped: bool) -> None:
    path = small_crawl(gzipped).write(tmp_path / "a.warc.gz")
    rows, reader = read(path)
    assert [row["url"] for row in rows] == [f"https://example.org/{i}" for i in range(6)]
    assert reader.stats.to_json() == {"records/metadata": 6, "records/request": 6, "records/warcinfo": 1}
    assert reader.damage == []
    assert reader.next_start is None
    data = path.read_bytes()
    for row in rows:
        offset, length = row["warc_offset"], row["warc_length"]
        assert isinstance(offset, int)
        assert isinstance(length, int)
        record = data[offset : offset + length]
        record = gzip.decompress(record) if gzipped else record
        assert record.startswith(b"WARC/1.0\r\n")
        assert f"WARC-Target-URI: {row['url']}".encode() in record
        assert record.endswith(b"</html>\r\n\r\n")
        assert (row["http_status"], row["content_type"], row["http_charset"]) == (200, "text/html", "utf-8")


@pytest.mark.parametrize("gzipped", [True, False])
def test_units_tile_the_file(tmp_path: Path, gzipped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_crawl(gzipped).write(tmp_path / "a.warc")
    whole, _ = read(path)
    monkeypatch.setattr(warc, "UNIT_RECORDS", 4)
    rows, records, starts = [], Counter[str](), [0]
    while starts[-1] is not None:
        part, reader = read(path, starts[-1])
        rows += part
        records.update(reader.stats.to_json())
        starts.append(reader.next_start)  # type: ignore[arg-type]
    assert len(starts) == 6
    assert rows == whole
    assert sum(records.values()) == 13


def test_batches_do_not_depend_on_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_crawl().write(tmp_path / "a.warc.gz")
    whole, _ = read(path)
    monkeypatch.setattr(warc, "BATCH_ROWS", 2)
    assert read(path)[0] == whole


def test_one_gzip_member_for_all_records_is_one_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gzip.compress(small_crawl(gzip=False).data))
    monkeypatch.setattr(warc, "UNIT_RECORDS", 4)
    rows, reader = read(path)
    assert len(rows) == 6
    assert reader.next_start is None
    assert {(row["warc_offset"], row["warc_length"]) for row in rows} == {(0, -1)}


def test_every_cut_of_a_gzip_file_is_noticed(tmp_path: Path) -> None:
    data = small_crawl().data
    path = tmp_path / "cut.warc.gz"
    starts = [r.stream_pos for r in _records(data)]
    last = starts[-1]
    for cut in (*range(last - 5, last), *range(last + 1, len(data), 7), len(data) - 1):
        path.write_bytes(data[:cut])
        found, reader = read(path)
        assert len(found) in (5, 6)
        (damage,) = reader.damage
        assert damage.offset == max(s for s in starts if s < cut), (cut, damage)


def _records(data: bytes) -> list[object]:
    import io

    from fastwarc.warc import ArchiveIterator as Fast

    return list(Fast(io.BytesIO(data), parse_http=False))


@pytest.mark.parametrize("gzipped", [True, False])
def test_reading_goes_on_behind_damage(tmp_path: Path, gzipped: bool) -> None:
    crawl = small_crawl(gzipped)
    whole, _ = read(crawl.write(tmp_path / "whole.warc"))
    at, length = whole[2]["warc_offset"], whole[2]["warc_length"]
    assert isinstance(at, int)
    assert isinstance(length, int)
    data = bytearray(crawl.data)
    middle = at + length // 2 if gzipped else at + 5
    data[middle : middle + 20] = b"\xff" * 20
    path = tmp_path / "damaged.warc"
    path.write_bytes(bytes(data))
    rows, reader = read(path)
    assert [row["url"] for row in rows] == [f"https://example.org/{i}" for i in (0, 1, 3, 4, 5)]
    assert [d.offset for d in reader.damage] == [at]
    assert [row["warc_offset"] for row in rows] == [row["warc_offset"] for row in whole if row["warc_offset"] != at]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "an empty file"),
        (b"filedesc://x.arc 0.0.0.0 20080430204825 text/plain 76\n", "an ARC file"),
        (b"<html>no archive</html>", "not a WARC file"),
        (gzip.compress(b"<html>no archive</html>", mtime=0), "not a WARC file"),
        (b"\x1f\x8b", "not a WARC file"),
    ],
)
def test_what_is_no_warc_is_said_in_one_place(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(data)
    rows, reader = read(path)
    assert rows == []
    (damage,) = reader.damage
    assert says in damage.cause


def test_ids_come_from_the_record_id_or_else_from_what_is_stored(tmp_path: Path) -> None:
    named = Crawl().page("https://a.org/", "<p>x</p>", record_id="<urn:uuid:1>").page("https://b.org/", "<p>y</p>")
    rows, _ = read(named.write(tmp_path / "a.warc.gz"))
    again, _ = read(Crawl().page("https://c.org/", "z", record_id="<urn:uuid:1>").write(tmp_path / "b.warc.gz"))
    assert rows[0]["id"] == again[0]["id"] != rows[1]["id"]
    assert all(len(str(row["id"])) == 32 for row in rows)


@pytest.mark.real
def test_every_record_of_other_projects_files_is_accounted_for(real_data: Path) -> None:
    """170 files of other test suites: what warcio reads as whole records, we read too, or name the place."""
    paths = [
        p
        for p in sorted((real_data / "warc").glob("*/*"))
        if p.name.endswith((".warc", ".warc.gz", ".wet", ".wet.gz", ".arc", ".arc.gz"))
    ]
    assert len(paths) > 100
    seen_rows = 0
    for path in paths:
        rows, reader = read(path)
        seen_rows += len(rows)
        counted = sum(reader.stats.below("records").values())
        assert counted + len(rows) > 0, path
        assert reader.stats["records/damaged"] == len(reader.damage)
        if path.name == "example-wrong-chunks.warc.gz":
            continue  # bytes follow a record inside its gzip member: warcio gives up, we have both records
        try:
            with path.open("rb") as stream:
                types = Counter(record.rec_type for record in ArchiveIterator(stream, no_record_parse=True))
        except Exception as error:  # noqa: BLE001
            gave_up = str(error)
        else:
            gave_up = ""
        if gave_up:  # we name the damage, or read on where a file is merely not compressed record by record
            assert reader.damage or "non-chunked gzip" in gave_up, path
            continue
        if not reader.damage:
            documents = sum(types[t] for t in ("response", "resource", "conversion", "revisit"))
            assert len(rows) == documents, path
            assert counted == sum(types.values()) - documents, path
    assert seen_rows > 800


@pytest.mark.real
def test_the_real_crawl_is_3013_pages_and_8_warcinfo_records(real_data: Path) -> None:
    rows, records = 0, Counter[str]()
    for file in find_inputs([str(real_data / "crawl")], (".warc.gz",), "x"):
        reader = WarcReader("web", file, 0)
        rows += sum(batch.num_rows for batch in reader)
        records.update(reader.stats.to_json())
        assert reader.damage == []
    assert rows == 3013
    assert records == {"records/warcinfo": 8}
