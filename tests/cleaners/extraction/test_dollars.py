"""Formulas between dollars, and dollars that are money."""

import pytest

from cleaners.extraction.dollars import formulas_in, marked_formula, with_escaped_dollars


@pytest.mark.parametrize("text", [r"\(x^2\)", r"\[x^2\]", "$$x^2$$", "$x^2$"])
def test_formula_in_text_loses_its_marks(text: str) -> None:
    assert list(formulas_in(f"Let {text} be")) == [("Let ", False), ("x^2", True), (" be", False)]


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        (r"\(a \(b\)", ["b"]),
        (r"\[ a \\[2pt] b \]", [r" a \\[2pt] b "]),
        (r"\begin{align}a \begin{align}b\end{align}", [r"\begin{align}b\end{align}"]),
        (r"\begin{equation}\begin{split}a\end{split}\end{equation}", None),
        ("it costs $5 and a_b, or $x_1$", ["x_1"]),
        ("$x_1 + y$ and $z$", ["x_1 + y", "z"]),
    ],
)
def test_a_formula_ends_before_the_next_beginning_of_its_kind(text: str, formulas: list[str] | None) -> None:
    assert [piece for piece, is_formula in formulas_in(text) if is_formula] == (formulas or [text])


def test_environment_stays_part_of_its_formula() -> None:
    tex = r"\begin{align*}a &= b\end{align*}"
    assert list(formulas_in(tex)) == [(tex, True)]


@pytest.mark.parametrize("text", ["$5 and $6", "from $5 to $6_000", "US$x_1$", r"\$x^2\$", "$HOME and $PATH", ""])
def test_money_and_shells_are_no_formulas(text: str) -> None:
    assert not any(is_formula for _, is_formula in formulas_in(text))


def test_formula_alone_stands_between_two_dollars_on_one_line() -> None:
    assert marked_formula("a\n  = b", is_alone=True) == "$$a = b$$"
    assert marked_formula("a", is_alone=False) == "$a$"
    assert marked_formula(" ", is_alone=True) == ""


def test_dollars_are_escaped_where_two_would_make_a_formula() -> None:
    assert with_escaped_dollars("$a or b$") == r"\$a or b\$"
    assert with_escaped_dollars("$5 or $6") == "$5 or $6"
