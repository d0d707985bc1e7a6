"""What pages declare: by hand for each source, and that broken scripts of any kind never raise."""

import json
import random
from typing import Any

import numpy as np
import pytest

from cleaners.extraction.json_ld import article_body, parse_json, plain_text
from cleaners.extraction.page_data import PageData, page_data, parse_date
from cleaners.extraction.tree import parse

PROSE = "The mill stands by the river, and it has ground the corn of the valley for three hundred years. " * 4


def read(html: str, url: str = "https://example.org/a/b", max_date: str = "2024-12-31") -> PageData:
    data = np.frombuffer(html.encode(), np.uint8)
    return page_data(data, parse(data), url, max_date)


def body(html: str) -> str:
    data = np.frombuffer(html.encode(), np.uint8)
    return article_body(data, parse(data))


def ld(value: Any) -> str:
    return f'<script type="application/ld+json">{json.dumps(value)}</script>'


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<title>A &amp; B</title>", "A & B"),
        ('<title>x</title><meta property="og:title" content="From  Open Graph">', "From Open Graph"),
        ('<title>x</title><meta content="Twitter" name="twitter:title">', "Twitter"),
        (ld({"@graph": [{"@type": "WebSite"}, {"@type": ["Thing", "NewsArticle"], "headline": "Of JSON"}]}), "Of JSON"),
        ("<title>The mill - Our Site</title><h1>The mill</h1>", "The mill"),
        ('<title>The mill | Site</title><meta property="og:site_name" content="Site">', "The mill"),
        ("<title>Jekyll - Hyde</title><h1>Another</h1>", "Jekyll - Hyde"),
        ("<h1>Only a heading</h1>", "Only a heading"),
        ("<svg><title>icon</title></svg><title>Page</title>", "Page"),
        ("<p>x", None),
    ],
)
def test_title_is_the_first_that_is_told(html: str, title: str | None) -> None:
    assert read(html).title == title


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2020-03-17T23:59:00+02:00", "2020-03-17"),
        ("20200317", "2020-03-17"),
        ("March 5, 2020", "2020-03-05"),
        ("Tue, 05 Mar 2020 10:00:00 GMT", "2020-03-05"),
        ("5 марта 2020 г.", "2020-03-05"),
        ("2020年3月5日", "2020-03-05"),
        ("5. März 2020", "2020-03-05"),
        ("le 1er août 2019", "2019-08-01"),
        ("5 de mayo de 2021", "2021-05-05"),
        ("03/04/2020", None),
        ("2020-13-40", None),
        ("soon", None),
    ],
)
def test_dates_of_many_languages(text: str, date: str | None) -> None:
    found = parse_date(text)
    assert (found.isoformat() if found else None) == date


def test_date_is_of_the_first_source_that_has_one_in_range() -> None:
    meta = '<meta property="article:published_time" content="2020-01-02">'
    things = ld({"@type": "Article", "datePublished": "2019-05-06"})
    time = "<time datetime=2018-01-01>x</time>"
    assert read(meta + things + time).date == "2020-01-02"
    assert read(things + time).date == "2019-05-06"
    assert read(time, "https://a.example/2017/03/04/x").date == "2017-03-04"
    assert read(time).date == "2018-01-01"
    assert read(meta, max_date="2019-12-31").date is None
    assert read(meta, max_date="").date is None
    assert read('<meta name="date" content="1970-01-01">').date is None


def test_author_canonical_and_language() -> None:
    page = read(
        '<html lang="pt_br"><link rel="alternate canonical" href="/c"><meta name=author content="https://x.example/me">'
        + ld({"@type": "Article", "author": [{"name": "Ann"}, "Bo", {"name": "Ann"}]})
    )
    assert (page.author, page.canonical_url, page.declared_language) == ("Ann, Bo", "https://example.org/c", "pt-BR")
    assert read('<html lang="zh-hans-cn">').declared_language == "zh-Hans-CN"
    assert read('<html lang="english please">').declared_language is None
    assert read('<link rel=canonical href="javascript:x">').canonical_url is None
    assert read('<meta name=author content="A. Writer">').author == "A. Writer"


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '<!-- {"a": 1} -->',
        '//<![CDATA[\n{"a": 1}\n//]]>',
        '{"a": 1,}',
        '{"a":\x01 1}',
        '{"a": 1}; trailing()',
    ],
)
def test_broken_json_is_repaired(text: str) -> None:
    assert parse_json(text) == {"a": 1}


def test_body_comes_from_json_ld_before_embedded_data() -> None:
    article = ld({"@type": "NewsArticle", "articleBody": f"<p>{PROSE}</p><p>End &amp; more</p>"})
    data = json.dumps({"props": [{"html": PROSE + "Else"}]})
    state = f'<script id="__NEXT_DATA__" type="application/json">{data}</script>'
    assert body(state + article).split("\n") == [PROSE.strip(), "End & more"]
    assert body(state) == PROSE + "Else"
    assert body(f"<script>window.__STATE__ = {json.dumps({'t': PROSE})};</script>") == PROSE.strip()
    assert body(ld({"@type": "Product", "description": PROSE})) == PROSE.strip()
    assert body(ld({"@type": "WebSite", "description": PROSE})) == ""


def test_code_is_no_prose() -> None:
    code = "function a(b){return b.map(c=>c+1)};" * 20
    css = ".card{margin:0;padding:1px;color:#fff} " * 20
    for text in (code, css, "aGVsbG8gd29ybGQ" * 40, "https://a.example/b " * 30):
        assert body(f'<script type="application/json">{json.dumps({"x": text})}</script>') == ""


def test_escaped_html_becomes_text() -> None:
    assert plain_text("&lt;p&gt;One&lt;br&gt;two&lt;/p&gt;") == "One\ntwo"
    assert plain_text("5 < 6 &amp; 7") == "5 < 6 & 7"
    assert plain_text("\ud800x\0") == "?x"


def test_no_script_makes_it_fail() -> None:
    draw = random.Random(3)
    whole = ld({"@type": "Article", "articleBody": PROSE, "author": {"name": "Ann"}, "headline": ["x"]}) + (
        '<meta property="article:published_time" content="2020-01-02"><link rel=canonical href="http://[">'
    )
    for _ in range(500):
        text = bytearray(whole.encode())
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(text))
            text[at : at + draw.randrange(4)] = bytes(
                draw.choice(b'"{}[]\\,:<>&;x\x01') for _ in range(draw.randrange(4))
            )
        read(text.decode()), body(text.decode())
    deep = '<script type="application/ld+json">' + "[" * 100_000 + "</script>"
    assert (read(deep), body(deep)) == (PageData(), "")
    deep = '<script type="application/ld+json">' + '{"a":' * 900 + "1" + "}" * 900 + "</script>"
    assert body(deep) == ""
