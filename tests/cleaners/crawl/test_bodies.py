"""Each encoding of a body: whole, cut, and declared for bytes that do not have it."""

import gzip
import zlib
from pathlib import Path

import brotli
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.crawl import bodies
from cleaners.crawl.bodies import undo_encodings
from cleaners.crawl.warc import WarcReader
from shards.storage import InputFile

PAGE = b"<html><p>" + b"".join(b"%d sacks of flour. " % i**3 for i in range(40_000)) + b"</p></html>"


def bare_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


ENCODERS = {
    "gzip": gzip.compress,
    "X-GZIP": gzip.compress,
    "deflate": zlib.compress,
    " deflate ": bare_deflate,
    "br": lambda data: brotli.compress(data, quality=4),
    "zstd": zstd,
}


def chunked(data: bytes, size: int = 4_000) -> bytes:
    parts = (data[i : i + size] for i in range(0, len(data), size))
    return b"".join(b"%x;note\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_whole_body_is_restored(name: str, is_chunked: bool) -> None:
    body = ENCODERS[name](PAGE)
    body, transfer = (chunked(body), "Chunked") if is_chunked else (body, "")
    assert undo_encodings(body, transfer, name) == (PAGE, "whole")


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("is_chunked", [True, False])
def test_the_part_of_a_cut_body_that_inflates_is_kept(name: str, is_chunked: bool) -> None:
    body = ENCODERS[name](PAGE)
    body, transfer = (chunked(body), "chunked") if is_chunked else (body, "")
    found, state = undo_encodings(body[: len(body) * 9 // 10], transfer, name)
    assert state == "cut"
    assert PAGE.startswith(found)
    assert len(found) > len(PAGE) / 2


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("transfer", ["chunked", ""])
def test_a_body_stored_decoded_under_headers_of_an_encoding_stays(name: str, transfer: str) -> None:
    assert undo_encodings(PAGE, transfer, name) == (PAGE, "untrue")
    assert undo_encodings(ENCODERS[name](PAGE), "chunked", name) == (PAGE, "untrue")


def test_encodings_are_undone_from_the_last_to_the_first() -> None:
    assert undo_encodings(brotli.compress(gzip.compress(PAGE), quality=1), "", "gzip, br") == (PAGE, "whole")


@pytest.mark.parametrize("name", ["", "identity", "utf-8", "aes128gcm"])
def test_an_unknown_encoding_leaves_the_body(name: str) -> None:
    assert undo_encodings(PAGE, "", name) == (PAGE, "whole")


def test_text_that_begins_like_a_chunk_is_not_chunked() -> None:
    assert undo_encodings(b"1984\r\n" + b"is a novel by George Orwell. " * 500, "chunked", "")[1] == "untrue"


def test_several_gzip_members_are_one_body_and_zeros_after_them_are_ignored() -> None:
    assert undo_encodings(gzip.compress(b"a") + gzip.compress(b"b") + bytes(9), "", "gzip") == (b"ab", "whole")


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_compressed_body_cut_before_anything_inflates_is_empty(name: str) -> None:
    assert undo_encodings(ENCODERS[name](PAGE)[:12], "", name) == (b"", "cut")


@pytest.mark.parametrize("name", ENCODERS)
def test_inflating_stops_at_a_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY", 1 << 20)
    found, state = undo_encodings(ENCODERS[name](bytes(50 << 20)), "", name)
    assert state == "cut"
    assert 1 << 20 < len(found) < 2 << 20


@given(st.binary(max_size=60), st.sampled_from(["", "chunked"]), st.sampled_from(["", "gzip, br", *ENCODERS]))
def test_hostile_bytes_never_raise(body: bytes, transfer: str, content: str) -> None:
    undo_encodings(body, transfer, content)


@given(st.binary(max_size=2_000), st.integers(1, 50))
def test_chunks_of_any_size_join_to_the_body(body: bytes, size: int) -> None:
    assert undo_encodings(chunked(body, size), "chunked", "") == (body, "whole")


def rows_of(path: Path) -> tuple[list[dict[str, object]], WarcReader]:
    reader = WarcReader("web", InputFile(str(path), path.name, path.stat().st_size), 0)
    return [row for batch in reader for row in batch.to_pylist()], reader


@pytest.mark.real
def test_one_real_page_fetched_as_brotli_as_gzip_and_plain_is_one_page(real_data: Path) -> None:
    folder = real_data / "warc/webarchive-discovery"
    pages = []
    for name in ("brotli", "gzip", "none"):
        rows, reader = rows_of(folder / f"compression__transfer_compression_{name}.warc.gz")
        assert reader.stats["bodies/cut"] == reader.stats["bodies/declared_encoding_untrue"] == 0
        pages.append([row["payload"] for row in rows if row["record_type"] == "response"])
    assert all(b"<html" in page[0].lower() for page in pages)  # type: ignore[attr-defined]
    assert pages[0][0] == pages[1][0] == pages[2][0]


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "number", "cut", "untrue"),
    [
        ("warcio/example-iana.org-chunked.warc", 1, 0, 0),
        ("warcio/example-trunc.warc", 1, 1, 0),  # Content-Encoding: gzip, cut by the crawler
        ("resiliparse/clueweb-quirk.warc.gz", 29, 0, 29),  # heads that end in LF, bodies stored decoded
        ("webarchive-discovery/wikipedia-mona-lisa__flashfrozen-jwat-recompressed.warc.gz", 12, 0, 0),
    ],
)
def test_cut_and_untrue_real_bodies_are_counted(real_data: Path, file: str, number: int, cut: int, untrue: int) -> None:
    rows, reader = rows_of(real_data / "warc" / file)
    assert len(rows) >= number
    assert reader.stats["bodies/cut"] == cut
    assert reader.stats["bodies/declared_encoding_untrue"] == untrue
    for row in rows:
        assert not row["payload"].startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")) or row["content_type"] != "text/html"  # type: ignore[attr-defined]


@pytest.mark.real
def test_real_revisits_name_their_originals(real_data: Path) -> None:
    dupes = [row for row in rows_of(real_data / "warc/pywb/dupes.warc.gz")[0] if row["record_type"] == "revisit"]
    assert {row["refers_to"] for row in dupes} >= {"http://www.iana.org/", "http://example.com"}
    (folder,) = (real_data / "warc/webarchive-discovery").glob("gov.uk-revisit*BL-20140325122341434*")
    by_digest = [row["refers_to"] for row in rows_of(folder)[0] if row["record_type"] == "revisit"]
    assert len(by_digest) > 50
    assert all(str(name).startswith("sha1:") for name in by_digest)


def test_a_brotli_body_cut_before_anything_inflates_is_empty_and_text_stays() -> None:
    packed = brotli.compress(b"<p>The mill stands by the river.</p>" * 200)
    assert undo_encodings(packed[:8], "", "br") == (b"", "cut")
    assert undo_encodings(b"<p>plain</p>", "", "br") == (b"<p>plain</p>", "untrue")
