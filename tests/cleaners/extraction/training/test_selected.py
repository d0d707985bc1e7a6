"""Labels by CSS selectors."""

import pytest

from cleaners.extraction.training.pages import own_pages
from cleaners.extraction.training.selected import selected_text
from shards.errors import UserError

HTML = """<body><nav>Menu</nav><div class="body">One <b>two</b><p>three<p class=ad>Buy!
<div class="body">four</div></div>
<div class="body">五，六</div><footer>End</footer>"""


def test_the_text_is_of_the_selected_elements_each_once() -> None:
    assert selected_text("u", HTML, ".body", ".ad, .none") == "One two\nthree\nfour\n五，六"
    assert selected_text("u", HTML, "nav, footer", None) == "Menu\nEnd"


def test_a_selector_without_a_match_is_refused() -> None:
    with pytest.raises(UserError, match=r'https://a\.example/: "select" .*article.* finds no element'):
        selected_text("https://a.example/", HTML, "article", None)
    with pytest.raises(UserError, match=r"https://a\.example/: '\[' is no CSS selector"):
        selected_text("https://a.example/", HTML, "[", None)


def test_a_page_labelled_by_selectors_has_a_main_text() -> None:
    (page,) = own_pages([{"url": "u", "html": HTML, "select": "nav"}])
    assert page.truth["main_content"] == "Menu"
    (page,) = own_pages([{"url": "u", "html": HTML, "select": "nav", "main_content": "mine"}])
    assert page.truth["main_content"] == "mine"
