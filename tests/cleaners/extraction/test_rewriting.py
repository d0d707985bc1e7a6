"""Text in two dimensions as lines: formulas within lines, line ends between wide characters, pages without any."""

import random

import numpy as np
import pytest
from extraction_soup import PIECES, sample_page, shown
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.rewriting import rewritten


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("3<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>4", "3 1/2 4"),
        ("x <math>\n<mn>1</mn>\n</math>, y", "x 1, y"),
        ("x<math>\n<mn>1</mn>\n</math>, y", "x 1, y"),
        ("<math><mi>x</mi></math><sup>2</sup>", "x^2"),
        ("10<sup><math><mn>6</mn></math></sup>", "10^(6)"),
        ("2<sup><math><mfrac><mn>1</mn><mn>2</mn></mfrac></math></sup>", "2^(1/2)"),
        ("a <math><mtext>b<sup>c</sup></mtext></math>", "a bc"),
    ],
)
def test_formula_stands_apart_from_numbers_around_it(html: str, text: str) -> None:
    assert shown("<p>" + html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("中文\n中文", "中文中文"),
        ("中文 \n\t 中文", "中文中文"),
        ("中文 中文", "中文 中文"),
        ("中文\nabc", "中文 abc"),
        ("abc\n中文", "abc 中文"),
        ("한국\n어", "한국 어"),
        ("中文。\n“好”\n中", "中文。“好”中"),
        ("かな\nカナ", "かなカナ"),
        ("中<b>文</b>\n<i>中</i>", "中文 中"),
        ("中\n<b>文</b>", "中文"),
        ("中<b>\n文</b>", "中文"),
        ("中<b>文</b> <i>中</i>", "中文 中"),
        ("中<br>\n文", "中\n文"),
        ("中\n<!-- x\n -->文", "中文"),
        ("中<b>文</b>\n中<i>文</i>", "中文中文"),
        ("中<!-- x\n -->文", "中文"),
        ("中 <!-- x\n -->文", "中 文"),
        ("１\n２", "１２"),
        ("中&nbsp;\n文", "中\xa0 文"),
        ("日本\r\n語", "日本語"),
        ("한\n中", "한 中"),
        ("中\n한", "中 한"),
        ("中<a href='a\nb'>文</a>", "中文"),
        ("中 <a href='a\nb'>文</a>", "中 文"),
    ],
)
def test_line_ends_between_wide_characters_are_no_spaces(html: str, text: str) -> None:
    assert shown("<p>" + html) == text


TEX = "<annotation encoding='application/x-tex'>x^2</annotation>"
MATHML = f"<math><semantics><msup><mi>x</mi><mn>2</mn></msup>{TEX}</semantics></math>"


@pytest.mark.parametrize(
    "html",
    [
        f"<span><span class=katex-mathml>{MATHML}</span><span class=katex-html aria-hidden=true>x2</span></span>",
        f"<mjx-math aria-hidden=true>x2</mjx-math><mjx-assistive-mml>{MATHML}</mjx-assistive-mml>",
        f"<span><span style='display: none'>{MATHML}</span><img alt='x^2' aria-hidden=true></span>",
        f"<span class=MathJax><nobr aria-hidden=true><span>x2</span></nobr><span>{MATHML}</span></span>",
        "<math alttext='x^2'><msup><mi>x</mi><mn>2</mn></msup></math>",
        "<math><msup><mi>x</mi><mn>2</mn></msup></math>",
        "x<sup>2</sup>",
    ],
)
@pytest.mark.parametrize("markdown", [False, True])
def test_formula_is_written_once_however_the_page_draws_it(html: str, markdown: bool) -> None:
    formula = "$x^2$" if markdown and ("x-tex" in html or "alttext" in html) else "x^2"
    assert shown(f"<p>Let {html} be", markdown=markdown) == f"Let {formula} be"


@pytest.mark.parametrize("sign", ["¶", "&para;", "#", "\u200b", "&#x1F517;"])
def test_a_heading_loses_the_sign_of_its_link_to_itself(sign: str) -> None:
    assert shown(f"<h2>Bread <a href='#bread'>{sign}</a></h2>") == "Bread"
    assert shown(f"<p>C<a href='/c'>{sign}</a>") != "C"


def test_marks_of_raised_text_stand_in_links_and_bold_text() -> None:
    html = "<p><b>10<sup>6</sup></b> <i>x<sub>1</sub></i> word<sup><a href='#1'>1</a></sup>"
    assert shown(html) == "10^6 x_1 word[1]"
    assert shown(html, markdown=True) == r"**10^6** *x_1* word\[1\]"


def test_pages_without_any_of_it_stay_as_they_are() -> None:
    sample = sample_page("<p>One <b>two</b>\n<ul><li>10 m²<table><tr><td>1<td>2</table>한\n국<br>中")
    chosen = np.ones(len(sample.page.blocks), np.bool_)
    data, page, same = rewritten(sample.data, sample.page, chosen)
    assert (data.ctypes.data, len(data)) == (sample.data.ctypes.data, len(sample.data))
    assert page.tree.nodes.ctypes.data == sample.page.tree.nodes.ctypes.data
    assert same.ctypes.data == chosen.ctypes.data


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 150))
def test_both_writers_agree_on_any_page(seed: int, number: int) -> None:
    draw = random.Random(seed)
    html = "".join(draw.choices(PIECES, k=number))
    blocks = len(sample_page(html).page.blocks)
    assert "\0" not in shown(html)
    shown(html, np.array([draw.random() < 0.7 for _ in range(blocks)], np.bool_), markdown=True)
