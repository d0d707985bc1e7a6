"""What pages declare: by hand for each source, and in their order."""

import json
from typing import Any

import numpy as np
import pytest

from cleaners.extraction.page_data import PageData, page_data, parse_date
from cleaners.extraction.tree import parse


def read(html: str, url: str = "https://example.org/a/b", max_date: str = "2024-12-31") -> PageData:
    data = np.frombuffer(html.encode(), np.uint8)
    return page_data(data, parse(data), url, max_date)


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


def test_sources_come_in_their_order() -> None:
    things = ld({"@type": "Article", "headline": "Of JSON", "author": "Of JSON"})
    metas = '<meta name="twitter:title" content="Second"><meta property="OG:Title" content="First">'
    names = '<meta property="article:author" content="https://x.example/me"><meta name="byl" content="Of Meta">'
    page = read(things + metas + names + "<title>Last</title>")
    assert (page.title, page.author) == ("First", "Of JSON")
    assert (read(things + "<title>Last</title>").title, read(names).author) == ("Of JSON", "Of Meta")
    assert read('<meta name="title-x" content="a"><h1>b</h1>').title == "b"
    assert read('<meta property="og:title" content="one"><meta property="og:title" content="two">').title == "one"
    other = ld({"@type": "Organization", "headline": "x", "author": "y", "datePublished": "2020-01-01"})
    assert read(other) == PageData()


def test_a_date_of_the_last_day_is_kept() -> None:
    html = '<meta name="date" content="2024-05-02T00:30:00+14:00"><meta name="dc.date" content="2024-05-01">'
    assert read(html, max_date="2024-05-02").date == "2024-05-01"  # a name that stands before the other in our list
    assert read('<meta name="date" content="2024-05-02">', max_date="2024-05-02").date == "2024-05-02"
    assert read('<meta name="date" content="2024-05-02">', max_date="2024-05-01").date is None


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("/c?a=1&amp;b=2", "https://example.org/c?a=1&b=2"),
        ("../c", "https://example.org/c"),
        ("//other.example/c", "https://other.example/c"),
        (" https://example.org/c ", "https://example.org/c"),
        ("mailto:a@b.example", None),
        ("http://[", None),
    ],
)
def test_canonical_address_is_absolute(href: str, url: str | None) -> None:
    assert read(f'<link rel=Canonical href="{href}">').canonical_url == url


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("The mill: a story", "The mill"),
        ("The mill and more", "The mill and more"),
        ("The mill-house", "The mill-house"),
    ],
)
def test_a_suffix_is_cut_only_where_the_heading_proves_it(title: str, shown: str) -> None:
    assert read(f"<title>{title}</title><h1>The mill</h1>").title == shown
