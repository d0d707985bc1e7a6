import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage_cases import reasons_of, texts
from word_oracle import split

from cleaners import refinedweb_lines
from cleaners.refinedweb_lines import RefinedWebLinesConfig
from shards.errors import UserError

CONFIG = RefinedWebLinesConfig(name="refinedweb_lines")
PROSE = "This line is prose and stays as it is."


def corrected(line: str, config: RefinedWebLinesConfig = CONFIG) -> str:
    """What is left of a line between two lines of prose."""
    text = config.build()(texts(f"{PROSE}\n{line}\n{PROSE}"))["text"][0].as_py()
    return text.removeprefix(PROSE).removesuffix(PROSE).strip("\n")


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("mainly upper case", "AB cd", "ABC de"),
        ("only a number", "3 apples", "1,234.5"),
        ("only a number", "§ 4 a", "10:30 - 12"),
        ("a counter", "3 likes it", "3 likes"),
        ("a counter", "views 10", "• 1.2K views"),
        ("a single word", "two words", "word."),
        ("a single word", "中文", "中"),
    ],
)
def test_a_line_that_is(rule: str, inside: str, outside: str) -> None:
    assert corrected(inside) == inside
    assert corrected(outside) == ""


@pytest.mark.parametrize(
    "line",
    ["这是一行中文没有空格", "これは日本語の行です", "ภาษาไทยไม่มีช่องว่าง", "ភាសាខ្មែរ", "မြန်မာဘာသာ", "ພາສາລາວ"],
)
def test_a_line_in_a_script_without_spaces_is_not_a_single_word(line: str) -> None:
    assert corrected(line) == line


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("Sign-in to read on", "to read on"),
        ("sign in: to read on", "to read on"),
        ("please sign-in to read on", "please sign-in to read on"),
        ("signing in to read on", "signing in to read on"),
        ("The story goes on. Read more...", "The story goes on."),
        ("The story goes on. READ MORE »", "The story goes on."),
        ("Read more about the story", "Read more about the story"),
        ("You have 3 items in cart, dear", "You have 3 dear"),
        ("0 items in cart", ""),
    ],
)
def test_phrases_are_cut_at_the_start_at_the_end_and_anywhere(line: str, left: str) -> None:
    assert corrected(line) == left


def test_a_line_of_more_than_ten_words_keeps_its_phrases() -> None:
    ten = "one two three four five six seven eight read more"
    assert corrected(ten) == ten.removesuffix(" read more")
    assert corrected(f"zero {ten}") == f"zero {ten}"


def test_phrases_are_settings() -> None:
    config = RefinedWebLinesConfig(name="lines", line_starts=(), line_ends=("Читать далее",), anywhere=())
    assert corrected("Так всё и было. Читать далее…", config) == "Так всё и было."
    assert corrected("Sign-in to read on", config) == "Sign-in to read on"


def test_a_phrase_without_a_word_is_the_users_error() -> None:
    with pytest.raises(UserError, match="anywhere"):
        RefinedWebLinesConfig.parse({"name": "lines", "anywhere": ["»"]}, "recipe.toml: stage[0] refinedweb_lines")


def test_too_many_words_removed() -> None:
    words = "word " * 19
    assert reasons_of(CONFIG, f"{words}\ngone") == []
    assert reasons_of(CONFIG, f"{words.removesuffix('word ')}\ngone") == ["too_many_words_removed"]


PIECES = [
    "Sign-in",
    "read more",
    "items in cart",
    "Read  More »",
    "3 likes",
    "GONE",
    "word",
    "one two",
    "字字",
    "ภา",
    "12",
]
BLANKS = ["\n", "\n\n", "\n \n", "\n\u3000\n\n\n", " ", "\t", ", ", ": ", "", "."]
furniture = st.lists(st.sampled_from(PIECES + BLANKS), max_size=24).map("".join)


def corrected_plainly(text: str) -> str:
    """Line by line, with the patterns on every line."""
    phrases = refinedweb_lines._phrases(CONFIG.line_starts, CONFIG.line_ends, CONFIG.anywhere)
    lines, edited = [], False
    for line in text.split("\n"):
        left = _left(phrases, line.strip()) if line.strip() else line
        edited |= bool(line.strip()) and left != line.strip()
        lines.append(line if left == line.strip() else left if left else None)
    if not edited:
        return text
    lines += [""] if lines[-1] is None else []  # the newline before the last line stays, and counts as one at the end
    kept = "\n".join(line for line in lines if line is not None)
    return re.sub(r"\n(?:[^\S\n]*\n){2,}", "\n\n", kept).strip("\n")


def _left(phrases: re.Pattern[str], line: str) -> str:
    chars = "".join(split(line))
    if sum(c.lower() != c for c in chars) > 0.5 * len(chars) or refinedweb_lines._COUNTER.fullmatch(line):
        return ""
    if re.search(r"\d", chars) and not re.search(r"[^\W\d_]|\u0e32", chars):
        return ""
    if len(split(line)) == 1 and "ภ" not in line:
        return ""
    if len(split(line)) > 10 or not phrases.search(line):
        return line
    left = phrases.sub(lambda match: (re.search(r"\s", match[0]) or [""])[0], line)
    return left.strip() if re.search(r"[^\W\d_]", left) else ""


@given(st.lists(st.one_of(st.none(), furniture), max_size=3))
def test_the_text_without_the_cut_spans_is_that_of_plain_python(values: list[str | None]) -> None:
    for text, row in zip(values, CONFIG.build()(texts(*values)).to_pylist(), strict=True):
        spans = row["refinedweb_lines.cut_spans"]
        assert (text is None) == (spans is None)
        if text is not None:
            edges = [0, *spans, len(text.encode())]
            assert sorted(set(spans)) == spans
            left = b"".join(text.encode()[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
            assert left.decode() == row["text"] == corrected_plainly(text)


def test_a_phrase_leaves_the_white_space_before_it() -> None:
    assert corrected("You have\u00a03\titems in cart, dear") == "You have\u00a03\tdear"


def test_removed_lines_leave_no_hole() -> None:
    text = "a b\n\nGONE\n\nc d\n\n\ngone\n"
    measured = CONFIG.build()(texts(text, "a b\n\n\n\nc d")).to_pylist()
    assert measured[0]["text"] == "a b\n\nc d"
    assert measured[0]["refinedweb_lines.lines_removed"] == 2
    assert measured[1]["text"] == "a b\n\n\n\nc d"  # nothing to correct, so nothing is touched
