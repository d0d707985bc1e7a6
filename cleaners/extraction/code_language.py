"""The language of a listing, as the class or an attribute of an element around it names it.

    <pre><code class="language-js">        HTML standard, GitHub, Prism, highlight.js: also lang-js, highlight-source-js
    <div class="highlight-python3">        Sphinx
    <pre class="brush: js; gutter">        SyntaxHighlighter
    <pre class="sourceCode r">             pandoc
    <code data-lang="js">                  Asciidoctor, Hugo, Jekyll: also data-language

Else a class that is the name of a well-known language by itself, as R Markdown and highlight.js write it.
"""

import re

import numpy as np

from cleaners.extraction.formulas import attribute_value
from cleaners.extraction.html import attributes
from cleaners.extraction.html.names import words_of
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tags import TEXT, VERBATIM
from cleaners.extraction.json_ld import value_of
from shards.compiled import kernel

_NUM_AROUND = 3  # elements around the <pre> that are asked
_NUM_WITHIN = 3  # nodes in it that are asked: <code>, and a <div> before it
_NAME = r"([A-Za-z][\w+#-]{0,19})"
_NAMED = re.compile(
    rf"(?:^|\s)(?:language|lang|highlight-source|highlight|code-lang|gatsby-code)-{_NAME}(?=$|\s|:)"
    rf"|(?:^|\s)brush:\s*{_NAME}"
)
_ATTRIBUTES = tuple(
    tuple(np.uint64(word) for word in words_of(name)[:2]) for name in ("data-lang", "data-language", "data-code-lang")
)
_LANGUAGES = set(
    "bash c cpp csharp css diff go haskell html java javascript js json julia kotlin latex lisp lua make makefile "
    "matlab objc ocaml pascal perl php powershell prolog py python python3 r ruby rust scala scheme sh shell sql swift "
    "tex toml ts typescript xml yaml yml".split()
)
_NO_LANGUAGES = set(
    "default none text plain plaintext txt nohighlight no-highlight source wrap lines light dark".split()
)


def language_of(data: np.ndarray, tree: Tree, pre: int) -> str:
    """The name that the page gives the language of the listing `pre`, in lower case; "" without one."""
    nodes = tree.nodes
    elements = [k for k in range(pre, min(int(nodes[pre]["after"]), pre + 1 + _NUM_WITHIN)) if _is_element(nodes, k)]
    around = pre
    for _ in range(_NUM_AROUND):
        around = int(nodes[around]["parent"])
        if around > 0 and _has_one_listing(nodes, around, pre):
            elements.append(around)
    classes = [value_of(data, tree, element, attributes.CLASS) for element in elements]
    for element, names in zip(elements, classes, strict=True):
        for match in _NAMED.finditer(names):
            if (name := (match[1] or match[2]).lower()) not in _NO_LANGUAGES:
                return name
        for attribute in _ATTRIBUTES:
            start, end = attribute_value(data, nodes, element, attribute)
            name = data[start:end].tobytes().decode().strip().lower() if start >= 0 else ""
            if re.fullmatch(_NAME, name) and name not in _NO_LANGUAGES:
                return name
    return next((name for names in classes[:3] for name in names.lower().split() if name in _LANGUAGES), "")


def _is_element(nodes: np.ndarray, k: int) -> bool:
    return int(nodes[k]["tag"]) not in (TEXT, VERBATIM)


@kernel
def _has_one_listing(nodes, around, pre):
    """Whether an element holds no other listing: what holds a whole page says nothing of one.

    From the listing to the next on each side: pages of a million listings are read once.
    """
    for k in range(pre - 1, around, -1):
        if nodes[k].tag == nodes[pre].tag:
            return False
    for k in range(pre + 1, nodes[around].after):  # noqa: SIM110 - Numba has no generators
        if nodes[k].tag == nodes[pre].tag:
            return False
    return True
