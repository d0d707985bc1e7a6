"""Each rule with a record just inside and one just outside its limit."""

from typing import Any

import pyarrow as pa
import pytest
from stage_cases import reasons

from cleaners.crawl.media_type import extract
from cleaners.crawl.warc import RECORD
from cleaners.page import PageConfig
from shards.schema import PAYLOAD, TEXT

SCHEMA = pa.schema([TEXT, *PAYLOAD, *RECORD])


def reasons_of(config: PageConfig | None = None, **facts: Any) -> list[str]:
    record = {"payload": b"<p>x", "http_status": 200, "content_type": "text/html", "record_type": "response"} | facts
    return reasons(config or PageConfig(), pa.RecordBatch.from_pylist([record], SCHEMA))[0]


def test_bad_status() -> None:
    assert [status for status in (199, 200, 299, 300) if not reasons_of(http_status=status)] == [200, 299]
    assert reasons_of(http_status=300) == ["bad_status"]
    assert reasons_of(http_status=None) == []


def test_empty_body() -> None:
    assert reasons_of(payload=b"x") == []
    assert reasons_of(payload=b"") == ["empty_body"]


def test_too_large() -> None:
    config = PageConfig(max_bytes=3)
    assert reasons_of(config, payload=b"abc") == []
    assert reasons_of(config, payload=b"abcd") == ["too_large"]


@pytest.mark.parametrize(
    ("content_type", "payload", "is_html"),
    [
        ("text/html", b"no tag", True),
        ("application/xhtml+xml", b"no tag", True),
        (None, b"<!DOCTYPE html>", True),
        (None, b"no tag", False),
        ("text/plain", b"text\n<P class=x>", True),
        ("text/plain", b" " * 1024 + b"<p>", False),  # the first kilobyte decides
        ("application/pdf", b"<p>x", False),
        ("text/xml", b"<?xml version='1.0'?><html>", True),
        ("text/xml", b"<?xml version='1.0'?><rss><title>", False),
        ("text/plain", b"\xef\xbb\xbf<?xml version='1.0'?><rss><title>", False),
    ],
)
def test_not_html(content_type: str | None, payload: bytes, is_html: bool) -> None:
    assert reasons_of(content_type=content_type, payload=payload) == ([] if is_html else ["not_html"])


PAGE = b"<!DOCTYPE html><html><head><title>A page</title></head><body><p>Text</p></body></html>"


@pytest.mark.parametrize(
    ("header", "is_html"),
    [
        ("text/html", True),
        ("TEXT/HTML", True),
        ("Text/Html; Charset=UTF-8", True),
        ("text/html,charset=utf-8", True),
        ("text/html, charset=utf-8", True),
        ("text/html charset=utf-8", True),
        ("text/html:charset=utf-8", True),
        ("text/html; charset", True),
        ("text/html;;charset=utf-8", True),
        ("text/html ;charset=utf-8", True),
        ("text/html, text/html", True),
        ("text/html; charset=utf-8, text/html; charset=gbk", True),
        ("text/plain, text/html", True),
        ("image/png, text/html", True),
        ("text/html, image/png", False),  # the last one counts
        ("text/html;text/plain", True),
        ("text/html, */*", True),
        ('"text/html"', True),
        ("'text/html'", True),
        ("html", True),
        ("text", True),
        ("text/", True),
        ("/html", True),
        ("text\\html", True),
        ("text /html", True),
        ("charset=utf-8", True),
        ("; charset=utf-8", True),
        ("", True),
        (" ", True),
        ("*/*", True),
        ("unknown/unknown", True),
        ("application/unknown", True),
        ("text/plain", True),
        ("text/plain; charset=utf-8", True),
        ("application/octet-stream", True),
        ("application/xhtml+xml", True),
        ("text/xml", True),
        ("application/xml; charset=utf-8", True),
        ("application/json", False),
        ("text/css", False),
        ("text/javascript", False),
        ("image/gif", False),
        ("application/pdf", False),
    ],
)
def test_a_page_under_a_header_as_servers_misspell_it(header: str, is_html: bool) -> None:
    content_type, _ = extract(header)
    assert reasons_of(content_type=content_type, payload=PAGE) == ([] if is_html else ["not_html"])


@pytest.mark.parametrize(
    ("payload", "is_html"),
    [
        (PAGE, True),
        (b"\xef\xbb\xbf \n<HTML>", True),
        (b"<!-- a note --><html>", True),
        (b"<!-- a note, and nothing known", True),
        (b"\n <iframe src=x>", True),
        (b"<font >", True),
        (b"<script>x</script>", True),
        (b"some words first <br> and others", True),
        ("<html><p>текст".encode("utf-16-le"), True),
        ("<html><p>текст".encode("utf-16-be"), True),
        ("<html><p>текст".encode("utf-16"), True),
        (b"<html>\0\1\2", True),  # the pattern comes before the search for binary bytes
        (b"\x1b$B<p>", True),  # ISO-2022-JP
        (b"plain words", False),
        (b"a < b > c", False),
        (b"%PDF-1.4\n\x01\x02 <p>", False),
        (b"GIF89a\x01\0\x01\0 <a >", False),
        (b"\x89PNG\r\n\x1a\n<p>", False),
        (b"<?xml version='1.0'?><rss><title>", False),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", False),
        (b'{"html": "<em>x</em>"}', False),
        (b"", False),
    ],
)
def test_a_page_without_a_media_type_is_sniffed(payload: bytes, is_html: bool) -> None:
    found = reasons_of(content_type=None, payload=payload)
    assert ("not_html" not in found) is is_html


def test_a_revisit_is_dropped_for_nothing_else() -> None:
    assert reasons_of(record_type="revisit", payload=b"", content_type="image/png") == ["revisit"]


def test_a_row_that_brings_its_text_passes() -> None:
    batch = pa.record_batch({"text": pa.array(["x"], pa.large_string())})
    assert reasons(PageConfig(), batch) == [[]]
    assert set(PageConfig().build()(batch).schema.names) == {"text", *PageConfig().columns().names}
