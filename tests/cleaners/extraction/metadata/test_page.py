"""Metadata that pages declare, for each source and in their order."""

import json
from typing import Any

import numpy as np
import pytest

from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tree import parse
from cleaners.extraction.metadata import dates, elements, titles
from cleaners.extraction.metadata.dates_in_text import parse_date
from cleaners.extraction.metadata.page import PageMetadata, page_metadata


def read(html: str, url: str = "https://example.org/a/b", max_date: str = "2024-12-31") -> PageMetadata:
    data = np.frombuffer(html.encode(), np.uint8)
    return page_metadata(data, parse(data), url, max_date)


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
def test_title_is_the_first_that_is_declared(html: str, title: str | None) -> None:
    assert read(html).title == title


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
    assert read('<meta name=author content="a@b.example">').author is None


def test_sources_are_used_in_order() -> None:
    things = ld({"@type": "Article", "headline": "Of JSON", "author": "Of JSON"})
    metas = '<meta name="twitter:title" content="Second"><meta property="OG:Title" content="First">'
    names = '<meta property="article:author" content="https://x.example/me"><meta name="byl" content="Of Meta">'
    page = read(things + metas + names + "<title>Last</title>")
    assert (page.title, page.author) == ("First", "Of JSON")
    assert (read(things + "<title>Last</title>").title, read(names).author) == ("Of JSON", "Of Meta")
    assert read('<meta name="title-x" content="a"><h1>b</h1>').title == "b"
    assert read('<meta property="og:title" content="one"><meta property="og:title" content="two">').title == "one"
    other = ld({"@type": "Organization", "headline": "x", "author": "y", "datePublished": "2020-01-01"})
    assert read(other) == PageMetadata()


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
        ("The mill | a story", "The mill"),
        ("The mill: a story", "The mill: a story"),
        ("The mill : a story", "The mill : a story"),
        ("The mill and more", "The mill and more"),
        ("The mill-house", "The mill-house"),
    ],
)
def test_a_suffix_is_cut_only_where_the_heading_proves_it(title: str, shown: str) -> None:
    assert read(f"<title>{title}</title><h1>The mill</h1>").title == shown


SITE = '<meta property="og:site_name" content="CNN">'


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<title>BBC News - Fire in Leeds</title><h1>BBC News</h1><h1>Fire in Leeds</h1>", "Fire in Leeds"),
        ("<title>Mill News - Fire in Leeds</title><h1>Mill News</h1>", "Fire in Leeds"),
        ("<title>Mill News East - Fire in a house</title><h1>Mill News East</h1>", "Mill News East - Fire in a house"),
        ("<title>Fire in Leeds - East</title><h1>East</h1>", "Fire in Leeds - East"),
        ("<title>Fire - The News of the East</title><h1>Fire</h1>", "Fire"),
        ("<title>Site | The mill</title><h1>The mill</h1>", "The mill"),
        ("<title>Site | The mill | News</title><h1>The mill</h1>", "The mill"),
        ("<title>The mill - News - Site</title><h1>The mill</h1>", "The mill"),
        ("<title>A - B - Site</title><h1>A</h1><h1>A - B</h1>", "A - B"),
        ('<meta property="og:title" content="CNN: President resigns"><h1>CNN</h1>', "CNN: President resigns"),
        ('<meta property="og:title" content="President resigns - CNN"><h1>President resigns</h1>', "President resigns"),
        (SITE + "<title>CNN: President resigns</title><h1>CNN</h1>", "President resigns"),
        (SITE + "<title>CNN - Resigned</title><h1>CNN</h1>", "Resigned"),
        (SITE + "<title>CNN</title>", "CNN"),
        (SITE + "<title>CNN International - Resigned</title>", "CNN International - Resigned"),
        ("<title>Bread: a history</title><h1>Bread</h1>", "Bread: a history"),
        ("<title>Bread | Mill-News</title>", "Bread"),
        ("<title>Bread | mill-news.org</title>", "Bread"),
        ("<title>Bread | Mill</title>", "Bread | Mill"),
    ],
)  # fmt: skip
def test_only_a_proven_site_name_is_cut(html: str, title: str) -> None:
    assert read(html, "https://www.mill-news.org/a").title == title


def test_a_date_in_much_text_is_not_looked_for() -> None:
    """Words of a megabyte each would take hours in the patterns of dates."""
    assert parse_date("x" * 80 + " March 5, 2020") is not None
    assert parse_date("x" * 100 + " March 5, 2020") is None
    for text in ("a" * 1_000_000, "字" * 1_000_000, "a " * 500_000, "1 a" * 300_000):
        assert read(f"<meta name=date content='{text}'><time>{text}</time><time datetime='{text}'>").date is None


def test_a_text_in_nested_elements_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read_nodes = []
    text_of = elements.text_of

    def counted(data: np.ndarray, tree: Tree, node: int) -> str:
        read_nodes.append(node)
        return text_of(data, tree, node)

    for module in (dates, elements, titles):
        monkeypatch.setattr(module, "text_of", counted)
    times = "<time>" * 500 + "3 May 2020" + "</time>" * 500
    assert read(times + "<h1><div>" * 200 + "x").date == "2020-05-03"
    assert len(read_nodes) == 2
    assert read("<time>soon <time datetime=2020-05-03>").date == "2020-05-03"


@pytest.mark.parametrize(
    ("html", "date"),
    [
        ("<time class=updated>2021-01-01</time><time class=published>2020-01-01</time>", "2020-01-01"),
        ("<time itemprop=dateModified>2021-01-01</time><time>2020-01-01</time>", "2020-01-01"),
        ('<time class="entry-date published updated" datetime=2020-01-01>x</time>', "2020-01-01"),
        ("<time class=Updated datetime=2021-01-01>x</time>", None),
        ("<template><time datetime=2021-01-01></time></template>", None),
    ],
)  # fmt: skip
def test_dates_of_updates_are_ignored(html: str, date: str | None) -> None:
    assert read(html).date == date


def news(**more: Any) -> dict[str, Any]:
    return {"@type": "NewsArticle"} | more


OTHER = news(headline="Other", author="Otto", datePublished="2011-01-01", url="https://example.org/other")
OWN = news(headline="Own", author="Ann", datePublished="2020-01-01")


@pytest.mark.parametrize(
    "value",
    [
        [{"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "item": OTHER}]}, OWN],
        [{"@type": "Blog", "blogPost": [OTHER]}, {"@graph": [OWN]}],
        [{"@type": "Organization", "subjectOf": OTHER}, {"@type": "WebPage", "mainEntity": OWN}],
        [OTHER, OWN | {"url": "http://www.example.org/a/b/#top"}],
        [OTHER, OWN | {"mainEntityOfPage": "https://example.org/a/b"}],
        [OTHER, OWN | {"mainEntityOfPage": {"@id": "https://example.org/a/b/"}}],
        [OTHER, OWN | {"@id": "https://example.org/a/b#article"}],
        [OTHER, {"@type": "Thing", "subjectOf": OWN | {"url": "https://example.org/a/b"}}],
    ],
)
def test_the_article_of_the_page_comes_before_others(value: Any) -> None:
    page = read(ld(value))
    assert (page.title, page.author, page.date) == ("Own", "Ann", "2020-01-01")


def test_articles_in_lists_are_not_the_page() -> None:
    assert read(ld({"@type": "ItemList", "itemListElement": [OTHER]})) == PageMetadata()
    assert read(ld({"@type": "Organization", "subjectOf": OTHER})).title == "Other"


def test_an_author_elsewhere_in_the_graph_is_found() -> None:
    ann = {"@type": "Person", "@id": "#ann", "name": "Ann &amp; Bo"}
    assert read(ld({"@graph": [news(author={"@id": "#ann"}), ann]})).author == "Ann & Bo"
    assert read(ld(ann) + ld(news(author=[{"@id": "#ann"}, {"@id": "#x"}, {"@id": [1]}]))).author == "Ann & Bo"


def test_types_have_any_vocabulary_and_titles_are_decoded_once() -> None:
    for kind in ("http://schema.org/NewsArticle", "https://schema.org/NewsArticle", "schema:Article", "newsarticle"):
        assert read(ld({"@type": kind, "headline": "&quot;A&quot; &amp;amp; B"})).title == '"A" &amp; B'
    script = ld(OWN).replace("ld+json", "LD+JSON ; charset=utf-8")
    assert read(script).title == "Own"


@pytest.mark.parametrize(
    ("html", "url"),
    [
        ("<base href=/x/><link rel=canonical href=c>", "https://example.org/x/c"),
        ("<base target=_top><base href=https://b.example/><link rel=canonical href=c>", "https://b.example/c"),
        ("<link rel=canonical href=''>", None),
        ("<link rel=canonical>", None),
        ("<link rel=canonical><link rel=canonical href=/c>", "https://example.org/c"),
        ("<link rel=canonical href=HTTP://a.example/c>", "HTTP://a.example/c"),
        ("<template><link rel=canonical href=/t></template>", None),
        ("<link rel=canonical href=/" + 3000 * "x" + ">", None),
        ("<meta property=og:url content=https://o.example/>" + ld(OTHER), "https://o.example/"),
        (ld(OTHER), "https://example.org/other"),
        (ld(news(mainEntityOfPage={"@id": "https://a.example/c"})), "https://a.example/c"),
        (ld([OTHER, news(url="https://example.org/more")]), None),
        (ld({"@type": "ItemList", "itemListElement": [OTHER]}), None),
    ],
)
def test_canonical_address_is_of_the_first_source_that_has_one(html: str, url: str | None) -> None:
    assert read(html).canonical_url == url


def test_language_is_of_the_first_source_that_has_one() -> None:
    """Each source together with those after it."""
    html, xml, body = "lang=aa", "xml:lang='bb'", "<body lang=cc>"
    metas = [
        "<meta http-equiv=content-language content='dd, ee'>",
        "<meta property=og:locale content=ff_FF>",
        ld(news(inLanguage="gg-GG")),
    ]
    head = "".join(metas)
    pages = [
        f"<html {html} {xml}>{head}{body}",
        f"<html {xml}>{head}{body}",
        f"<html>{head}{body}",
        *("".join(metas[n:]) for n in range(3)),
    ]
    told = [read(page).declared_language for page in pages]
    assert told == ["aa", "bb", "cc", "dd", "ff-FF", "gg-GG"]


def test_numbers_too_long_for_python_do_not_raise() -> None:
    number = "&#" + "9" * 5000 + ";"
    assert read(f"<title>x</title><meta property=og:title content='{number}'>").title is not None
    assert read(ld(news(headline=number, datePublished=[["x"]], author=number))).date is None


def test_long_labels_and_many_canonical_links_take_linear_time() -> None:
    """A step that is quadratic takes minutes here."""
    assert read('<meta name="twitter:label1" content="' + "1 " * 200_000 + '"><p>x').author is None
    base = "<base href=http://a.org/" + "a/" * 200_000 + ">"
    assert read(base + "<link rel=canonical href=x>" * 50_000).canonical_url == "https://example.org/a/x"
