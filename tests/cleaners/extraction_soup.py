"""Pages for the tests of features and models: tag soup in several scripts, and pages as the kernels read them."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from cleaners.extraction.features.block_features import features_of
from cleaners.extraction.features.columns import FEATURES
from cleaners.extraction.features.linear import SLOTS, LinearModels
from cleaners.extraction.features.page import Containers, ParsedPage, containers_of, read_page
from cleaners.extraction.features.page_kinds import NUM_KINDS, KindModel
from cleaners.extraction.features.page_kinds import SLOTS as KIND_SLOTS
from cleaners.extraction.features.template_counts import signatures_with_parents
from cleaners.extraction.html.tags import VERBATIM
from cleaners.extraction.markdown import formatted_text
from cleaners.extraction.plain_text import max_plain_text_bytes, write_plain_text
from cleaners.extraction.rewriting import rewritten


class SamplePage(NamedTuple):
    data: np.ndarray
    page: ParsedPage
    containers: Containers
    signatures: np.ndarray


def sample_page(html: str | bytes) -> SamplePage:
    data = np.frombuffer(html if isinstance(html, bytes) else html.encode(), np.uint8)
    page = read_page(data)
    return SamplePage(data, page, containers_of(page), signatures_with_parents(data, page.tree)[1])


def around(nodes: Any, node: int) -> Iterator[int]:
    """The node, its parent and so on, without <html> (node 0)."""
    while node > 0:
        yield node
        node = int(nodes["parent"][node])


def is_element(nodes: Any, node: int) -> bool:
    return bool(nodes["tag"][node] > VERBATIM)


def random_weights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SLOTS).astype(np.float32)


def random_models() -> LinearModels:
    draw = np.random.default_rng(3)
    kinds = KindModel(*(draw.normal(size=shape).astype(np.float32) for shape in ((KIND_SLOTS, NUM_KINDS), NUM_KINDS)))
    return LinearModels(random_weights(1), random_weights(2), kinds)


def feature_value(html: str, name: str, block: int = 0) -> float:
    """A feature of one block of a page; the linear models have random weights."""
    sample = sample_page(html)
    x = features_of(sample.data, sample.page, sample.containers, random_models())
    return float(x[block, list(FEATURES).index(name)])


OPENINGS = (
    "p h1 h2 h3 div section article main nav header footer aside ul li a b i table tr td blockquote pre form label "
    "button figure span template"
).split()
TEXTS = [
    "One sentence, that is the end of it. ",
    "Ещё немного слов из Москвы, и всё! ",
    "今天的天气很好，我们去公园。",
    "هذا نص عربي، أليس كذلك؟ ",
    "Größe: 12,50 € | © 2024 » ",
    "fish &amp; chips&hellip; &lt;3 &eacute;t&Eacute; ",
    "NASA",
    "x",
    "(“Why?”)",
    "1. ",
    " ",
    "long " * 45,
]
MARKUP = [
    *(f"<{name}>" for name in OPENINGS),
    *(f"</{name}>" for name in OPENINGS),
    "<br>",
    "<br>",
    "<p class='text2 storyBody'>",
    "<div class='nav-menu item-12' id=main>",
    "<li class=item>",
    "<p hidden>",
    "<div aria-hidden=true>",
    "<a href=x>",
    "<title>One sentence of Москвы</title>",
    "<img src=x>",
    "<input>",
    "<meta property=og:type content=article>",
    "<meta name=Description content='One sentence &amp; some words of Москвы, that is the end'>",
    "<meta name=generator content='Mill 2.0'>",
    "<ul class=comments>",
    "<h3>Comments (2)</h3>",
    '<script type=application/ld+json>{\'a\': [{"@type": "Article"}, {"@type":"Offer"}]}</script>',
    "<svg><desc>x</desc>",
    "</svg>",
]


def large_soup(seed: int, num_pieces: int) -> str:
    draw = random.Random(seed)
    return "".join(draw.choice(draw.choice([TEXTS, MARKUP])) for _ in range(num_pieces))


# Lists that Hypothesis draws have few pieces, and windows span 25 blocks.
soup = st.one_of(
    st.lists(st.sampled_from(TEXTS + MARKUP), max_size=30).map("".join),
    st.builds(large_soup, st.integers(0, 1 << 32), st.integers(0, 120)),
)


# Parts of pages with text in two dimensions; "_" stands for a blank.
_PIECES = """
    <p> <div> <b> </b> <a_href=#x> </a> <br> <sup> </sup> <sub> </sub> <math> </math> <mfrac> </mfrac> <msup> </msup>
    <mn>1</mn> <mi>sin</mi> <mo>+</mo> <mtable> <mtr> <mtd> <mfenced> <mmultiscripts> <mprescripts/> <msqrt> <mroot>
    <math_alttext='{\\displaystyle_x^2}'> <pre> </pre> <code> </code> <table> <tr> <td> <td_class=gutter> </table> <ul>
    <li> <td_class=blob-code> <div_class=syntaxhighlighter> <span_class=lineno> </span> </div>
    <div_style='font:monospace;white-space:pre'> 1 2 10 word 中文 中 &nbsp; &nGt; / + , $ € _ NEWLINE
""".split()
PIECES = [piece.replace("_", " ").replace("NEWLINE", "\n") for piece in _PIECES]


def shown(html: str | bytes, chosen: np.ndarray | None = None, *, markdown: bool = False) -> str:
    """The text of the chosen blocks, else of all, rewritten and written. Both writers agree on plain lines."""
    plain, formatted = written(html, chosen, markdown=False)
    assert formatted == plain
    return written(html, chosen, markdown=True)[1] if markdown else plain


def written(html: str | bytes, chosen: np.ndarray | None = None, *, markdown: bool = True) -> tuple[str, str]:
    """What the writer of plain text writes, and what that of Markdown does."""
    sample = sample_page(html)
    if chosen is None:
        chosen = sample.page.measured.measures["chars"] > 0
    data, page, chosen = rewritten(sample.data, sample.page, chosen)
    room = max_plain_text_bytes(page, chosen)
    out = np.empty(room, np.uint8)
    text = out[: write_plain_text(data, page, chosen, out, 0)].tobytes().decode()
    return text, formatted_text(data, page, chosen, markdown=markdown, links=False)
