"""Every record of every file is a row, counted by type, or reported as damage with its offset."""

import gzip
import re
from collections import Counter
from pathlib import Path

import pytest
from crawl import Crawl, article
from warcio.archiveiterator import ArchiveIterator

from cleaners.crawl import bodies, warc
from cleaners.crawl.warc import WarcReader
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
def test_rows_have_the_offset_and_length_of_their_record(tmp_path: Path, gzipped: bool) -> None:
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
def test_reading_goes_on_after_damage(tmp_path: Path, gzipped: bool) -> None:
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
        (b"<html>no archive</html>", "not a WARC file"),
        (gzip.compress(b"<html>no archive</html>", mtime=0), "not a WARC file"),
        (b"\x1f\x8b", "middle of a gzip member"),
        (b"\r\n\r\n", "holds no record"),
    ],
)
def test_what_is_no_warc_is_said_in_one_place(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(data)
    rows, reader = read(path)
    assert rows == []
    (damage,) = reader.damage
    assert says in damage.cause


def plain_record(i: int, *, length: int | str | None = None, newline: bytes = b"\r\n", body: bytes = b"") -> bytes:
    body = body or f"<html><p>Record {i}</p></html>".encode()
    lines = [
        b"WARC/1.0",
        b"WARC-Type: resource",
        b"Content-Type: text/html",
        f"WARC-Target-URI: https://a.example/{i}".encode(),
    ]
    if length != "":
        lines.append(f"Content-Length: {len(body) if length is None else length}".encode())
    return newline.join([*lines, b"", body, b"", b""])


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize(
    "length",
    ["", "400000000000", str(2**63), "9" * 20, "9" * 5000, "²", "-5", "abc", "50000"],
    ids=lambda v: f"{v[:6]}~{len(v)}",
)
def test_a_wrong_length_costs_its_own_record_and_no_other(tmp_path: Path, gzipped: bool, length: str) -> None:
    records = [plain_record(i, length=length if i == 2 else None) for i in range(6)]
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(gzip.compress(r, mtime=0) if gzipped else r for r in records))
    rows, reader = read(path)
    assert [row["url"] for row in rows] == [f"https://a.example/{i}" for i in (0, 1, 3, 4, 5)]
    assert [d.offset for d in reader.damage] == [
        sum(len(gzip.compress(r, mtime=0) if gzipped else r) for r in records[:2])
    ]


def test_a_record_longer_than_declared_is_kept_to_that_length_and_its_rest_is_damage(tmp_path: Path) -> None:
    records = [gzip.compress(plain_record(i, length=20 if i == 2 else None), mtime=0) for i in range(5)]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(records))
    rows, reader = read(path)
    assert [row["url"] for row in rows] == [f"https://a.example/{i}" for i in range(5)]
    assert [d.offset for d in reader.damage] == [len(b"".join(records[:2]))]


def test_damage_in_the_first_member_does_not_cost_the_file(tmp_path: Path) -> None:
    data = bytearray(small_crawl().data)
    data[40] ^= 0xFF
    path = tmp_path / "a.warc.gz"
    path.write_bytes(bytes(data))
    rows, reader = read(path)
    assert len(rows) == 6
    assert [d.offset for d in reader.damage] == [0]


def test_headers_that_end_with_line_feeds_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(plain_record(i, newline=b"\n" if i == 1 else b"\r\n") for i in range(4)))
    rows, reader = read(path)
    assert [row["url"] for row in rows] == [f"https://a.example/{i}" for i in range(4)]
    assert reader.damage == []


def test_several_records_in_a_member_share_its_offset_and_are_not_cut_into_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.warc.gz"
    members = [gzip.compress(plain_record(2 * i) + plain_record(2 * i + 1), mtime=0) for i in range(4)]
    path.write_bytes(b"".join(members))
    whole, _ = read(path)
    assert [row["url"] for row in whole] == [f"https://a.example/{i}" for i in range(8)]
    assert [row["warc_offset"] for row in whole] == [len(b"".join(members[: i // 2])) for i in range(8)]
    assert {row["warc_length"] for row in whole} == {-1}
    monkeypatch.setattr(warc, "UNIT_RECORDS", 3)
    first, reader = read(path)
    assert (len(first), reader.next_start) == (4, len(b"".join(members[:2])))
    assert first + read(path, reader.next_start)[0] == whole


def test_a_compressed_body_is_inflated_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY", 1 << 20)
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(
        bytes(50 << 20)
    )
    record = plain_record(0, body=body).replace(b"resource", b"response").replace(b"text/html", b"application/http", 1)
    path = tmp_path / "a.warc"
    path.write_bytes(record)
    ((row,), reader) = read(path)
    payload = row["payload"]
    assert isinstance(payload, bytes)
    assert 1 << 20 < len(payload) < 2 << 20
    assert reader.stats["bodies/cut"] == 1


@pytest.mark.parametrize("gzipped", [True, False])
def test_mutated_files_never_crash_and_every_lost_record_is_reported(tmp_path: Path, gzipped: bool) -> None:
    """Random bytes are flipped, removed or added. Unreadable bytes are reported; every untouched member is read.

    A plain file that no longer begins with a record is refused.
    """
    import random

    records = [plain_record(i, body=b"<p>" + bytes([97 + i]) * 400 + b"</p>") for i in range(12)]
    parts = [gzip.compress(r, mtime=0) if gzipped else r for r in records]
    path = tmp_path / "a.warc"
    for seed in range(150):
        draw = random.Random(seed)
        hit = draw.randrange(12)
        part = bytearray(parts[hit])
        match draw.randrange(4):
            case 0:
                part[draw.randrange(len(part))] ^= 1 << draw.randrange(8)
            case 1:
                at = draw.randrange(len(part))
                del part[at : at + draw.randrange(1, 40)]
            case 2:
                at = draw.randrange(len(part))
                part[at:at] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 40)))
            case _:
                part = part[: draw.randrange(len(part))]
        path.write_bytes(b"".join([*parts[:hit], bytes(part), *parts[hit + 1 :]]))
        rows, reader = read(path)
        urls = [row["url"] for row in rows]
        if not gzipped and hit == 0 and part and not re.match(rb"WARC/1\.0\r?\n", part):
            assert rows == []
            assert [d.cause for d in reader.damage] == [
                "not a WARC file: it does not begin with a record; fetch it again, or leave it out"
            ]
            continue
        untouched = [f"https://a.example/{i}" for i in range(12) if i != hit]
        swallowed = set() if gzipped else {f"https://a.example/{hit + 1}"}  # a plain length may reach into the next
        assert set(untouched) - set(urls) <= swallowed, seed
        assert len(urls) + reader.stats["records/unknown"] + len(reader.damage) + (len(part) == 0) >= 12 - len(
            swallowed
        ), seed


def test_ids_come_from_the_record_id_or_else_from_what_is_stored(tmp_path: Path) -> None:
    named = Crawl().page("https://a.org/", "<p>x</p>", record_id="<urn:uuid:1>").page("https://b.org/", "<p>y</p>")
    rows, _ = read(named.write(tmp_path / "a.warc.gz"))
    again, _ = read(Crawl().page("https://c.org/", "z", record_id="<urn:uuid:1>").write(tmp_path / "b.warc.gz"))
    assert rows[0]["id"] == again[0]["id"] != rows[1]["id"]
    assert all(len(str(row["id"])) == 32 for row in rows)


def conversion(i: int, content_type: str = "text/plain", body: bytes = b"The text of a page.") -> bytes:
    record = plain_record(i, body=body).replace(b"resource", b"conversion")
    return record.replace(b"Content-Type: text/html", f"Content-Type: {content_type}".encode())


def read_kind(path: Path, kind: str, *records: bytes) -> tuple[list[dict[str, object]], WarcReader]:
    path.write_bytes(b"".join(records))
    reader = WarcReader("web", InputFile(str(path), path.name, path.stat().st_size), 0, kind)
    return [row for batch in reader for row in batch.to_pylist()], reader


WARCINFO = plain_record(99).replace(b"resource", b"warcinfo")
REQUEST = plain_record(98).replace(b"resource", b"request")
WAT = (
    plain_record(97, body=b'{"Container":{}}')
    .replace(b"resource", b"metadata")
    .replace(b"text/html", b"application/json")
)
ARC = b"http://a.example/ 1.2.3.4 20010101000000 text/html 4\n<p>x\n"


@pytest.mark.parametrize(
    ("kind", "records", "says"),
    [
        ("wet", [WARCINFO, REQUEST, plain_record(0), plain_record(1)], 'set kind = "warc"'),
        ("wet", [plain_record(0).replace(b"resource", b"revisit")], 'set kind = "warc"'),
        ("wet", [ARC], 'set kind = "warc"'),
        ("wet", [WARCINFO, WAT, WAT], "holds metadata (WAT)"),
        ("warc", [WARCINFO, WAT, WAT], "holds metadata (WAT)"),
        ("warc", [WARCINFO, conversion(0), conversion(1)], 'set kind = "wet"'),
        ("warc", [b'{"text": "WARC/1.0"}\n'], 'JSON lines, which have kind = "jsonl"'),
        ("wet", [b'{"text": "WARC/1.0"}\n'], 'JSON lines, which have kind = "jsonl"'),
    ],
)
def test_a_file_of_another_kind_is_read_no_further_and_named_in_one_line(
    tmp_path: Path, kind: str, records: list[bytes], says: str
) -> None:
    rows, reader = read_kind(tmp_path / "a.warc", kind, *records)
    assert rows == []
    (damage,) = reader.damage
    assert says in damage.cause


def test_pages_among_texts_are_counted(tmp_path: Path) -> None:
    rows, reader = read_kind(tmp_path / "a.wet", "wet", conversion(0), plain_record(1), conversion(2))
    assert [row["url"] for row in rows] == ["https://a.example/0", "https://a.example/2"]
    assert reader.damage == []
    assert reader.stats.to_json() == {"records/resource": 1}
    rows, reader = read_kind(tmp_path / "a.warc", "warc", plain_record(0), conversion(1))
    assert [row["url"] for row in rows] == ["https://a.example/0"]
    assert reader.stats.to_json() == {"records/conversion": 1}


def test_requests_and_metadata_alone_are_no_damage(tmp_path: Path) -> None:
    rows, reader = read_kind(tmp_path / "a-meta.warc", "warc", WARCINFO, REQUEST)
    assert (rows, reader.damage) == ([], [])


@pytest.mark.parametrize("content_type", ["image/png", "application/pdf", "text/html; charset=utf-8", "TEXT/HTML"])
def test_a_conversion_record_that_is_no_plain_text_is_no_text(tmp_path: Path, content_type: str) -> None:
    rows, reader = read_kind(tmp_path / "a.wet", "wet", conversion(1, content_type, b"\x89PNG"), conversion(0))
    assert [row["text"] for row in rows] == ["The text of a page."]
    assert reader.stats.to_json() == {"records/conversion": 1}
    rows, _ = read_kind(tmp_path / "a.warc", "warc", plain_record(0), conversion(1, content_type, b"<p>x"))
    assert [(row["text"], row["payload"]) for row in rows][1] == (None, b"<p>x")
    assert rows[1]["content_type"] == content_type.partition(";")[0].lower()


@pytest.mark.parametrize("content_type", ["text/plain", "Text/Plain; charset=utf-8", ""])
def test_a_conversion_record_of_plain_text_is_a_text(tmp_path: Path, content_type: str) -> None:
    rows, _ = read_kind(tmp_path / "a.wet", "wet", conversion(0, content_type))
    assert [(row["text"], row["payload"]) for row in rows] == [("The text of a page.", None)]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", "Мельница у реки"),
        ("text/plain; charset=windows-1251", "Мельница у реки".encode("cp1251")),
        ("text/plain; charset=utf-16le", "Мельница у реки".encode("utf-16-le")),
        ("text/plain", "Мельница у реки".encode("utf-16")),
        ("text/plain; charset=utf-8", "Мельница\0 у реки\0".encode()),
    ],
)
def test_the_text_of_a_conversion_record_is_in_the_charset_that_it_has(
    tmp_path: Path, content_type: str, body: bytes | str
) -> None:
    data = body if isinstance(body, bytes) else body.encode()
    rows, _ = read_kind(tmp_path / "a.wet", "wet", conversion(0, content_type, data))
    assert [row["text"] for row in rows] == ["Мельница у реки"]


@pytest.mark.real
def test_every_record_of_other_projects_files_is_accounted_for(real_data: Path) -> None:
    """170 files of other test suites: each record that warcio reads whole is read here, too, or reported as damage."""
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
        assert reader.stats["records/damaged"] == sum(damage.places for damage in reader.damage)
        if path.name in ("example-wrong-chunks.warc.gz", "IAH-20080430204825-00000-blackbook-truncated.arc"):
            continue  # bytes, or no line end, follow a record: warcio gives up, we have all records
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
            documents -= reader.stats["records/conversion"]  # texts among pages
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
