"""Authors and dates in elements named for them, and in the lines beside the heading."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.html.tree import parse
from cleaners.extraction.metadata.page import PageMetadata, page_metadata

PARAGRAPH = "<p>The mill stands by the river, and it grinds the corn of the whole valley, as it did a century ago." * 4


def read(html: str, url: str = "https://example.org/a/b", max_date: str = "2024-12-31") -> PageMetadata:
    data = np.frombuffer(html.encode("utf-8", "replace"), np.uint8)
    return page_metadata(data, parse(data), url, max_date)


def page(inside: str, before: str = "", after: str = "") -> PageMetadata:
    return read(f"<title>The old mill</title><body>{before}<h1>The old mill</h1>{inside}{PARAGRAPH}{after}")


@pytest.mark.parametrize(
    ("html", "author"),
    [
        ("<a rel=author href=/x>Ann Lee</a>", "Ann Lee"),
        ("<a rel=author href=/x>annlee7</a>", "annlee7"),
        ("<span itemprop=author itemscope><span itemprop=name>Ann Lee</span></span>", "Ann Lee"),
        ("<meta itemprop=author content='Ann Lee'>", "Ann Lee"),
        ("<p class=byline>By <a href=/x>Ann Lee</a> | <a href='mailto:a@b.example'>a@b.example</a>", "Ann Lee"),
        ("<div class='article-byline'><span>Ann Lee</span> <span>Bo Ek</span></div>", "Ann Lee, Bo Ek"),
        ("<p class=byline>By <b class=author>Ann Lee</b>, <i>Mill Courier</i>", "Ann Lee"),
        ("<p class=postAuthor>von Ann Lee, Redakteurin", "Ann Lee"),
        ("<p class=e-meta><a href=/author/ann/>Ann Lee</a> - 5 March 2020", "Ann Lee"),
        ("<p>By Ann Lee", "Ann Lee"),
        ("<p>5 March 2020 | Von Ann Lee", "Ann Lee"),
        ("<p>作者：王小明 来源：新华网", "王小明"),
        ("<p>Автор: Иван Петров", "Иван Петров"),
        ("<a rel=author>Ann Lee</a><a rel=author>Bo Ek</a>", "Ann Lee, Bo Ek"),
        ("<p class=author>Follow", None),
        ("<p class=author>Columnists", None),
        ("<p class=author-bio>" + "Ann Lee has written of mills for years. " * 20, None),
        ("<figure><figcaption class=author>Ann Lee</figcaption></figure>", None),
        ("<div class=comments><p class=author>Ann Lee</p></div>", None),
        ("<p class=authorization>Ann Lee", None),
        ("<p>Photo by Ann Lee", None),
        ("<template><a rel=author>Ann Lee</a></template>", None),
    ],
)  # fmt: skip
def test_authors_in_elements_and_lines(html: str, author: str | None) -> None:
    assert page(html).author == author


@pytest.mark.parametrize(
    ("html", "date"),
    [
        ("<p class=post-date>5 March 2020", "2020-03-05"),
        ("<dd id=date_posted>March 5, 2020", "2020-03-05"),
        ("<div itemprop=datePublished content=2020-03-05T10:00:00Z>yesterday</div>", "2020-03-05"),
        ("<p>Arts Mar 5, 2020 2:15 PM", "2020-03-05"),
        ("<p><span>Ann Lee</span><span>Mar 5, 2020</span><span>2 Shares</span>", "2020-03-05"),
        ("<p>2020年3月5日 10:15", "2020-03-05"),
        ("<p>Updated 5 March 2020", None),
        ("<p class=last-updated>5 March 2020", None),
        ("<p class=modified-date>5 March 2020", None),
        ("<p>Aktualisiert am 5. März 2020", None),
        ("<p class=date>5 March 2025", None),
        ("<p class=date>5 March 1970", None),
        ("<p>" + "The mill burnt down on 5 March 2020, and it was built again within a year. " * 3, None),
    ],
)
def test_dates_in_elements_and_lines(html: str, date: str | None) -> None:
    assert page(html).date == date


def test_what_stands_beside_the_heading_counts_first() -> None:
    teasers = "".join(f"<div class=x><p class=author>{name} Ek</p><p class=date>{n} May 2021</p></div>"
                      for n, name in enumerate("Bo Ed Al Jo".split(), 1))  # fmt: skip
    own = "<p class=author>Ann Lee</p><p class=date>5 March 2020</p>"
    assert (page(own, teasers, teasers).author, page(own, teasers, teasers).date) == ("Ann Lee", "2020-03-05")
    assert page("", "", "<p>" * 200 + teasers).author is None  # a list's
    assert read("<title>Mills</title>" + teasers).author is None


def test_people_come_before_the_site() -> None:
    site = "<meta property=og:site_name content='Mill Post'><meta name=author content='Mill Post'>"
    assert page(site + "<p class=byline>By Ann Lee").author == "Ann Lee"
    assert page(site + "<p class=byline>Columnists").author == "Mill Post"
    assert page(site).author == "Mill Post"
    assert page("<meta name=author content='Ann Lee'><p class=byline>By Bo Ek").author == "Ann Lee"
    assert page("<a rel=author>Mill Post</a>" + site.split(">")[0] + ">").author == "Mill Post"


def test_a_moment_in_utc_is_told_in_the_calendar_of_the_page() -> None:
    meta = "<meta property=article:published_time content=2020-03-06T03:22:07Z>"
    assert page(meta).date == "2020-03-06"
    assert page(meta + "<time datetime=2020-03-05T22:22:07-05:00>Mar 5</time>").date == "2020-03-05"
    assert page(meta + "<time datetime=2020-03-06T03:22:07Z>March 5, 2020 10:22 pm EST</time>").date == "2020-03-05"
    assert page(meta + "<time datetime=2020-03-05T10:00:00-05:00>Mar 5</time>").date == "2020-03-06"
    assert read(meta, "https://example.org/2020/03/05/mill").date == "2020-03-05"
    assert read(meta, "https://example.org/2019/03/05/mill").date == "2020-03-06"


@pytest.mark.parametrize(
    ("url", "date"),
    [
        ("https://example.org/2020/03/05/mill", "2020-03-05"),
        ("https://example.org/2020/mar/05/mill", "2020-03-05"),
        ("https://example.org/news/2020-03-05-mill", "2020-03-05"),
        ("https://example.org/a/20200305/k00", "2020-03-05"),
        ("https://example.org/A2020030510150001234", "2020-03-05"),
        ("https://example.org/20200399/x", None),
        ("https://example.org/a?d=20200305", None),
        ("https://example.org/120200305", None),
    ],
)
def test_dates_in_addresses(url: str, date: str | None) -> None:
    assert read("<p>x", url).date == date


@pytest.mark.parametrize(
    ("html", "site"),
    [
        ("<meta property=og:site_name content=' Mill  Post '>", "Mill Post"),
        ('<script type=application/ld+json>{"@type": "WebSite", "name": "Mill &amp; Post"}</script>', "Mill & Post"),
        (
            '<script type=application/ld+json>{"@type": "Article", "publisher": {"name": "Mill Post"}}</script>',
            "Mill Post",
        ),
        ("<meta name=application-name content='Mill Post'>", "Mill Post"),
        ("<meta property=og:site_name content='https://example.org'>", None),
        ("<p>x", None),
    ],
)
def test_site_names(html: str, site: str | None) -> None:
    assert read(html).site_name == site


@pytest.mark.parametrize(
    ("head", "heading", "title"),
    [
        ("<meta property=og:title content='Mill burns'>", "The old mill burns down", "The old mill burns down"),
        ("<meta property=og:title content='Old mill is lost'>", "Fire in the town", "Old mill is lost"),
        ("<meta property=og:title content='Ann Lee: The mill burns'>", "The mill burns", "The mill burns"),
        ("<meta property=og:title content='The mill burns'>", "Valley | The mill burns", "The mill burns"),
        ("<meta property=og:title content='The mill burns'>", "The mill burns 05.03.2020", "The mill burns"),
        ("<title>The mill burns_新浪</title>", "The mill burns ¶", "The mill burns"),
        (
            "<meta property=og:title content='The mill burns'>"
            '<script type=application/ld+json>{"@type": "NewsArticle", "headline": "The mill burns"}</script>',
            "A mill burns in the valley",
            "The mill burns",
        ),
    ],
)  # fmt: skip
def test_the_heading_that_readers_see_is_the_title(head: str, heading: str, title: str) -> None:
    assert read(f"{head}<h1>{heading}</h1>").title == title


NAMES = st.sampled_from("class id itemprop rel href content datetime name property".split())
VALUES = st.sampled_from(
    "author byline date datePublished updated comment /author/x og:title article:published_time 2020-03-05 By".split()
) | st.text(max_size=8)
TAGS = st.sampled_from("p div a time meta h1 h2 title figure span template svg script".split())
TEXTS = st.sampled_from(["By Ann Lee", "5 March 2020", "作者：王小明", " ", "The old mill"]) | st.text(max_size=12)


@settings(deadline=None)
@given(st.lists(st.tuples(TAGS, NAMES, VALUES, TEXTS, st.booleans()), max_size=25))
def test_no_page_raises_and_all_that_is_told_is_clean(parts: list[tuple[str, str, str, str, bool]]) -> None:
    html = "".join(f'<{tag} {name}="{value}">{text}{f"</{tag}>" * ends}' for tag, name, value, text, ends in parts)
    told = read(html)
    for value in (told.title, told.author, told.date, told.site_name, told.canonical_url, told.declared_language):
        assert value is None or (value == value.strip() != "" and value.encode())
    assert told == read(html)


def test_nested_and_repeated_elements_are_read_in_bounded_time() -> None:
    """Reading each element once for each that it stands in would take 2^90 steps."""
    nested = "<div class=author>" * 90 + "By Ann Lee" + "</div>" * 90
    assert page(nested).author == "Ann Lee"
    marked = "<div itemprop=author>" * 99
    assert page(marked + "The mill grinds corn. " * 12, marked).author is None  # longer than names are
    assert page("", "", "<p class=author>Bo Ek</p><p class=date>x</p>" * 20_000).author == "Bo Ek"


def test_a_form_that_ends_before_what_is_in_it_names_nothing() -> None:
    assert page("<form class=date><div></form>" + "The mill grinds corn. " * 20_000 + "</div>").date is None
