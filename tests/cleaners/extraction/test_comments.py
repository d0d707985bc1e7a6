"""Readers' comments: left out below an article, kept in a thread and where they are asked for."""

from crawl import SENTENCES
from extraction_soup import sample_page

from cleaners.extraction.comments import comment_blocks
from cleaners.extraction.engine import Options, extract

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


def test_buttons_names_and_dates_are_not_comments() -> None:
    page = sample_page(
        f"<p>{' '.join(SENTENCES)}<div class=comments><p>Ann</p><p>5 May 2020, 10:30</p>"
        "<p><a href=#>Reply to this one, please.</a><p>I think so, too, and you?"
        "<p>one two three four five six seven eight nine<p hidden>I think so, too, and you?</div>"
    )
    assert comment_blocks(page.page, page.containers).tolist() == [False, False, False, False, True, True, False]


def test_comments_under_a_heading_are_left_out_of_an_article() -> None:
    html = f"<article>{ARTICLE}<h2>Comments</h2><ul><li>I was there, and it was much worse.<li>So was I, you know.</ul>"
    assert "worse" not in extracted(html)
    assert "worse" in extracted(html, keep=True)
    assert all(line in extracted(html) for line in SENTENCES)
