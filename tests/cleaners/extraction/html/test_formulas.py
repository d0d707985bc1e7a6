"""TeX in scripts and attributes is text where the formula stands, once."""

import numpy as np
import pytest
from extraction_soup import sample_page

from cleaners.extraction.plain_text import max_plain_text_bytes, write_plain_text


def plain(html: str) -> str:
    page = sample_page(html)
    chosen = np.ones(len(page.page.blocks), np.bool_)
    out = np.empty(max_plain_text_bytes(page.page, chosen), np.uint8)
    return out[: write_plain_text(page.data, page.page, chosen, out, 0)].tobytes().decode()


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ('<script type="math/tex">x^2 < 3</script>', "x^2 < 3"),
        ("<script type=math/latex>x</script>", "x"),
        ("<script type=math/asciimath>x/2</script>", "x/2"),
        ("<script type=math/tex></script>", ""),
        ("<script type=math/tex>\\begingroup</script>", ""),
        ("<script>x</script><script type=math/mml><math></script>", ""),
        ('<b class=MathJax_Preview>p</b><b class=MathJax><i>r</i></b><script type="math/tex">x</script>', "x"),
        ("<b class=other>p</b><script type=math/tex>x</script>", "px"),
        ('<img class="latex" alt="x^2">', "x^2"),
        ('<img class="wide tex" alt=x>', "x"),
        ('<img class=latex alt="">', ""),
        ("<img class=latex>", ""),
        ('<img class="math" alt="A lesson">', ""),
        ('<img src="https://s0.wp.com/latex.php?latex=x" alt="x">', "x"),
        ('<img src="//latex.codecogs.com/gif.latex?x" alt="x_1">', "x_1"),
        ('<img src="https://www.zhihu.com/equation?tex=x" alt="x^{2}" eeimg=1>', "x^{2}"),
        ('<img src="/latex-gloves.jpg" alt="Gloves + soap">', ""),
        ('<img class=photo alt="a=b">', ""),
        ('<img data-tex="inline" class=formula alt="$a &lt; b$">', "$a < b$"),
        ('<img data-latex="x^2" alt="a picture">', "x^2"),
        ('<span data-latex="\\frac{1}{2}"><b>1</b>2</span>', "\\frac{1}{2}"),
        ('<span class="ztext-math" data-tex="x^2">x^2</span>', "x^2"),
        ('<span data-formula="x^2"><svg><path/></svg></span>', "x^2"),
        ('<span data-tex="true">x</span>', "x"),
        ('<img class="mwe-math-fallback-image-inline" aria-hidden=true alt="x^2">', "x^2"),
        ('<math><mi>q</mi></math><img class="mwe-math-fallback-image-inline" aria-hidden=true alt="q">', "q"),
        ('<i><math><mi>q</mi></math></i> <img class="mwe-math-fallback-image-inline" alt="q_1">', "q"),
        ('<math><mi>q</mi></math> and <img class=latex alt="q_1">', "q and q_1"),
        ("<b class=MathJax><math><mi>q</mi></math></b><script type=math/tex>x</script>", "x"),
        ("<script type=math/tex class=MathJax>x</script><script type=math/tex class=MathJax>y</script>", "xy"),
    ],
)  # fmt: skip
def test_formula_is_text(formula: str, text: str) -> None:
    assert plain(f"<p>It is {formula} here.") == (f"It is {text} here." if text else "It is here.")


def test_a_formula_of_its_own_line() -> None:
    assert plain('<p>It is<script type="math/tex; mode=display">x_1</script>here.') == "It is\nx_1\nhere."
    shown = "<b class=MathJax_Display><math><mi>q</mi></math></b>"
    assert plain(f'<p>It is{shown}<script type="math/tex; mode=display">x_1</script>here.') == "It is\nx_1\nhere."
    assert plain('<p>It is<div data-latex="x_1">1</div>here.') == "It is\nx_1\nhere."


def test_many_formulas_are_read_in_linear_time() -> None:
    for part in ("<img class=tex alt=x>", "<span data-tex=x>", "<b class=MathJax>", "<script type=math/tex>x</script>"):
        assert "x" in plain(f"<p>{part * 20_000}<script type=math/tex>x</script>")
    assert "x" in plain("<p>" + "<script type=math/tex class=MathJax>x</script>" * 100_000)
