"""Readers' comments: recognised by the names of their elements, and left out of declared articles."""

import numpy as np
import pytest
from crawl import SENTENCES
from extraction_soup import SamplePage, around, sample_page, soup
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.comments import comment_blocks, in_comments, leave_out_comments
from cleaners.extraction.engine import Options, extract
from cleaners.extraction.features.columns import FEATURES
from cleaners.extraction.training.labels import block_texts

ARTICLE = '<meta property="og:type" content="article"><h1>The mill</h1>' + "".join(f"<p>{line}" for line in SENTENCES)


def wordpress(number: int) -> str:
    """A list of comments as WordPress themes write it."""
    return (
        f"<div id=comments class=comments-area><h2>{number} thoughts on “The mill”</h2><ol class=comment-list>"
        + "".join(
            f'<li id="comment-{n}" class="comment even thread-even depth-1">'
            f'<article id="div-comment-{n}" class=comment-body>'
            f"<footer class=comment-meta><b class=fn>Ann</b> <a href=#c{n}><time>May {n + 1}, 2020</time></a></footer>"
            f"<div class=comment-content><p>My father worked there, and he told it otherwise in {1900 + n}.</p></div>"
            f"<div class=reply><a class=comment-reply-link href=#>Reply</a></div></article></li>"
            for n in range(number)
        )
        + "</ol></div>"
    )


def extracted(html: str, *, keep: bool = False) -> str:
    return extract([html.encode()], Options(comments=keep))[0].text


def inside(page: SamplePage) -> list[bool]:
    return in_comments(page.page, page.containers).tolist()


def block_text(page: SamplePage, b: int) -> str:
    return block_texts(page.data.tobytes(), page.page)[b].strip()


def features(kind: float, article: float = 0.0, forum: float = 0.0) -> np.ndarray:
    out = np.zeros(len(FEATURES), np.float32)
    for name, value in (("page_kind", kind), ("page_ld_article", article), ("page_ld_forum", forum)):
        out[list(FEATURES).index(name)] = value
    return out


def test_comments_of_wordpress_are_left_out_by_default_and_kept_by_option() -> None:
    html = f"<main><article>{ARTICLE}</article></main>{wordpress(6)}"
    without, kept = extracted(html), extracted(html, keep=True)
    assert "My father" not in without
    assert kept.count("My father worked there") == 6
    assert "Reply" not in kept
    assert all(line in without and line in kept for line in SENTENCES)


def test_an_article_in_a_body_named_for_comments_is_kept() -> None:
    for name in ("has-comments", "comments", "single has-comments comments-open"):
        assert all(line in extracted(f"<body class='{name}'><main>{ARTICLE}</main>") for line in SENTENCES)


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
@given(soup, soup, st.sampled_from(["comment-list", "commentlist", "comments-area"]))
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
    ("told", "number", "left"),
    [
        (features(0), 1, True),
        (features(5, article=1), 1, True),
        (features(0, forum=1), 1, False),
        (features(5), 1, False),
        (features(0), 20, False),  # more than half of what was chosen
    ],
)
def test_comments_are_left_out_of_declared_articles(told: np.ndarray, number: int, left: bool) -> None:
    page = sample_page(f"<main>{ARTICLE}</main>{wordpress(number)}")
    chosen = np.ones(len(page.page.blocks), np.bool_)
    leave_out_comments(page.page, page.containers, told, chosen)
    assert chosen.tolist() == [not (left and one) for one in inside(page)]


def test_buttons_names_and_dates_are_not_comments() -> None:
    page = sample_page(
        f"<p>{' '.join(SENTENCES)}<div class=comments><p>Ann</p><p>5 May 2020, 10:30</p>"
        "<p><a href=#>Reply to this one, please.</a><p>I think so, too, and you?"
        "<p>one two three four five six seven eight nine<p hidden>I think so, too, and you?</div>"
    )
    assert comment_blocks(page.page, page.containers).tolist() == [False, False, False, False, True, True, False]


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


def test_comments_under_a_heading_are_left_out_of_an_article() -> None:
    html = f"<article>{ARTICLE}<h2>Comments</h2><ul><li>I was there, and it was much worse.<li>So was I, you know.</ul>"
    assert "worse" not in extracted(html)
    assert "worse" in extracted(html, keep=True)
    assert all(line in extracted(html) for line in SENTENCES)
