"""Readers' comments are recognised by the names of their elements and by headings."""

import pytest
from extraction_soup import SamplePage, around, sample_page, soup
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.features.comment_marks import in_comments
from cleaners.extraction.training.labels import block_texts

quiet = soup.filter(lambda page: "omments" not in page)  # without comments of its own


def inside(page: SamplePage) -> list[bool]:
    return in_comments(page.page, page.containers).tolist()


def block_text(page: SamplePage, b: int) -> str:
    return block_texts(page.data.tobytes(), page.page)[b].strip()


@pytest.mark.parametrize(
    ("html", "known"),
    [
        ("<div class=comments><p>a</div><p>b<p>c", [True, False, False]),
        ("<div id=comment_list><p>a</div><p>b<p>c", [True, False, False]),
        ("<div itemprop=comment><ul><li>a</ul></div><p>b<p>c", [True, False, False]),
        ("<div id=comment-123><p>a</div><p>b<p>c", [True, False, False]),
        ("<div class=userComments><p>a</div><p>b<p>c", [True, False, False]),
        ("<div class=commentary><p>a</div><p>b<p>c", [False, False, False]),
        ("<div title=comments><p>a</div><p>b<p>c", [False, False, False]),
    ],
)
def test_elements_of_comments_are_recognised_by_name(html: str, known: list[bool]) -> None:
    page = sample_page(html)
    assert inside(page) == known


@settings(max_examples=60, deadline=None)
@given(quiet, quiet, st.sampled_from(["comment-list", "commentlist", "comments-area"]))
def test_blocks_in_an_element_of_the_name_are_comments_unless_it_holds_the_page(a: str, b: str, name: str) -> None:
    page = sample_page(f"<section class=story>{a}</section><section class={name}>{b}</section>")
    nodes = page.page.tree.nodes
    marked = {
        i
        for i in range(1, len(nodes))
        if page.data[nodes["start"][i] :][:40].tobytes().startswith(f"<section class={name}".encode())
        and page.containers.chars[i] <= 0.9 * page.containers.chars[0]
    }
    expected = [bool(marked & set(around(nodes, int(e)))) for e in page.page.blocks["element"]]
    assert inside(page) == expected


@pytest.mark.parametrize(
    ("html", "known"),
    [
        ("<h2>Comments (2)</h2><ul><li>a<li>b</ul><p>c<h2>d</h2><p>e", "ab c"),
        ("<h3>2 Комментария</h3><p>a<h4>b</h4><p>c<h2>d</h2>", "a b c"),
        ("<div><h3>网友评论</h3></div><div>a</div><section><p>b<h3>c</h3><p>d</section>", "a b"),
        ("<div><h3>全部评论 70条</h3><p>a</div><p>b", "a"),
        ("<h2>コメント</h2><p>a", "a"),
        ("<h2>댓글 3</h2><p>a", "a"),
        ("<h2>No comments were heard that day</h2><p>a", ""),
        ("<h2>新闻评论员谈论今天的天气</h2><p>a", ""),
        ("<p>Comments</p><p>a", ""),
    ],
)
def test_comments_after_a_heading_are_recognised(html: str, known: str) -> None:
    page = sample_page("<p>The mill</p>" + html)
    texts = [block_text(page, b) for b, found in enumerate(inside(page)) if found]
    assert "".join(texts) == known.replace(" ", "")


def test_a_heading_of_many_blocks_takes_linear_time() -> None:
    """A step that is quadratic takes minutes here."""
    page = sample_page("<h1>" + "Comments<hr>" * 200_000 + "</h1>" + "<p>a" * 200_000)
    assert sum(inside(page)) == 200_000
