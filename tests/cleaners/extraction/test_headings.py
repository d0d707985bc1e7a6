"""Headings that belong to the text below them."""

import numpy as np
from extraction_soup import sample_page

from cleaners.extraction.headings import with_headings

HTML = "<h3>Menu</h3><p>a<h1>Title</h1><h2>Part</h2><p>b<h2 hidden>No</h2><p>c<h2>End</h2>"


def test_headings_right_above_chosen_text_are_chosen() -> None:
    page = sample_page(HTML).page
    chosen = np.zeros(len(page.blocks), np.bool_)
    chosen[4] = chosen[6] = True  # b and c
    assert np.flatnonzero(with_headings(page, chosen)).tolist() == [2, 3, 4, 6]


def test_nothing_is_added_where_nothing_is_chosen() -> None:
    page = sample_page(HTML).page
    assert not with_headings(page, np.zeros(len(page.blocks), np.bool_)).any()
