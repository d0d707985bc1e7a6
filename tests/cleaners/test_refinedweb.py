import pytest
from stage_cases import reasons_of, texts

from cleaners.refinedweb import RefinedWebLinesConfig

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
def test_a_line_in_a_script_without_spaces_is_no_single_word(line: str) -> None:
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
def test_phrases_go_from_the_start_the_end_and_anywhere(line: str, left: str) -> None:
    assert corrected(line) == left


def test_a_line_of_more_than_ten_words_keeps_its_phrases() -> None:
    ten = "one two three four five six seven eight read more"
    assert corrected(ten) == ten.removesuffix(" read more")
    assert corrected(f"zero {ten}") == f"zero {ten}"


def test_phrases_are_settings() -> None:
    config = RefinedWebLinesConfig(name="lines", line_starts=(), line_ends=("Читать далее",), anywhere=())
    assert corrected("Так всё и было. Читать далее…", config) == "Так всё и было."
    assert corrected("Sign-in to read on", config) == "Sign-in to read on"


def test_too_many_words_removed() -> None:
    words = "word " * 19
    assert reasons_of(CONFIG, f"{words}\ngone") == []
    assert reasons_of(CONFIG, f"{words.removesuffix('word ')}\ngone") == ["too_many_words_removed"]


def test_lines_taken_out_leave_no_hole() -> None:
    text = "a b\n\nGONE\n\nc d\n\n\ngone\n"
    measured = CONFIG.build()(texts(text, "a b\n\n\n\nc d")).to_pylist()
    assert measured[0]["text"] == "a b\n\nc d"
    assert measured[0]["refinedweb_lines.lines_removed"] == 2
    assert measured[1]["text"] == "a b\n\n\n\nc d"  # nothing to correct, so nothing is touched
