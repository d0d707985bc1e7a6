"""Labels of blocks: the text is matched whole, coincidences are not, and no word of the text counts twice."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from extraction_soup import sample_page, soup
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.training.fit import token_f1
from cleaners.extraction.training.labels import RUNS, Labels, _tile, block_texts, labels_of


def labels(html: str, text: str) -> Labels:
    return labels_of(html.encode(), sample_page(html).page, text)


def shares(html: str, text: str) -> list[tuple[int, int]]:
    """(words of the text, words) of each block."""
    found = labels(html, text)
    return list(zip(found.main.tolist(), found.words.tolist(), strict=True))


ARTICLE = ["The mill stands by the river", "It was built of stone in the year of the flood", "Nobody lives there now"]
PAGE = (
    "<nav><li>Home<li>The mill<li>About us</nav><article><h1>Old mill</h1>"
    + "".join(f"<p>{line}.</p>" for line in ARTICLE)
    + "</article><footer><p>Read of the river in our newsletter.<p>All rights reserved</footer>"
)


def test_an_article_is_matched_whole_and_nothing_else() -> None:
    text = "Old mill\n" + "\n".join(line + "." for line in ARTICLE)
    assert shares(PAGE, text) == [(0, 1), (0, 2), (0, 2), (2, 2), (6, 6), (11, 11), (4, 4), (0, 7), (0, 3)]


def test_line_breaks_and_marks_do_not_matter() -> None:
    text = "OLD MILL * " + " -- ".join(line.upper() for line in ARTICLE).replace("stone in", "stone\nin")
    assert shares(PAGE, text)[3:7] == [(2, 2), (6, 6), (11, 11), (4, 4)]


def test_a_text_that_is_on_the_page_twice_is_matched_once() -> None:
    line = "it was built of stone in the year of the flood"
    assert sum(main for main, _ in shares(f"<p>{line}<p>{line}", line)) == len(line.split())
    assert shares(f"<p>{line}<p>{line}", f"{line}\n{line}") == [(11, 11), (11, 11)]


def test_a_single_word_far_from_matched_words_is_not_matched() -> None:
    far = "".join(f"<p>filler{k} stuff{k} thing{k}" for k in range(20))
    html = f"<li>menu river words{far}<p>{ARTICLE[0]} and so on it goes for long"
    assert shares(html, f"{ARTICLE[0]} and so on it goes for long\nriver")[0] == (0, 3)


def test_a_short_line_that_fills_a_block_is_matched() -> None:
    far = "".join(f"<p>filler{k} stuff{k} thing{k}" for k in range(20))
    assert shares(f"<h2>Stones</h2>{far}<p>{ARTICLE[1]}", f"Stones\n{ARTICLE[1]}")[0] == (1, 1)


def test_words_of_scripts_without_spaces_are_characters() -> None:
    assert shares("<nav>首页<p>今天天气很好，我们去公园！", "今天天气很好，我们去公园") == [(0, 2), (11, 11)]


@pytest.mark.parametrize(("html", "text"), [("", ""), ("", "a"), ("<p>a", ""), ("<p>!", "!"), ("<p>&#x0;", "\0")])
def test_pages_and_texts_without_words_are_harmless(html: str, text: str) -> None:
    found = labels(html, text)
    assert found.main.sum() == 0
    assert len(found.main) == len(found.words) == len(sample_page(html).page.blocks)


def test_block_texts_are_those_of_the_blocks() -> None:
    html = "<p>One <b>t</b>wo<br>three &amp; &eacute;<ul><li> 世界<li><pre>\n a\n b</pre>"
    sample = sample_page(html)
    assert block_texts(html.encode(), sample.page) == ["One two three & é", "世界", " a\n b"]


words_of = st.lists(st.integers(0, 4), max_size=40)


def tiled(page: list[list[int]], text: list[list[int]]) -> list[int]:
    blocks = np.repeat(np.arange(len(page)), list(map(len, page))).astype(np.int32)
    lines = np.repeat(np.arange(len(text)), list(map(len, text))).astype(np.int32)
    words, wanted = (np.array([*chain(*part)], np.int32) for part in (page, text))
    return _tile(words, blocks, wanted, lines, 10, RUNS).tolist()  # type: ignore[no-any-return]


@settings(max_examples=300)
@given(st.lists(words_of, max_size=6), st.lists(words_of, max_size=6))
def test_words_are_matched_with_equal_words_each_once(page: list[list[int]], text: list[list[int]]) -> None:
    words, wanted = [*chain(*page)], [*chain(*text)]
    pairs = [(i, k - 1) for i, k in enumerate(tiled(page, text)) if k]
    assert all(words[i] == wanted[j] for i, j in pairs)
    assert len({j for _, j in pairs}) == len(pairs)


@settings(max_examples=200)
@given(st.lists(words_of, max_size=4), st.lists(st.integers(5, 9), min_size=3, max_size=40), st.integers(0, 4))
def test_a_text_of_three_words_or_more_set_into_a_page_is_found_whole(
    page: list[list[int]], text: list[int], at: int
) -> None:
    found = tiled([*page[:at], text, *page[at:]], [text])
    first = sum(map(len, page[:at]))
    assert found == [0] * first + list(range(1, len(text) + 1)) + [0] * (len(found) - first - len(text))


@settings(max_examples=50)
@given(soup)
def test_the_text_of_all_blocks_is_found_whole(html: str) -> None:
    sample = sample_page(html)
    lines = block_texts(html.encode(), sample.page)
    found = labels(html, "\n".join(line.replace("\n", " ") for line in lines))
    assert found.main.tolist() == found.words.tolist()


@settings(max_examples=60)
@given(soup, st.data())
def test_token_f1_is_that_of_multisets(html: str, data: st.DataObject) -> None:
    found = labels(html, "One sentence one 的天气 the end, word")
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(found.words), max_size=len(found.words))), bool)
    ours = Counter(t for b, t in zip(found.blocks_of.tolist(), found.tokens.tolist(), strict=True) if chosen[b])
    theirs = Counter(found.text_tokens.tolist())
    expected = 2 * (ours & theirs).total() / (ours.total() + theirs.total())
    assert token_f1(found, chosen) == pytest.approx(expected)


def test_token_f1_is_one_where_neither_has_words() -> None:
    assert token_f1(labels("<p>!", ""), np.array([True])) == 1
    assert token_f1(labels("<p>a", ""), np.array([False])) == 1
    assert token_f1(labels("<p>a", ""), np.array([True])) == 0
    assert token_f1(labels("", "a"), np.empty(0, bool)) == 0
