"""Plain text by a walk over the nodes in plain Python; words on real pages; Markdown read back by markdown-it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction_pages import real_pages
from extraction_soup import given_page, soup
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cleaners.extraction.markdown import page_text
from cleaners.extraction.output import max_page_bytes, write_page
from cleaners.extraction.text import max_text_bytes, write_text


def plain(html: str | bytes, chosen: np.ndarray | None = None) -> str:
    page = given_page(html)
    if chosen is None:
        chosen = np.ones(len(page.page.blocks), np.bool_)
    room = max_page_bytes(page.page, chosen)
    out = np.empty(room + 10, np.uint8)
    end = write_page(page.data, page.page, chosen, out, 10)
    assert end - 10 <= room
    return out[10:end].tobytes().decode()


def marked(html: str, **options: bool) -> str:
    page = given_page(html)
    every = np.ones(len(page.page.blocks), np.bool_)
    return page_text(page.data, page.page, every, **({"markdown": True, "links": False} | options))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("<p>a<p>b <b>c</b>", "a\nb c"),
        ("<p>a<br><br>b", "a\nb"),
        ("<ul><li>a<li>b<ul><li>c</ul>d</ul>", "- a\n- b\n- c\n- d"),
        ("<ol><li><p>a<p>b</ol>", "- a\nb"),
        ("<table><tr><th>a<td>b<br>c<tr><td>d<td><p>e<p>f</table>", "a | b c\nd | e f"),
        ("<table><tr><td>only</table>", "only"),
        ("<table><tr><td><h1>a</h1><td>b</table>", "a\nb"),
        ("<table><tr><td>a<p>b<p>c<p>d<p>e<td>f</table>", "a\nb\nc\nd\ne\nf"),
        ("<table><tr><td>a<td><table><tr><td>b<td>c</table></table>", "a\nb | c"),
        ("<pre>\n a\n  b\n</pre>c", " a\n  b\nc"),
        ("<p>&nbsp;<p> <p>a", "\xa0\na"),
        ("<p>1 &lt; 2 &amp; 3", "1 < 2 & 3"),
    ],
)
def test_page_has_the_lines(html: str, text: str) -> None:
    assert plain(html) == text
    assert marked(html, markdown=False) == text


def test_only_chosen_blocks_are_written() -> None:
    html = "<ul><li>a<li>b</ul><tr><td>c<td>d<td>e<p>f"
    assert plain(html, np.array([False, True, True, False, True, False])) == "- b\nc | e"
    assert plain(html, np.zeros(6, np.bool_)) == ""


@settings(max_examples=200, deadline=None)
@given(soup)
def test_words_are_those_of_the_page_in_order(html: str) -> None:
    page = given_page(html)
    out = np.empty(max_text_bytes(len(page.data)), np.uint8)
    whole = out[: write_text(page.data, page.page.tree.nodes, 0, 0, out, 0)].tobytes().decode()
    assert re.findall(r"\w+", plain(html)) == re.findall(r"\w+", whole)


@settings(max_examples=100, deadline=None)
@given(soup, st.randoms(use_true_random=False))
def test_a_choice_leaves_the_other_words_as_they_are(html: str, random: Any) -> None:
    page = given_page(html)
    chosen = np.array([random.random() < 0.5 for _ in page.page.blocks], np.bool_)
    parts = [plain(html, np.arange(len(chosen)) == b) for b in np.flatnonzero(chosen)]
    words = re.findall(r"\w+", " ".join(parts))
    assert re.findall(r"\w+", plain(html, chosen)) == words


@pytest.mark.real
def test_words_of_real_pages_are_those_of_the_page(real_data: Path) -> None:
    for html in real_pages(real_data, 1, 60):
        page = given_page(html)
        out = np.empty(max_text_bytes(len(page.data)), np.uint8)
        whole = out[: write_text(page.data, page.page.tree.nodes, 0, 0, out, 0)].tobytes().decode()
        assert re.findall(r"\w+", plain(html)) == re.findall(r"\w+", whole)


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
    assert marked(html, links=True, markdown=False) == "See [the page](/ab%28c%29) and none."
    assert '<a href="/ab%28c%29">the <strong>page</strong></a>' in rendered(marked(html, links=True))
    assert marked(html) == "See the **page** and none."


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["#", "-", "+ ", "1.", ">", "*", "_", "a", "`", "[x](y)", "<b>", "\\", "|", " ", "="])))
def test_text_is_never_taken_for_markup(parts: list[str]) -> None:
    text = " ".join("".join(parts).split())
    html = "<p>" + text.replace("&", "&amp;").replace("<", "&lt;") + "<p>end"
    found = rendered(marked(html))
    expected = f"<p>{text}</p>\n<p>end</p>\n" if text else "<p>end</p>\n"
    assert found.replace("&lt;", "<").replace("&gt;", ">") == expected


@settings(max_examples=100, deadline=None)
@given(soup)
def test_markdown_has_the_letters_of_the_page(html: str) -> None:
    def letters(text: str) -> str:
        return "".join(re.findall(r"[^\W\d_]", text))

    assert letters(marked(html)).replace("c", "") == letters(plain(html)).replace("c", "")
