"""The engine on whole pages, with the shipped model."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from crawl import SENTENCES, article
from extraction_pages import real_pages
from extraction_soup import sample_page, soup
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cleaners.extraction.comments import comment_blocks
from cleaners.extraction.engine import Extracted, Options, extract
from cleaners.extraction.html.text import max_text_bytes, write_text
from cleaners.extraction.html.tree import parse

COMMENTS = "".join(
    f"<li class=comment id=comment-{n}><b>Ann</b> <a href=#>Reply</a><p>I have read this twice, and I agree with {n}."
    for n in range(9)
)


def one(html: str | bytes, **options: bool) -> Extracted:
    return extract([html if isinstance(html, bytes) else html.encode()], Options(**options))[0]


def test_an_article_is_extracted_without_its_frame() -> None:
    found = one(article("The mill"))
    assert all(sentence in found.text for sentence in SENTENCES)
    assert "Imprint" not in found.text
    assert 0.5 < found.share_kept <= 1
    assert found.expected_f1 > 0.7
    assert not found.from_scripts


def test_pages_are_independent() -> None:
    pages = [article(f"Page {n}", SENTENCES[: n + 3]).encode() for n in range(6)] + [b"", b"<p>x", b"\0", b"<table>"]
    alone = [extract([page], Options())[0] for page in pages]
    assert extract(pages, Options()) == alone
    order = list(range(len(pages)))
    random.Random(1).shuffle(order)
    assert extract([pages[i] for i in order], Options()) == [alone[i] for i in order]
    assert extract([], Options()) == []


@pytest.mark.parametrize(
    "html", ["", " ", "<!-- x -->", "<script>x</script>" * 3 + "<style>y</style>", "<p hidden></p>", "<title>t</title>"]
)
def test_a_page_without_text_has_an_empty_text(html: str) -> None:
    assert one(html) == Extracted("", 0, 0.0, 0.0, False)


def test_comments_are_left_out_and_kept_by_option() -> None:
    html = article("The mill").replace("</body>", f"<section class=comments><ol>{COMMENTS}</ol></section></body>")
    html = html.replace("<body", '<meta property="og:type" content="article"><body')
    assert "I have read this twice" not in one(html).text
    kept = one(html, comments=True).text
    assert kept.count("I have read this twice") == 9
    assert "Reply" not in kept


def test_an_element_with_all_of_the_page_is_not_a_list_of_comments() -> None:
    page = sample_page(f"<body class=comments><p>{' '.join(SENTENCES)}</p>")
    assert not comment_blocks(page.page, page.containers).any()


def test_text_in_scripts_replaces_that_of_an_empty_shell() -> None:
    body = " ".join(SENTENCES * 3)
    found = one(f'<div id=app></div><script type="application/ld+json">{{"articleBody": "{body}"}}</script>')
    assert (found.text, found.from_scripts) == (body, True)


def test_markdown_and_links_have_the_same_blocks() -> None:
    html = article("The mill").replace(SENTENCES[1], f"<a href='/x'>{SENTENCES[1]}</a>")
    marked = one(html, markdown=True, links=True).text
    assert f"[{SENTENCES[1]}](/x)" in marked
    assert "# The mill" in marked
    assert "Imprint" not in marked


def test_a_page_of_five_megabytes_takes_linear_time() -> None:
    found = one(article("Long", SENTENCES * 6_000))
    assert found.text.count(SENTENCES[0]) >= 1


@pytest.mark.real
def test_real_pages_are_the_same_in_any_batch(real_data: Path) -> None:
    pages = real_pages(real_data, 2, 40)
    assert extract(pages, Options()) == [extract([page], Options())[0] for page in pages]


@pytest.mark.real
def test_markdown_of_real_pages_has_the_words_of_their_lines(real_data: Path) -> None:
    pages = real_pages(real_data, 4, 40)
    plain, marked = (extract(pages, Options(markdown=markdown)) for markdown in (False, True))
    for line, mark in zip(plain, marked, strict=True):
        assert line[1:] == mark[1:]
        headings = "\n".join(part for part in mark.text.split("\n") if part.startswith("#"))
        in_plain, in_marked, in_headings = map(words, (line.text, rendered(mark.text), rendered(headings)))
        rest = iter(in_marked)
        assert all(word in rest for word in in_plain)  # in their order
        assert not Counter(in_marked) - Counter(in_plain) - Counter(in_headings)  # headings of chosen text are added


def words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text)


def rendered(markdown: str) -> str:
    html = MarkdownIt("commonmark").enable("table").render(markdown)
    data = np.frombuffer(html.encode(), np.uint8)
    out = np.empty(max_text_bytes(len(data)), np.uint8)
    return out[: write_text(data, parse(data).nodes, 0, 0, out, 0)].tobytes().decode()


def test_scripts_replace_the_text_of_a_page_without_any() -> None:
    body = " ".join(SENTENCES)
    ld = f'<script type="application/ld+json">{{"articleBody": "{body}"}}</script>'
    for shell in ("", "<p>x", "<div id=app>Loading, please wait …</div>"):
        found = one(ld + shell)
        assert (found.text, found.from_scripts) == (body, True)
    assert one(f"{ld}<p>x", markdown=True, links=True).text == body


def test_scripts_do_not_replace_short_news_or_a_long_text() -> None:
    notice = (
        '<script type="application/ld+json">{"@type": "Product", "description": "Our mill, now half off."}</script>'
    )
    short = one(f"{notice}<main><h1>The mill</h1><p>{SENTENCES[0]}</main>")
    assert (short.text, short.from_scripts) == (f"The mill\n{SENTENCES[0]}", False)
    full = one(article("The mill").replace("</head>", f"{notice}</head>"))
    assert not full.from_scripts
    assert "half off" not in full.text


@settings(max_examples=40, deadline=None)
@given(st.lists(soup, max_size=4), st.booleans())
def test_soup_is_the_same_in_any_batch(pages: list[str], comments: bool) -> None:
    utf8 = [page.encode() for page in pages]
    options = Options(comments=comments)
    found = extract(utf8, options)
    assert found == [extract([page], options)[0] for page in utf8]
    assert found == extract(utf8[::-1], options)[::-1]
    assert all(0 <= page.share_kept <= 1 and 0 <= page.expected_f1 <= 1 for page in found)
    assert [page.num_blocks for page in found] == [len(sample_page(page).page.blocks) for page in utf8]


NOTICE = (
    "<nav><a href=/>Home</a></nav><main><p>"
    + "Please wait while the story is being loaded for you, which can take long. " * 3
)
STORY = "<p>" + "The mill stands by the river, and it has ground the corn of the valley for long. " * 30


def test_a_notice_gives_way_to_one_text_of_paragraphs() -> None:
    def page(value: object) -> Extracted:
        return one(f"{NOTICE}</main><script type=application/json>{json.dumps(value)}</script>")

    assert page({"body": STORY}).from_scripts
    for other in (
        {"body": STORY[:700]},  # not four times as long
        {"items": [{"body": f"{n}. {STORY[n : n + 600]}"} for n in range(20)]},  # many texts
        {"body": "".join(f"<p>{n} is one of many short lines" for n in range(200))},
    ):
        assert not page(other).from_scripts
    assert not one(NOTICE + "".join(f"<p>{STORY[n:200]}" for n in range(9)) + json.dumps({"body": STORY})).from_scripts


FRAMES = "<frameset cols='20%,80%'><frame src=a><noframes>{}</noframes></frameset>"


def test_a_page_of_frames_has_the_text_of_its_noframes() -> None:
    told = one(FRAMES.format(f"<body><h1>Mill</h1>{STORY}</body>"))
    assert told.text == f"Mill\n{STORY[3:].strip()}"
    assert not told.from_scripts
    assert one(FRAMES.format(f"<h1>Mill</h1>{STORY}"), markdown=True).text.startswith("# Mill\n\nThe mill")
    assert one(FRAMES.format("Your browser shows no frames.")).text == ""
    assert one(f"<p>Mill</p><noframes>{STORY}</noframes>").text == "Mill"
    assert one(FRAMES.format("<frameset><noframes>") * 50_000).text == ""


def test_raw_text_is_shown_where_browsers_show_it() -> None:
    listing = "if a < b:\n    print('&amp;')"
    for tag, shown in {"xmp": listing, "plaintext": listing, "pre": listing.replace("&amp;", "&")}.items():
        page = f"<main>{STORY[:200]}<{tag}>{listing}" + (f"</{tag}>{STORY[:300]}</main>" if tag != "plaintext" else "")
        assert f"\n{shown}" in one(page).text
    assert (
        "hidden"
        not in one(f"<main>{STORY}<noembed>hidden</noembed><noframes>hidden</noframes><iframe>hidden</iframe>").text
    )
