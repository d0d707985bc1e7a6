r"""TeX that pages hold outside of their text: in scripts and attributes. It becomes text where the formula stands.

<script type="math/tex">x^2</script>                         MathJax 2
<img class="latex" alt="x^2"> <img src="…latex.php?…" alt>   pictures of formulas
<span data-latex="x^2">…</span>                              editors; what stands in it shows the same
"""

import numpy as np

from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.names import look_up, pack, table_of
from cleaners.extraction.html.tokenizer import is_space
from shards.compiled import kernel

NONE, IN_LINE, DISPLAY = range(3)  # kinds of formula by the type of a script

_TYPES = tuple(np.frombuffer(name, np.uint8) for name in (b"math/tex", b"math/latex", b"math/asciimath"))
_DISPLAY = np.frombuffer(b"display", np.uint8)
_GROUPS = tuple(np.frombuffer(name, np.uint8) for name in (b"\\begingroup", b"\\endgroup"))
_MATHJAX = np.frombuffer(b"MathJax", np.uint8)
_CLASSES = table_of("equation formula latex math math-inline mathcode mimetex tex texrender".split(), 1)
# Parts of classes and addresses: Wikipedia, WordPress, CodeCogs, Art of Problem Solving, CSDN, Zhihu, Jianshu, Google.
_WIKIPEDIA = np.frombuffer(b"mwe-math-fallback", np.uint8)
_ADDRESSES = tuple(
    np.frombuffer(part, np.uint8)
    for part in (
        b"latex.php?", b".latex?", b"latex.codecogs", b"latex.artofproblem", b"latex.csdn", b"equation?tex=",
        b"math?formula=", b"mimetex", b"mathtex", b"cht=tx&",
    )
)  # fmt: skip
_MAX_ADDRESS = 200  # bytes that are searched
_MAX_NAME = 3  # bytes of a formula without signs: x, PV, "NaCl" is a word
_SIGNS = np.zeros(256, np.bool_)
_SIGNS[[*b"\\^_={}$<>+"]] = True
# Values of data-tex and similar attributes that say how a formula is set.
_WAYS = table_of("true false inline block display 0 1".split(), 1)


@kernel
def kind_of_script(data, start, end, text_start, text_end):
    """The kind of formula in a script whose type is data[start:end]. Forums open and close groups that show nothing."""
    for name in _GROUPS:
        if _starts(data, text_start, text_end, name):
            return NONE
    for name in _TYPES:
        if _starts(data, start, end, name):
            return DISPLAY if _holds(data, start, end, _DISPLAY) else IN_LINE
    return NONE


@kernel
def formula_of(data, kept, first, end, tag):
    """The index of the attribute in kept[first:end] that holds the formula an element shows, or -1."""
    alt = classes = address = -1
    for k in range(first, end):
        name = kept[k].name
        if name == attributes.DATA_LATEX or name == attributes.DATA_TEX or name == attributes.DATA_FORMULA:
            low, high = pack(data, kept[k].start, kept[k].end)
            if kept[k].end > kept[k].start and not look_up(_WAYS, low, high, kept[k].end - kept[k].start):
                return k
        elif name == attributes.ALT:
            alt = k
        elif name == attributes.CLASS:
            classes = k
        elif name == attributes.SRC:
            address = k
    if tag != tags.IMG or alt < 0 or not _may_be_formula(data, kept[alt].start, kept[alt].end):
        return -1
    if classes >= 0 and _is_class_of_formula(data, kept[classes].start, kept[classes].end):
        return alt
    if address >= 0:
        stop = min(kept[address].end, kept[address].start + _MAX_ADDRESS)
        for part in _ADDRESSES:
            if _holds(data, kept[address].start, stop, part):
                return alt
    return -1


@kernel
def is_mathjax(data, start, end):
    """Whether a class is one of MathJax's, whose elements show the formula of the script after them."""
    return _starts(data, start, end, _MATHJAX)


@kernel
def _may_be_formula(data, start, end):
    for k in range(start, end):
        if _SIGNS[data[k]]:
            return True
    return 0 < end - start <= _MAX_NAME


@kernel
def _is_class_of_formula(data, start, end):
    i = start
    while i < end:
        stop = i
        while stop < end and not is_space(data[stop]):
            stop += 1
        low, high = pack(data, i, stop)
        if look_up(_CLASSES, low, high, stop - i) or _starts(data, i, stop, _WIKIPEDIA):
            return True
        i = stop + 1
    return False


@kernel
def _starts(data, start, end, part):
    if end - start < len(part):
        return False
    same = True
    for k in range(len(part)):
        same &= data[start + k] == part[k]
    return same


@kernel
def _holds(data, start, end, part):
    i = start
    while i < end and not (data[i] == part[0] and _starts(data, i, end, part)):
        i += 1
    return i < end
