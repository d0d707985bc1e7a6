"""Lines as JSON, near-JSON and values of any type."""

import json
from typing import Any

import pytest

from shards import json_lines

ONE, TWO = {"id": 1, "text": "a, b"}, {"id": 2, "text": "[c]"}


@pytest.mark.parametrize(
    "lines",
    [
        [json.dumps(ONE), json.dumps(TWO)],
        [json.dumps(ONE) + ",", json.dumps(TWO) + " ,\r\n"],
        ["[", json.dumps(ONE) + ",", json.dumps(TWO), "]"],
        ["[" + json.dumps(ONE) + ",", json.dumps(TWO) + "]"],
        ["[\n", " " + json.dumps(ONE) + "\n", "," + json.dumps(TWO) + "\n", "],"],
        ["\ufeff[" + json.dumps(ONE) + ",", "\ufeff" + json.dumps(TWO)],
    ],
    ids=["lines", "commas", "array", "array in line", "leading commas", "mark"],
)
def test_an_object_a_line_is_read_with_what_arrays_put_around_it(lines: list[str]) -> None:
    objects = [line.encode() for line in lines if not json_lines.is_bracket(line.encode())]
    assert [json_lines.parse(line, "id") for line in objects] == [ONE, TWO]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (b'[{"text": "a"}, {"text": "b"}]', "a JSON array on one line; write an object a line"),
        (b"[]", "a JSON array on one line"),
        (b"null", "a line that is no object: NoneType"),
        (b'"text"', "a line that is no object: str"),
        (b"5", "a line that is no object: int"),
        (b"text", "a line that is not JSON: Expecting value"),
        (b'{"text": "a"} {"text": "b"}', "a line that is not JSON: Extra data"),
        (b'{"text": "\xff"}', "a line that is not UTF-8: byte 10"),
        (bytes(4096), "a line of NUL bytes; the file was cut by a crash$"),
        (bytes(5) + b"\r\n", "a line of NUL bytes; the file was cut by a crash$"),
        (bytes(7) + b'{"text": "a"}\n', "a line with NUL bytes before or after it; the file was cut by a crash$"),
        (b'{"text": "a' + bytes(9), "a line with NUL bytes before or after it; the file was cut by a crash$"),
        (b'{"text": "a\0\0b"}', "a line that is not JSON: Invalid control character"),
    ],
)
def test_other_lines_are_refused_with_their_cause(line: bytes, cause: str) -> None:
    with pytest.raises(ValueError, match=f"^{cause}"):
        json_lines.parse(line, "id")


def test_an_object_that_goes_on_in_the_next_line_is_seen_by_its_first() -> None:
    assert all(map(json_lines.is_spread, (b"{\n", b"  {\r\n", b"[{\n", b"[ {\n")))
    assert not any(map(json_lines.is_spread, (b"[\n", b"{}\n", b'{"text": 1}\n')))


@pytest.mark.parametrize(
    ("value", "url"),
    [("u", "u"), (["u", "v"], "u"), ([None, 5, "v"], "v"), ([], ""), (None, ""), ({"href": "u"}, ""), (5, "")],
)
def test_the_first_address_of_a_list_is_taken(value: Any, url: str) -> None:
    assert json_lines.address({"url": value}, "url") == url


@pytest.mark.parametrize(
    ("value", "date"), [("2024", "2024"), (1714557600, "1714557600"), (None, ""), (float("nan"), ""), (["x"], "")]
)
def test_a_date_stands_as_it_is_given(value: Any, date: str) -> None:
    assert json_lines.date({"date": value}, "date") == date


def test_a_text_of_another_type_or_a_missing_key_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^no key 'text'; there are id, content$"):
        json_lines.text({"id": 1, "content": "x"}, "text")
    with pytest.raises(ValueError, match=r"^no key 'doc\.text'; there are doc$"):
        json_lines.text({"doc": ["text"]}, "doc.text")
    with pytest.raises(ValueError, match=r"^'text' is not text but list$"):
        json_lines.text({"text": ["x"]}, "text")
    keys = ", ".join(f"k{i}" for i in range(10))
    with pytest.raises(ValueError, match=f"there are {keys}$"):
        json_lines.text({f"k{i}": 0 for i in range(1000)}, "text")
