r"""Formulas in a line of Markdown: `$x^2$`, and `$$x^2$$` where one stands alone.

Pages that MathJax or KaTeX renders in the browser hold TeX in their text: `\(x^2\)`, `\[x^2\]`, `$$x^2$$`, `$x^2$`, or
an environment such as `equation`. Single dollars are taken by pandoc's rule (https://pandoc.org/MANUAL.html#math), and
only around a letter or what has signs of TeX: "$5 and $6" is no formula.
"""

import re
from collections.abc import Iterator

_NAMES = r"(?:equation|align|gather|eqnarray|multline)\*?"
# A formula ends before the next beginning of its kind, so that beginnings without an end cost no more than their text.
_IN_TEXT = re.compile(
    r"\\\((?P<round>(?:(?!\\\().)+?)\\\)|\\\[(?P<square>(?:(?!(?<!\\)\\\[).)+?)\\\]|\$\$(?P<double>[^$]+)\$\$"
    rf"|(?P<environment>\\begin\{{(?P<name>{_NAMES})\}}(?:(?!\\begin\{{{_NAMES}\}}).)+?\\end\{{(?P=name)\}})"
    r"|(?<![\\\w$])\$(?P<single>[A-Za-z]|(?=\S)(?=[^$\n\\^_]*+[\\^_])[^$\n]*+(?<=\S))\$(?![\d$])",
    re.S,
)
_MAY_BE_FORMULA = re.compile(r"\$(?=[^\s$])[^$]*[^\s$]\$(?!\d)")


def formulas_in(text: str) -> Iterator[tuple[str, bool]]:
    """The pieces of a text and whether each is a formula, which has lost its marks."""
    end = 0
    for match in _IN_TEXT.finditer(text) if "\\" in text or "$" in text else ():
        if match.start() > end:
            yield text[end : match.start()], False
        tex = next(match[name] for name in ("round", "square", "double", "environment", "single") if match[name])
        yield tex, True
        end = match.end()
    if end < len(text):
        yield text[end:], False


def marked_formula(tex: str, *, is_alone: bool) -> str:
    """A formula in one line of Markdown, between dollars; `is_alone` says that nothing else stands in its paragraph."""
    tex = " ".join(tex.split())
    marks = "$$" if is_alone else "$"
    return f"{marks}{tex}{marks}" if tex else ""


def with_escaped_dollars(text: str) -> str:
    """Text with a backslash before each dollar if two of them would make a formula of it."""
    return text.replace("$", "\\$") if _MAY_BE_FORMULA.search(text) else text
