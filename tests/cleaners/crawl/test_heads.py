"""The head of an HTTP message ends where its writer meant it to, whatever its lines end in."""

from pathlib import Path

import pytest

from cleaners.crawl.heads import split
from cleaners.crawl.warc import WarcReader
from shards.storage import InputFile

LINES = [b"HTTP/1.1 404 Gone", b"Content-Type: text/html; charset=koi8-r", b"X-Folded: a", b" b"]
BODY = b"<p>One\n\nTwo\r\n\r\nThree\r\rFour</p>"


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\r\n", b"\r\r\r\n", b"\n\r", b"\r"])
@pytest.mark.parametrize("blank", [b"", b"\r\n\r\n", b"\n", b"\r"])
def test_lines_end_in_any_way(end: bytes, blank: bytes) -> None:
    content = blank + end.join([*LINES, b"", BODY])
    head, start = split(content)
    assert content[start:] == BODY
    assert head == b"\r\n".join([*LINES, b"", b""])


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\n\r\nbody", b"body"),
        (b"HTTP/1.1 200 OK\nA: b\r\n\nbody", b"body"),
        (b"HTTP/1.1 200 OK\r\r\nA: b\r\n\r\r\nbody", b"body"),
        (b"HTTP/1.1 200 OK\r\n\r\nbody\n\nmore", b"body\n\nmore"),
        (b"HTTP/1.1 200 OK\r\rbody", b"body"),
        (b"HTTP/1.1 200 OK\r\n\r\n\r\nbody", b"\r\nbody"),  # the body begins with a blank line
        (b"HTTP/1.1 200 OK\r\n\r\n\x1f\x8b\r\n\r\n", b"\x1f\x8b\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n<html>\n\n</html>", b"<html>\n\n</html>"),  # no blank line
        (b"HTTP/1.1 200 OK\rA: b\r<html>\r\r</html>", b"<html>\r\r</html>"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\nbytes", b"bytes"),
        (b"ICY 200 OK\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 200 OK\r\nA: b", b""),
        (b"HTTP/1.1 200 OK", b""),
    ],
)
def test_the_body_begins_after_the_head(content: bytes, body: bytes) -> None:
    head, start = split(content)
    assert head.startswith((b"HTTP", b"ICY"))
    assert content[start:] == body


@pytest.mark.parametrize("content", [b"", b"\r\n", b"<html>\r\n\r\nHTTP/1.1 200 OK", b"\0HTTP/1.1", b"Date: x\r\n\r\n"])
def test_a_message_without_a_status_line_is_all_body(content: bytes) -> None:
    assert split(content) == (b"", 0)


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\r\n", b"\n\r", b"\r"])
def test_fields_are_read_of_heads_with_any_line_ends(tmp_path: Path, end: bytes) -> None:
    http = end.join([*LINES, b"Transfer-Encoding: chunked", b"", b"4\r\n<p>x\r\n0\r\n\r\n"])
    fields = [
        b"WARC-Type: response",
        b"Content-Type: application/http",
        b"WARC-Target-URI: http://a.example/",
        b"Content-Length: %d" % len(http),
    ]
    (tmp_path / "a.warc").write_bytes(b"\r\n".join([b"WARC/1.0", *fields, b"", http, b"", b""]))
    size = (tmp_path / "a.warc").stat().st_size
    (row,) = WarcReader("web", InputFile(str(tmp_path / "a.warc"), "a.warc", size), 0).rows()
    found = (row["http_status"], row["content_type"], row["http_charset"], bytes(row["payload"]))
    assert found == (404, "text/html", "koi8-r", b"<p>x")
