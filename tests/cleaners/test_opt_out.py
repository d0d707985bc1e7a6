"""What pages and their servers reserve is measured, and dropped where a recipe says so."""

from pathlib import Path

import pytest
from crawl import Crawl, article

from cleaners.crawl.warc import WarcReader
from cleaners.opt_out import OptOutConfig
from shards.storage import InputFile


def metrics(tmp_path: Path, page: str, headers: str = "") -> tuple[int, ...]:
    """(noindex, noai, tdm_reserved) of a page behind these header lines."""
    data = Crawl(gzip=False).page("https://example.org/", page, content_type="text/html" + headers).data
    length = data.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
    path = tmp_path / "a.warc"
    path.write_bytes(data.replace(b"Content-Length: " + length, b"Content-Length: %d" % int(length)))
    (batch,) = WarcReader("web", InputFile(str(path), path.name, len(data)), 0)
    row = OptOutConfig().build()(batch).to_pylist()[0]
    return tuple(row[f"opt_out.{name}"] for name in ("noindex", "noai", "tdm_reserved"))


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ("", (0, 0, 0)),
        ("\r\nX-Robots-Tag: noindex, nofollow", (1, 0, 0)),
        ("\r\nX-Robots-Tag: none", (1, 0, 0)),
        ("\r\nx-robots-tag: NoAI", (0, 1, 0)),
        ("\r\nX-Robots-Tag: googlebot: noindex, noai", (0, 0, 0)),
        ("\r\nX-Robots-Tag: googlebot: noindex, ccbot: noai", (0, 1, 0)),
        ("\r\nX-Robots-Tag: googlebot: noindex\r\nX-Robots-Tag: noai", (0, 1, 0)),
        ("\r\nX-Robots-Tag: max-snippet: 5, noindex", (1, 0, 0)),
        ("\r\nTDM-Reservation: 1", (0, 0, 1)),
        ("\r\nTDM-Reservation: 0", (0, 0, 0)),
    ],
)
def test_headers(tmp_path: Path, headers: str, found: tuple[int, ...]) -> None:
    assert metrics(tmp_path, article("Mill"), headers) == found


@pytest.mark.parametrize(
    ("element", "found"),
    [
        ('<meta name="robots" content="noindex,follow">', (1, 0, 0)),
        ("<META CONTENT='noai, noimageai' NAME=ROBOTS />", (0, 1, 0)),
        ('<meta name="ccbot" content="noindex">', (1, 0, 0)),
        ('<meta name="googlebot" content="noindex">', (0, 0, 0)),
        ('<meta name="tdm-reservation" content="1">', (0, 0, 1)),
        ('<meta name="tdm-reservation" content="0">', (0, 0, 0)),
        ('<meta name="description" content="noindex">', (0, 0, 0)),
        ('<meta name="robots" content="index, no&#97;i">', (0, 1, 0)),
    ],
)
def test_elements(tmp_path: Path, element: str, found: tuple[int, ...]) -> None:
    assert metrics(tmp_path, article("Mill").replace("<head>", "<head>" + element)) == found


def test_an_element_in_the_body_is_text(tmp_path: Path) -> None:
    page = article("Mill").replace("<body>", "<body><meta name=robots content=noai>")
    assert metrics(tmp_path, page) == (0, 0, 0)


def test_rules_follow_from_thresholds() -> None:
    assert [rule.reason for rule in OptOutConfig().rules()] == ["opt_out.noai", "opt_out.tdm_reserved"]
    assert OptOutConfig(max_noai=None, max_tdm_reserved=None).rules() == ()
