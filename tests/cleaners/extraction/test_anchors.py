"""Signs of links of headings to themselves."""

import numpy as np
import pytest
from extraction_soup import sample_page

from cleaners.extraction.anchors import drop_anchors, has_anchors


@pytest.mark.parametrize(
    "html", ["<h2>A <a href='#a'>¶</a>", "<h2>A<a href='/page#a'>#</a>", "<p>A<a href='#a'>&#167;</a>"]
)
def test_sign_alone_in_its_link_is_found(html: str) -> None:
    data, page = sample_page(html)[:2]
    assert has_anchors(data, page, np.ones(len(page.blocks), np.bool_))


@pytest.mark.parametrize("html", ["<h2>A ¶", "<p>C<a href='/c'>#</a>", "<h2><a href='#a'>A#</a>", "<h2>A<a>#</a>"])
def test_other_links_and_signs_are_text(html: str) -> None:
    data, page = sample_page(html)[:2]
    assert not has_anchors(data, page, np.ones(len(page.blocks), np.bool_))


def test_block_of_a_sign_alone_is_not_chosen() -> None:
    data, page = sample_page("<div><a href='#a'>#</a></div><h2>A</h2>")[:2]
    chosen = np.ones(len(page.blocks), np.bool_)
    drop_anchors(data, page, chosen)
    assert chosen.tolist() == [False, True]
