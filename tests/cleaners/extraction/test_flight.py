"""Rows of React Server Components become HTML again."""

import json
import random
from typing import Any

import pytest

from cleaners.extraction.flight import flight_page
from cleaners.extraction.prose import plain_text


def pushed(*parts: str) -> list[str]:
    return [
        "(self.__next_f=self.__next_f||[]).push([0])",
        *(f"self.__next_f.push({json.dumps([1, p])})" for p in parts),
    ]


def element(tag: str, children: Any = None, **properties: Any) -> list[Any]:
    return ["$", tag, None, properties | ({} if children is None else {"children": children})]


def row(name: str, value: Any) -> str:
    return f"{name}:{json.dumps(value)}\n"


def html(*rows: str) -> str:
    return flight_page(pushed(*rows)).html


def test_an_element_is_written_with_its_children_and_attributes() -> None:
    article = element(
        "article",
        [element("p", ["One ", element("b", "two", className="x"), " & 3"]), element("br"), None, False, 4],
        className="story",
    )
    written = '<article class="story"><p>One <b class="x">two</b> &amp; 3</p><br>4</article>'
    assert html(row("0", article)) == written
    assert html(row("0", {"P": None, "b": "build", "f": [[["", {"children": ["x"]}], article]]})) == written
    assert html(row("0", element("p", "$$5 off", hidden=True))) == "<p hidden>$5 off</p>"
    assert html(row("0", element("p", "x", style={"display": "none"}))) == "<p hidden>x</p>"


def test_rows_come_in_parts_and_refer_to_each_other() -> None:
    rows = row("0", element("main", ["$L1", "$2"])) + "1:" + json.dumps(element("h1", "Mill")) + "\n2:T8,Café x"
    for cut in range(1, len(rows)):
        assert html(rows[:cut], rows[cut:]) == "<main><h1>Mill</h1>Café x</main>"


def test_a_text_row_has_its_length_in_bytes_and_may_be_cut() -> None:
    raw = element("div", dangerouslySetInnerHTML={"__html": "$a"})
    assert (
        html(row("0", raw), "a:T10,<p>Ca\u00e9\nf\u00e9</p>\n" + row("b", 1)) == "<div><p>Ca\u00e9\nf\u00e9</p>\n</div>"
    )
    assert html(row("0", raw), "a:T999,<p>It is cut he") == "<div><p>It is cut he</div>"
    assert flight_page(pushed("a:T5,alone")).data == ["alone"]


def test_imports_and_hints_are_no_part_of_the_page() -> None:
    rows = '1:I["app.js",["x"],"Link"]\n:HL["style.css","style"]\n3:E{"digest":"NEXT_NOT_FOUND"}\n2:D{"name":"Page"}\n'
    assert html(rows + row("0", element("p", "x"))) == "<p>x</p>"


def test_elements_of_the_program_are_known_by_their_properties() -> None:
    own = element("$L7", ["read ", element("b", "on")], story={"body": "$a"}, icon=element("i", "?"), fallback="wait")
    page = flight_page(pushed(row("0", element("p", ["To ", own])), "a:T4,Mill"))
    assert page.html == "<p>To read <b>on</b><i>?</i></p>"
    assert page.data == [{"story": {"body": "Mill"}, "icon": None}]
    lines = plain_text(html(row("0", [element("$L7", "Heading"), element("$L7", "Heading 2")])))
    assert lines == "Heading\nHeading 2"


def test_the_objects_of_rows_are_data_without_their_elements() -> None:
    story = {"article": {"title": "T", "body": "$a", "more": ["$b", element("p", "x")]}}
    resolved = {"article": {"title": "T", "body": "Mill", "more": [{"c": 1}, None]}}
    for rows in (row("0", story), row("5", story), row("0", ["$5"]) + row("5", story), row("0", [1, story])):
        assert flight_page(pushed(rows, row("b", {"c": 1}), "a:T4,Mill")) == ("<p>x</p>", [resolved])
    page = flight_page(pushed(row("0", [{"a": 1}, {"b": "$$2"}])))
    assert page == ("", [{"a": 1}, {"b": "$2"}])


def test_elements_are_found_at_any_depth_of_an_object() -> None:
    deep: Any = element("p", "x")
    for _ in range(400):
        deep = {"f": [deep, element("b", "y")]}
    assert html(row("0", deep)).count("<b>y</b>") == 400
    assert html(row("0", deep)).count("<p>x</p>") == 1


@pytest.mark.parametrize("script", ["(self.__FLIGHT_DATA||=[]).push(ROWS)", "window.__flight.push(ROWS)"])
def test_other_programs_push_rows_too(script: str) -> None:
    rows = json.dumps(row("0", element("p", "x")))
    assert flight_page([script.replace("ROWS", rows)]).html == "<p>x</p>"


def test_a_row_is_written_once() -> None:
    assert html(row("0", ["$1", "$1", element("p", "$1")]), row("1", element("b", "$1"))) == "<b></b><p></p>"
    names = [f"{n:x}" for n in range(1, 60)]
    rows = [row(name, [f"${n + 1:x}"] * 9) for n, name in enumerate(names, 1)]
    assert html(*rows, row("3c", element("p", "x"))) == "<p>x</p>"


def test_nothing_raises() -> None:
    draw = random.Random(7)
    whole = row("0", element("p", ["$L1", element("$L2", "a", b=["$3", {"c": "$4"}])])) + '3:T4,abcd1:["$",1]\n'
    for _ in range(2_000):
        text = list(whole)
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(text))
            text[at : at + draw.randrange(4)] = draw.choices('[]{}",:$0TL\n\\x', k=draw.randrange(4))
        assert isinstance(html("".join(text)), str)
    deep: Any = "x"
    for _ in range(200):
        deep = element("$L1", deep, a=[deep] if len(json.dumps(deep)) < 5_000 else 1)
    assert "x" in html(row("0", deep))
    for text in (
        "[" * 300_000,
        '0:["$","p",null,' * 20_000,
        "0:T" * 100_000,
        "0:Tffffffff,",
        f"0:T{'f' * 40},",
        ":" * 300_000,
    ):
        assert html(text) == ""
    assert html(row("0", [element("p", "$0")] * 100_000)).count("<p>") == 100_000
