"""Each rule with a record just inside and one just outside its limit."""

from typing import Any

import pyarrow as pa
import pytest
from stage_cases import reasons

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


def test_a_revisit_is_dropped_for_nothing_else() -> None:
    assert reasons_of(record_type="revisit", payload=b"", content_type="image/png") == ["revisit"]


def test_a_row_that_brings_its_text_passes() -> None:
    batch = pa.record_batch({"text": pa.array(["x"], pa.large_string())})
    assert reasons(PageConfig(), batch) == [[]]
    assert set(PageConfig().build()(batch).schema.names) == {"text", *PageConfig().columns().names}
