"""Formulas as lines of text: each shape of MathML by hand, TeX beside it, and what is malformed or large."""

import numpy as np
import pytest

from cleaners.extraction.formulas import MAX_BYTES_ADDED, write_formula
from cleaners.extraction.html import tags
from cleaners.extraction.html.text import max_text_bytes
from cleaners.extraction.html.tree import parse


def line(formula: str) -> str:
    html = formula if "<math" in formula else f"<math>{formula}</math>"
    data = np.frombuffer(html.encode(), np.uint8)
    tree = parse(data)
    math = int(np.flatnonzero(tree.nodes["tag"] == tags.MATH)[0])
    out = np.empty(max_text_bytes(len(data)) + MAX_BYTES_ADDED * len(tree.nodes), np.uint8)
    return out[: write_formula(data, tree, math, out, 0)].tobytes().decode()


def E(tag: str, *inside: str) -> str:
    return f"<{tag}>{''.join(inside)}</{tag.split()[0]}>"


def R(*inside: str) -> str:
    return E("mrow", *inside)


def N(number: float | str) -> str:
    return E("mn", str(number))


def I(name: str) -> str:  # noqa: E743
    return E("mi", name)


def O(operator: str) -> str:  # noqa: E743
    return E("mo", operator)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (E("mfrac", R(I("a"), O("+"), I("b")), R(I("c"), O("+"), I("d"))), "(a+b)/(c+d)"),
        (E("mfrac", E("mfrac", N(1), N(2)), N(3)), "(1/2)/3"),
        (E("msup", R(O("("), I("a"), O("+"), I("b"), O(")")), N(2)), "(a+b)^2"),
        (E("msup", E("mfenced", R(I("a"), O("+"), I("b"))), N(2)), "(a+b)^2"),
        (E("msup", R(I("a"), O("+"), I("b")), N(2)), "(a+b)^2"),
        (E("msup", I("x"), E("mfrac", N(1), N(2))), "x^(1/2)"),
        (E("msup", I("e"), R(O("−"), I("x"))), "e^−x"),
        (E("msup", E("msup", I("x"), N(2)), N(3)), "(x^2)^3"),
        (E("msub", I("x"), N(1)), "x_1"),
        (E("msub", I("x"), R(I("i"), O("+"), N(1))), "x_(i+1)"),
        (E("msubsup", I("x"), N(1), N(2)), "x_1^2"),
        (E("munderover", O("∑"), R(I("i"), O("="), N(1)), I("n")) + I("i"), "∑_(i=1)^ni"),
        (E("mfenced separators='；'", I("a"), I("b"), I("c")), "(a；b；c)"),
        (E("mfenced separators=';,'", I("a"), I("b"), I("c")), "(a;b;c)"),
        (E("mfenced separators=''", I("a"), I("b")), "(ab)"),
        (E("munder", I("lim"), R(I("x"), O("→"), N(0))) + I("f"), "lim_(x→0)f"),
        (E("mover", I("x"), O("¯")), "x¯"),
        (E("msup", I("f"), O("′")), "f′"),
        (E("msqrt", I("a"), O("+"), I("b")), "√(a+b)"),
        (E("msqrt", E("msup", I("x"), N(2)), O("+"), N(1)), "√(x^2+1)"),
        (E("mfrac", E("msqrt", N(2)), N(2)), "√2/2"),
        (E("mroot", R(I("x"), O("+"), N(1)), I("n")), "(x+1)^(1/n)"),
        (E("mfenced open='[' close=']' separators=';'", N(1), N(2)), "[1;2]"),
        (E("mfenced", N(1), N(2)), "(1,2)"),
        (E("mfenced open='' close='' separators=''", N(1), I("x")), "1x"),
        (
            O("(")
            + E("mtable", E("mtr", E("mtd", N(1)), E("mtd", N(0))), E("mtr", E("mtd", N(0)), E("mtd", N(1))))
            + O(")"),
            "(1 0; 0 1)",
        ),
        (
            O("|")
            + E("mtable", E("mtr", E("mtd", I("a")), E("mtd", I("b"))), E("mtr", E("mtd", I("c")), E("mtd", I("d"))))
            + O("|"),
            "|a b; c d|",
        ),
        (
            E(
                "mtable",
                E("mtr", E("mtd", I("x")), E("mtd", O("="), N(1))),
                E("mtr", E("mtd", I("y")), E("mtd", O("="), N(2))),
            ),
            " x =1; y =2",
        ),
        (
            O("{")
            + E(
                "mtable",
                E("mtr", E("mtd", N(1)), E("mtd", E("mtext", "if "), I("x"), O("&gt;"), N(0))),
                E("mtr", E("mtd", N(0))),
            ),
            "{1 if x>0; 0",
        ),
        (E("mmultiscripts", I("C"), "<none/>", "<none/>", "<mprescripts/>", N(6), N(14)), "_6^14 C"),
        (E("mmultiscripts", I("R"), I("i"), "<none/>", "<none/>", I("j")), "R_i^j"),
        (N(1) + "<mspace width='1em'/>" + N(2), "1 2"),
        (N(1) + N(2), "1 2"),
        (N(2) + O("\u2062") + I("x"), "2x"),
        (N(2) + O("&InvisibleTimes;") + I("x"), "2x"),
        (I("sin") + O("\u2061") + I("x"), "sin x"),
        (I("g") + E("msup", I("t"), N(2)), "gt^2"),
        (E("mfrac", N(1), N(2)) + I("g"), "1/2 g"),
        (E("mfrac linethickness='0'", I("n"), I("k")), "n; k"),
        (O("(") + E("mfrac linethickness=0", I("n"), I("k")) + O(")"), "(n; k)"),
        (E("mfrac bevelled='true'", N(1), N(2)), "1/2"),
        (E("mphantom", N(5)) + N(3), "3"),
        (E("maction", N(1), N(2)), "1"),
        (E("mstyle", E("mpadded", E("mfrac", N(1), N(2)))), "1/2"),
        (E("mfrac", N(1)), "1"),
        (E("mfrac"), ""),
        ("", ""),
        (E("msup"), ""),
        (E("msup", N(2)), "2"),
        (E("mfrac", N(1), N(2), N(3)), "1/2"),
        (E("msup", N(10), ""), "10"),
        (E("mfrac", E("mtext", "distance in metres"), E("mtext", "time")), "distance in metres/time"),
        ("<mfrac>\n <mn>1</mn>\n <mn>2</mn>\n</mfrac>", "1/2"),
        ("<mi>x</mi>\n<mo>=</mo>\n<mn>1</mn>", "x=1"),
        ("<mi>a</mi>\n<msup>\n<mi>x</mi>\n<mn>2</mn>\n</msup>", "a x^2"),
        ("<math alttext='\\frac{1}{2}'><mfrac><mn>1</mn><mn>2</mn></mfrac></math>", "\\frac{1}{2}"),
        ("<math alttext='StartFraction 1 Over 2 EndFraction'><mfrac><mn>1</mn><mn>2</mn></mfrac></math>", "1/2"),
        ("<math alttext='{\\displaystyle s={\\frac {1}{2}}gt^{2}}'><mn>1</mn></math>", "s={\\frac {1}{2}}gt^{2}"),
        ("<math alttext='$x^2$'><mn>1</mn></math>", "x^2"),
        ("<math alttext='\\(x^2\\)'><mn>1</mn></math>", "x^2"),
        ("<math alttext='a%\n  b^2'><mn>1</mn></math>", "ab^2"),
        ("<math alttext='10\\%\n of x_1'><mn>1</mn></math>", "10\\% of x_1"),
        (
            "<math><semantics><mn>1</mn><annotation-xml encoding='MathML-Content'><cn>1</cn></annotation-xml>"
            "<annotation encoding='LaTeX'>\\tfrac12 &amp;&lt;</annotation></semantics></math>",
            "\\tfrac12 &<",
        ),
        ("<math><semantics><mn>1</mn><annotation encoding='text/plain'>one</annotation></semantics></math>", "1"),
        ("<math><semantics><mn>1</mn><annotation encoding='application/x-tex'></annotation></semantics></math>", "1"),
        (
            R(R(R(E("mfrac", R(N(1)), R(N(2)))))),
            "1/2",
        ),
        ("<m:math>x</m:math><math><mn>1</mn></math>", "1"),
        (E("menclose notation=box", N(4)), "4"),
        (E("mstack", N(12), E("msrow", O("+"), N(3))), "12+3"),
        (E("msup", E("mi", "m"), R(O("-"), N(1))), "m^-1"),
        (E("mfrac", R(O("-"), N(1)), R(O("-"), N(2))), "-1/(-2)"),
        (E("mfrac", I("dy"), I("dx")), "dy/dx"),
        (E("mfrac", R(I("d"), I("y")), R(I("d"), I("x"))), "(dy)/(dx)"),
        (E("msup", E("mrow", O("("), I("a"), O(")"), O("("), I("b"), O(")")), N(2)), "((a)(b))^2"),
        (N("3.5") + O("±") + N("0.1"), "3.5±0.1"),
        (E("mover", E("mo", "→"), E("mtext", "yes")), "→^yes"),
    ],
)
def test_formula_keeps_its_value(formula: str, text: str) -> None:
    assert line(formula) == text


@pytest.mark.parametrize(
    "piece",
    [
        "<mfrac><mn>1</mn>",
        "<msup><mrow>",
        "<mfrac><mn>1</mn><mn>2</mn></mfrac>",
        "<mtable><mtr><mtd>",
        "<mfenced>",
        "<mmultiscripts><mi>x",
    ],
)
def test_deep_and_long_formulas_are_written_in_linear_time(piece: str) -> None:
    assert len(line(piece * 20_000)) < 20_000 * len(piece)


@pytest.mark.parametrize("tex", ["\\" + "%" * 1_000_000, "{\\displaystyle " * 100_000 + "x" + "}" * 100_000])
def test_long_tex_is_written_in_linear_time(tex: str) -> None:
    """A step that is quadratic takes minutes here."""
    assert len(line(f"<math alttext='{tex}'></math>")) > len(tex) - 300
