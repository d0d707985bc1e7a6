"""Markdown in a round trip: markdown-it turns it into HTML, and our parser finds the structure of the page in that."""

import re
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from extraction_pages import real_pages
from extraction_soup import SamplePage, around, sample_page, soup
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cleaners.extraction.html import attributes
from cleaners.extraction.html.nodes import BOLD, CODE, ITALIC
from cleaners.extraction.html.tags import TAGS
from cleaners.extraction.json_ld import value_of
from cleaners.extraction.markdown import formatted_text
from cleaners.extraction.plain_text import max_plain_text_bytes, write_block, write_plain_text


def marked(html: str, **options: bool) -> str:
    page = sample_page(html)
    every = np.ones(len(page.page.blocks), np.bool_)
    return formatted_text(page.data, page.page, every, **({"markdown": True, "links": False} | options))


def rendered(markdown: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(markdown)


def test_markdown_has_the_structure_of_the_page() -> None:
    html = """
    <h2>A <b>heading</b></h2><p>Some <b>bold</b>, <i>italic</i> and <code>code(*)</code> words.<br>Next line.
    <ul><li>one<li>two<ol start=3><li>three<li>four</ol></ul>
    <blockquote><p>quoted<p>again</blockquote>
    <table><tr><th>a<th>b<tr><td>1|2<td>3</table>
    <pre class="language-c">int x = 1;\n  *p;</pre><p>end"""
    found = rendered(marked(html))
    assert "<h2>A heading</h2>" in found
    assert "<strong>bold</strong>, <em>italic</em> and <code>code(*)</code>" in found
    assert "<br />\nNext line." in found
    assert re.search(r'<p>two</p>\s*<ol start="3">\s*<li>three</li>\s*<li>four</li>\s*</ol>', found)
    assert re.search(r"<blockquote>\s*<p>quoted</p>\s*<p>again</p>\s*</blockquote>", found)
    assert "<th>a</th>\n<th>b</th>" in found
    assert "<td>1|2</td>\n<td>3</td>" in found
    assert '<pre><code class="language-c">int x = 1;\n  *p;\n</code></pre>' in found
    assert found.endswith("<p>end</p>\n")


def test_links_are_kept_by_option() -> None:
    html = "<p>See <a href='/a b(c)'>the <b>page</b></a> and <a>none</a>."
    assert marked(html, links=True, markdown=False) == "See [the page](/a%20b%28c%29) and none."
    assert '<a href="/a%20b%28c%29">the <strong>page</strong></a>' in rendered(marked(html, links=True))
    assert marked(html) == "See the **page** and none."


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["#", "-", "+ ", "1.", ">", "*", "_", "a", "`", "[x](y)", "<b>", "\\", "|", " ", "="])))
def test_text_is_never_read_as_markup(parts: list[str]) -> None:
    text = " ".join("".join(parts).split())
    html = "<p>" + text.replace("&", "&amp;").replace("<", "&lt;") + "<p>end"
    found = rendered(marked(html))
    expected = f"<p>{text}</p>\n<p>end</p>\n" if text else "<p>end</p>\n"
    assert found.replace("&lt;", "<").replace("&gt;", ">") == expected


@settings(max_examples=100, deadline=None)
@given(soup)
def test_lines_with_links_have_the_letters_of_the_page(html: str) -> None:
    without = re.sub(r"\]\(x\)|\[", "", marked(html, markdown=False, links=True))
    assert letters(without) == letters(marked(html, markdown=False))


def letters(text: str) -> str:
    return "".join(re.findall(r"[^\W\d_]", text))


class Block(NamedTuple):
    """The structure of a block, and the styles and links of its text, as far as Markdown has them."""

    text: str
    around: list[str]  # headings, items, cells, <pre> and quotations around it, inmost first
    links: list[str]
    styles: list[tuple[str, int]]  # words with bold, italic, code


SHOWN = {TAGS[name]: name for name in "h1 h2 h3 h4 h5 h6 li blockquote pre".split()} | {
    TAGS["td"]: "td",
    TAGS["th"]: "td",
}


def structure(page: SamplePage) -> list[Block]:
    nodes = page.page.tree.nodes
    out = []
    for b, block in enumerate(page.page.blocks):
        if text := text_of(page, b):
            shown = [
                SHOWN[int(nodes["tag"][i])] for i in around(nodes, int(block["element"])) if nodes["tag"][i] in SHOWN
            ]
            texts = page.page.texts[block["first"] : block["end"]]
            links, styles = [], []
            for node in texts.tolist():
                link, flags = int(nodes["link"][node]), int(nodes["flags"][node])
                words = page.data[nodes["start"][node] : nodes["end"][node]].tobytes().decode().split()
                if link >= 0 and words and (address := value_of(page.data, page.page.tree, link, attributes.HREF)):
                    links += [address] * (not links or links[-1] != address)
                kept = flags & (ITALIC | CODE | (BOLD if not shown or shown[0][0] != "h" else 0))
                styles += [(word, kept) for word in words if kept and "pre" not in shown]
            out.append(Block(text, shown, links, styles))
    return out


def text_of(page: SamplePage, b: int) -> str:
    out = np.empty(max_plain_text_bytes(page.page, np.ones(len(page.page.blocks), np.bool_)), np.uint8)
    return out[: write_block(page.data, page.page, b, False, out, 0)].tobytes().decode()


WORDS = [
    "mill",
    "#",
    "1.",
    "-",
    "*x*",
    "_a_",
    "<b>",
    "&amp;",
    "`c`",
    "[d](e)",
    "\\",
    "1986)",
    ">",
    "a|b",
    "=",
    "~~~",
    "Мир",
    "米",
]
text = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(lambda words: escape(" ".join(words), quote=False))
plain_word = st.sampled_from(["mill", "flour", "Мир", "米", "x"])
inline = st.one_of(
    text,
    st.builds("{} <{}>{}</{}> {}".format, text, st.just("b"), plain_word, st.just("b"), text),
    st.builds("{} <i>{} {}</i> {}".format, text, plain_word, plain_word, text),
    st.builds("{} <code>{}</code> {}".format, text, plain_word, text),
    st.builds("{}, <a href=/x{}>{}</a>. {}".format, text, st.integers(0, 9), plain_word, text),
    st.builds("{}<br>{}".format, text, text),
)
paragraph = st.builds("<p>{}</p>".format, inline)
heading = st.builds(lambda n, s: f"<h{n}>{s}</h{n}>", st.integers(1, 6), text)
verbatim = st.builds(lambda s: f"<pre>{s}\n  {s}</pre>", text)
row = st.builds("<tr><td>{}<td>{}</tr>".format, text, text)
table = st.lists(row, min_size=1, max_size=3).map(lambda rows: f"<table>{''.join(rows)}</table>")


def lists(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    item = st.one_of(st.builds("<li>{}</li>".format, inline), st.builds("<li><p>{}</p>{}</li>".format, inline, of))
    return st.builds(
        lambda kind, items: f"<{kind}>{''.join(items)}</{kind}>",
        st.sampled_from(["ul", "ol"]),
        st.lists(item, min_size=1, max_size=3),
    )


def quotations(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(of, min_size=1, max_size=3).map(lambda parts: f"<blockquote>{''.join(parts)}</blockquote>")


body = st.lists(
    st.one_of(
        paragraph,
        heading,
        verbatim,
        table,
        lists(st.one_of(paragraph, heading, verbatim, table, lists(paragraph), quotations(paragraph))),
        quotations(st.one_of(paragraph, heading, verbatim, table, lists(paragraph))),
    ),
    max_size=5,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(body)
def test_structure_survives_a_round_trip(html: str) -> None:
    markdown = marked(html, links=True)
    assert structure(sample_page(rendered(markdown))) == structure(sample_page(html)), markdown


@pytest.mark.parametrize(
    "html",
    [
        "<p>他说<b>“你好”</b>吗",  # marks that Markdown would read as text
        "<p>a<b>b</b><i>c</i>d",
        "<p>y <b>&nbsp;x</b>",
        "<p>Look!<a href=/x>here</a>",  # no picture
        "<p><a href='javascript:x()'>go</a> on",
        "<p><a href='/a\\b<c>'>go</a>",
        "<p>a|b<br>--|--",
        "<p>a<p>===",
        "<p>a&#32;<br>&#32;",
        "<h2>C #</h2>",
        "<pre>a\n```\nb</pre>",
        "<pre>a<br> b<br>\nc</pre>",
        "<table><tr><td>a<td>b<tr><td>c<td>d<td>e</table>",  # more cells than the head has
        "<ul><li>a<p>b<pre>c\n\n d</pre><li>e</ul>",
        "<ul><li><ul><li>a</ul>b</ul>c",
        "<ul><li>a<blockquote><p>b<p>c</blockquote>d</ul>",
        "<ul><li>a<ol><li>b<ul><li>c</ul>d</ol>e</ul>",
    ],
)
def test_no_text_is_lost_or_added_in_the_corner_cases_of_markdown(html: str) -> None:
    page = sample_page(html)
    for links in (False, True):
        again = sample_page(rendered(marked(html, links=links)))
        assert [block.text for block in structure(again)] == [block.text for block in structure(page)]


def test_numbers_of_items_are_those_of_the_page() -> None:
    html = "<ol start=7><li>a<ol start=3><li>b</ol><li>c</ol><ul><li><ol><li>d</ol>e</ul>"
    assert marked(html) == "7. a\n\n   3. b\n8. c\n- 1. d\n\n  e"


def test_a_list_of_100_000_items_takes_linear_time() -> None:
    """A step that is quadratic takes minutes here."""
    assert marked("<ol>" + "<li>a" * 100_000).endswith("\n100000. a")


@pytest.mark.parametrize(
    "html",
    [
        "<p>" + "-" * 200_000 + " and words",
        "<p>" + "=" * 200_000 + " and words",
        "<h2>" + "#" * 200_000 + " and then",
        "<p>" + r"value \(x and " * 50_000,
        "<p>" + r"value \[x and " * 50_000,
        "<p>" + r"value \begin{align} x " * 50_000,
        "<p>it costs $5 " + "a_b " * 50_000,
        "<p>$" + "_" * 200_000,
        "<p>a" + "<br>&#32;" * 100_000 + "b",
    ],
    ids=[
        "dashes",
        "equals",
        "hashes",
        "round",
        "square",
        "environments",
        "a price and names",
        "underscores",
        "line ends",
    ],
)
def test_marks_without_an_end_take_linear_time(html: str) -> None:
    """A step that is quadratic takes minutes here."""
    assert len(marked(html)) > 100_000


def test_many_texts_of_one_style_and_many_listings_are_read_once() -> None:
    """A step that is quadratic takes minutes here."""
    assert len(marked("<p>" + "<span>a long word</span> and " * 50_000)) > 500_000
    assert marked("<div class=highlight-python>" + "<pre>x</pre>" * 20_000).count("```\nx\n```") == 20_000


@pytest.mark.real
def test_real_pages_keep_their_words_and_lines_without_marks(real_data: Path) -> None:
    for html in real_pages(real_data, 3, 40):
        page = sample_page(html)
        every = np.ones(len(page.page.blocks), np.bool_)
        out = np.empty(max_plain_text_bytes(page.page, every), np.uint8)
        lines = out[: write_plain_text(page.data, page.page, every, out, 0)].tobytes().decode()
        assert formatted_text(page.data, page.page, every, markdown=False, links=False) == lines
        markdown = formatted_text(page.data, page.page, every, markdown=True, links=False)
        again = sample_page(rendered(markdown))
        words, found = (" ".join(block.text for block in structure(of)) for of in (page, again))
        assert re.findall(r"\w+", found) == re.findall(r"\w+", words)


def test_numbered_lists_side_by_side_stay_apart() -> None:
    html = "<ol><li>a<li value=4>b<li>c</ol><ol><li>d</ol><ol><li value=x>e</ol>"
    assert marked(html) == "1. a\n4. b\n5. c\n1) d\n1. e"
    assert rendered(marked(html)).count("<ol") == 3
