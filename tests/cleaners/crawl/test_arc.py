"""ARC files give the rows that a WARC of the same crawl gives."""

import gzip
from pathlib import Path

import pytest

from cleaners.crawl import warc
from cleaners.crawl.warc import WarcReader
from shards.storage import InputFile, find_inputs

BLACKBOOK = "webarchive-discovery/IAH-20080430204825-00000-blackbook-truncated"
DESCRIPTION = b"1 0 Mill\nURL IP-address Archive-date Content-type Archive-length\n"


def arc_record(url: str, content: bytes, *, length: int | str | None = None, version: int = 1) -> bytes:
    more = " 200 fac069150613fe55599cc7fa88aa089d - 209 IA-001102.arc" if version == 2 else ""
    line = f"{url} 192.0.2.1 20080430204825 text/html{more} {len(content) if length is None else length}\n"
    return line.encode() + content + b"\n"


def page(i: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><p>Record %d</p></html>" % i


def small_arc(**settings: int) -> list[bytes]:
    """A description and six pages."""
    description = b"filedesc://mill.arc 0.0.0.0 20080430204825 text/plain %d\n%s\n" % (len(DESCRIPTION), DESCRIPTION)
    return [description, *(arc_record(f"http://a.example/{i}", page(i), **settings) for i in range(6))]  # type: ignore[arg-type]


def write(path: Path, records: list[bytes], gzipped: bool = False) -> Path:
    path.write_bytes(b"".join(gzip.compress(r, mtime=0) if gzipped else r for r in records))
    return path


def as_input(path: Path) -> InputFile:
    return InputFile(str(path), path.name, path.stat().st_size)


def read(path: Path, start: int = 0) -> tuple[list[dict[str, object]], WarcReader]:
    reader = WarcReader("web", as_input(path), start)
    return [row for batch in reader for row in batch.to_pylist()], reader


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("version", [1, 2])
def test_rows_have_the_offset_and_length_of_their_record(tmp_path: Path, gzipped: bool, version: int) -> None:
    path = write(tmp_path / "a.arc", small_arc(version=version), gzipped)
    rows, reader = read(path)
    assert [row["url"] for row in rows] == [f"http://a.example/{i}" for i in range(6)]
    assert [row["payload"] for row in rows] == [b"<html><p>Record %d</p></html>" % i for i in range(6)]
    assert {(row["date"], row["record_type"]) for row in rows} == {("2008-04-30T20:48:25Z", "response")}
    assert {(row["http_status"], row["content_type"], row["http_charset"]) for row in rows} == {
        (200, "text/html", "utf-8")
    }
    assert reader.stats.to_json() == {"records/filedesc": 1}
    assert reader.damage == []
    for row in rows:
        offset, length = row["warc_offset"], row["warc_length"]
        assert isinstance(offset, int)
        assert isinstance(length, int)
        stored = path.read_bytes()[offset : offset + length]
        stored = gzip.decompress(stored) if gzipped else stored
        assert stored.startswith(f"{row['url']} 192.0.2.1 ".encode())
        assert stored.endswith(b"</html>\n")
        assert read(path, offset)[0][0] == row


@pytest.mark.parametrize("gzipped", [True, False])
def test_units_tile_the_file(tmp_path: Path, gzipped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.arc", small_arc(), gzipped)
    whole, _ = read(path)
    monkeypatch.setattr(warc, "UNIT_RECORDS", 2)
    rows, starts = [], [0]
    while starts[-1] is not None:
        part, reader = read(path, starts[-1])
        rows += part
        starts.append(reader.next_start)  # type: ignore[arg-type]
    assert len(starts) == 5
    assert rows == whole


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("length", ["-1", "abc", "400000000000", "9" * 19])
def test_a_wrong_length_costs_its_own_record_and_no_other(tmp_path: Path, gzipped: bool, length: str) -> None:
    records = small_arc()
    records[3] = arc_record("http://a.example/2", page(2), length=length)
    rows, reader = read(write(tmp_path / "a.arc", records, gzipped))
    assert [row["url"] for row in rows] == [f"http://a.example/{i}" for i in (0, 1, 3, 4, 5)]
    assert [d.offset for d in reader.damage] == [
        sum(len(gzip.compress(r, mtime=0) if gzipped else r) for r in records[:3])
    ]


def test_a_length_one_too_great_never_costs_a_url_its_first_letter(tmp_path: Path) -> None:
    records = small_arc()
    records[3] = arc_record("http://a.example/2", page(2), length=len(page(2)) + 2)
    rows, reader = read(write(tmp_path / "a.arc", records))
    assert [row["url"] for row in rows] == [f"http://a.example/{i}" for i in (0, 1, 2, 4, 5)]
    assert [d.cause for d in reader.damage] == ["bytes that are no record"]


def test_every_cut_of_a_gzip_file_is_noticed(tmp_path: Path) -> None:
    parts = [gzip.compress(r, mtime=0) for r in small_arc()]
    path = tmp_path / "a.arc.gz"
    last = len(b"".join(parts[:-1]))
    for cut in range(last + 1, last + len(parts[-1])):
        path.write_bytes(b"".join(parts)[:cut])
        rows, reader = read(path)
        assert len(rows) == 5
        assert [d.offset for d in reader.damage] == [last]


def test_damage_in_the_first_member_does_not_cost_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.arc.gz", small_arc(), gzipped=True)
    data = bytearray(path.read_bytes())
    data[12] ^= 0xFF
    path.write_bytes(bytes(data))
    rows, reader = read(path)
    assert len(rows) == 6
    assert [d.offset for d in reader.damage] == [0]


@pytest.mark.parametrize(
    ("line", "url", "date"),
    [
        (
            "http://a.example/a b 1.2.3.4 x 192.0.2.1 20080430204825 text/html",
            "http://a.example/a b 1.2.3.4 x",
            20080430,
        ),
        ("http://a.example/ 2001:db8::1 200804302048 text/html", "http://a.example/", 20080430),
        ("http://a.example/ 0 20080430204825000 text/html; charset=x", "http://a.example/", 20080430),
        ("http://a.example/ 192.0.2.1 20081330204825 no-type", "http://a.example/", None),
    ],
)
def test_heads_as_crawlers_wrote_them(tmp_path: Path, line: str, url: str, date: int | None) -> None:
    record = f"{line} {len(page(0))}\n".encode() + page(0) + b"\n"
    rows, _ = read(write(tmp_path / "a.arc", [small_arc()[0], record]))
    assert [row["url"] for row in rows] == [url]
    assert str(rows[0]["date"]).replace("-", "")[:8] == str(date or "")
    assert rows[0]["payload"] == b"<html><p>Record 0</p></html>"


def test_a_page_without_an_http_head_keeps_all_its_bytes_and_the_type_of_the_line(tmp_path: Path) -> None:
    rows, _ = read(write(tmp_path / "a.arc", [arc_record("http://a.example/", b"<html>\n\n<p>HTTP/0.9</html>")]))
    assert [(row["payload"], row["content_type"], row["http_status"]) for row in rows] == [
        (b"<html>\n\n<p>HTTP/0.9</html>", "text/html", None)
    ]


@pytest.mark.real
@pytest.mark.parametrize(
    ("arc", "other", "number"),
    [
        ("aut/arc__example.arc.gz", "aut/warc__example.warc.gz", 299),
        (f"{BLACKBOOK}.arc", f"{BLACKBOOK}.warc", 8),  # without line ends between records
        (f"{BLACKBOOK}.arc.gz", f"{BLACKBOOK}.warc.gz", 8),
    ],
)
def test_the_arc_and_the_warc_of_one_crawl_give_the_same_documents(
    real_data: Path, arc: str, other: str, number: int
) -> None:
    columns = ("url", "date", "payload", "http_status", "content_type", "http_charset", "record_type")
    found, wanted = (
        [tuple(row[c] for c in columns) for row in read(real_data / "warc" / name)[0]] for name in (arc, other)
    )
    assert len(found) == number
    assert sorted(found, key=str) == sorted(wanted, key=str)


@pytest.mark.real
def test_arc_files_of_a_folder_are_found_and_every_record_is_read_again_at_its_offset(real_data: Path) -> None:
    files = find_inputs([str(real_data / "warc/aut")], (".arc.gz",), "x")
    assert [file.name for file in files] == ["arc__badexample.arc.gz", "arc__example.arc.gz"]
    path = Path(files[1].path)
    for row in read(path)[0][::30]:
        assert read(path, row["warc_offset"])[0][0] == row  # type: ignore[arg-type]
