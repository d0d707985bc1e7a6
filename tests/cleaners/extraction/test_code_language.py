"""Languages of listings, by the names that programs give them."""

import numpy as np
import pytest

from cleaners.extraction.code_language import language_of
from cleaners.extraction.html import tags
from cleaners.extraction.html.tree import parse


def language(html: str) -> str:
    data = np.frombuffer(html.encode(), np.uint8)
    tree = parse(data)
    return language_of(data, tree, int(np.flatnonzero(tree.nodes["tag"] == tags.PRE)[0]))


@pytest.mark.parametrize(
    ("html", "name"),
    [
        ('<pre><code class="language-js hljs">1', "js"),
        ('<pre class="lang-py prettyprint">1', "py"),
        ('<div class="highlight highlight-source-shell"><pre>1', "shell"),
        ('<div class="highlight-python3 notranslate"><div class="highlight"><pre>1', "python3"),
        ('<pre class="brush: js; gutter: true">1', "js"),
        ('<div class="sourceCode"><pre class="sourceCode r"><code>1', "r"),
        ('<pre class="highlight"><code data-lang="C++">1', "c++"),
        ('<pre class="r"><code>1', "r"),
    ],
)
def test_language_is_found_as_programs_name_it(html: str, name: str) -> None:
    assert language(html) == name


@pytest.mark.parametrize(
    "html",
    [
        "<pre>1",
        '<pre class="language-none"><code class="language-text">1',
        '<div class="highlight-default"><pre>1',
        '<div class="language-js"><pre>1</pre><pre>2</pre></div>',
        '<pre class="sample box"><code>1',
    ],
)
def test_listing_without_a_name_has_no_language(html: str) -> None:
    assert language(html) == ""
