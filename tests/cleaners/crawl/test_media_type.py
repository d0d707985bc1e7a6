"""Content-Type headers as servers send them."""

import pytest

from cleaners.crawl.media_type import extract


@pytest.mark.parametrize(
    ("header", "media_type", "charset"),
    [
        # From the table of the Fetch standard.
        ("text/plain;charset=gbk, text/html", "text/html", None),
        ("text/html;charset=gbk;a=b, text/html;x=y", "text/html", "gbk"),
        ("text/html;charset=gbk, x/x, text/html;x=y", "text/html", None),
        ("text/html, cannot-parse", "text/html", None),
        ("text/html, */*", "text/html", None),
        ("text/html, ", "text/html", None),
        # As servers misspell it.
        ("TEXT/HTML", "text/html", None),
        (" text/html ", "text/html", None),
        ("text/html ; charset=utf-8", "text/html", "utf-8"),
        ("text/html;", "text/html", None),
        ("text/html;charset", "text/html", None),
        ("text/html;charset=", "text/html", None),
        ('text/html; Charset="UTF-8"', "text/html", "UTF-8"),
        ('text/html; charset="utf-8', "text/html", "utf-8"),
        ("text/html; charset='utf-8'", "text/html", "'utf-8'"),
        ("text/html; charset=utf-8; charset=gbk", "text/html", "utf-8"),
        ('text/html; title="a, b; charset=x"; charset=gbk', "text/html", "gbk"),
        ("text/html;;charset=gbk;", "text/html", "gbk"),
        ("text/html;text/plain", "text/html", None),
        ("text/plain, text/html", "text/html", None),
        ("text/html, text/html; charset=UTF-8", "text/html", "UTF-8"),
        ("text/html; charset=utf-8, text/html", "text/html", "utf-8"),
        # Browsers sniff these. The charset is a help that they do without.
        ("text/html,charset=gb2312", "text/html", "gb2312"),
        ("text/html; charset: gbk", "text/html", "gbk"),
        ("text/html charset=utf-8", None, "utf-8"),
        ("text/html:charset=utf-8", None, "utf-8"),
        ("charset=utf-8", None, "utf-8"),
        ("html", None, None),
        ("text", None, None),
        ("text/", None, None),
        ("/html", None, None),
        ("text /html", None, None),
        ("text\\html", None, None),
        ('"text/html"', None, None),
        ("'text/html; charset=gbk'", None, "gbk"),
        ("*/*", None, None),
        ("", None, None),
    ],
)
def test_the_media_type_and_charset_of_a_header(header: str, media_type: str | None, charset: str | None) -> None:
    assert extract(header) == (media_type, charset)
