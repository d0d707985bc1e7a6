"""The tokenizer against all cases of html5lib, in each of their initial states."""

import json
import re
from collections import Counter
from html.entities import html5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction_pages import html5lib_tokenizer_cases

from cleaners.extraction.html.entities import write_reference
from cleaners.extraction.html.names import NAME_BYTES, pack, words_of
from cleaners.extraction.html.search import find
from cleaners.extraction.html.text import max_text_bytes, write_raw
from cleaners.extraction.html.tokenizer import (
    CDATA,
    DOCTYPE,
    attribute,
    declaration,
    is_letter,
    markup,
    name_end,
    raw_text_end,
)

# Reasons why cases differ, and their numbers. A difference without a reason here fails the test.
DIFFERENCES = {
    # Extraction needs only the end of a doctype, not its name and identifiers.
    "content of a doctype is not read": 855,
    # A browser drops NUL from most text too, when it builds the tree; elsewhere it is U+FFFD.
    "NUL is left out of text and values": 15,
    # Input that is not Unicode has no UTF-8; pages are decoded before they are parsed.
    "surrogates do not occur": 4,
    # html5lib's own rewriting of names and comments for XML parsers.
    "XML rules for names do not matter": 4,
}
Token = list[Any]


def array(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def decoded(data: np.ndarray, start: int, end: int, *, references: bool = True, in_attribute: bool = False) -> str:
    out = np.empty(max_text_bytes(max(end - start, 0)), np.uint8)
    at = write_raw(data, start, end, references, in_attribute, out, 0)
    return out[:at].tobytes().decode()


def spelled(data: np.ndarray, start: int, end: int) -> str:
    text = data[start:end].tobytes().decode()
    return re.sub("[A-Z]", lambda m: m[0].lower(), text).replace("\0", "\ufffd")


def tokens_of(text: str, state: str, last_start_tag: str | None) -> list[Token]:
    """The tokens of `text`, as the parser finds them."""
    data = array(text)
    found: list[Token] = []
    i = 0
    if state == "CDATA section state":
        data = array("<![CDATA[" + text)
        _, start, end, i = declaration(data, 0, True)
        found.append(["Character", decoded(data, start, end, references=False)])
    elif state == "PLAINTEXT state":
        found.append(["Character", decoded(data, 0, len(data), references=False)])
        i = len(data)
    elif state != "Data state":
        default = "script" if state == "Script data state" else "none"
        low, high, _ = words_of((last_start_tag or default).lower())
        i = raw_text_end(data, 0, np.uint64(low), np.uint64(high))
        found.append(["Character", decoded(data, 0, i, references=state == "RCDATA state")])
    while i < len(data):
        here = markup(data, i)
        found.append(["Character", decoded(data, i, here)])
        if here == len(data):
            break
        is_end = data[here + 1] == ord("/")
        start = here + 1 + is_end
        if not is_letter(data[start]):
            kind, start, end, i = declaration(data, here, state == "CDATA section state")
            if kind == DOCTYPE:
                found.append(["DOCTYPE"])
            elif kind == CDATA:
                found.append(["Character", decoded(data, start, end, references=False)])
            elif start <= end:
                comment = data[start:end].tobytes().decode().replace("\r\n", "\n").replace("\r", "\n")
                found.append(["Comment", comment.replace("\0", "\ufffd")])
            continue
        i = name_end(data, start)
        name, attributes, last = spelled(data, start, i), {}, i
        while True:
            first, stop, value_start, value_end, i = attribute(data, i)
            if first < 0:
                break
            last = i
            value = decoded(data, value_start, value_end, in_attribute=True) if value_start >= 0 else ""
            attributes.setdefault(spelled(data, first, stop), value)
        if i == len(data):
            break
        is_closed = i > last and data[i - 1] == ord("/")
        i += 1
        if is_end:
            found.append(["EndTag", name])
        else:
            found.append(["StartTag", name, attributes, *([True] if is_closed else [])])
    return joined(found)


def joined(tokens: list[Token]) -> list[Token]:
    whole: list[Token] = []
    for token in tokens:
        if token[0] == "Character" and whole and whole[-1][0] == "Character":
            whole[-1] = ["Character", whole[-1][1] + token[1]]
        elif token != ["Character", ""]:
            whole.append(token)
    return whole


def without_nul(tokens: list[Token]) -> list[Token]:
    plain = json.loads(json.dumps(tokens).replace("\\u0000", "").replace("\\ufffd", ""))
    return joined(plain)


def difference(text: str, ours: list[Token], theirs: list[Token]) -> str | None:
    if ours == theirs:
        return None
    theirs = [["DOCTYPE"] if token[0] == "DOCTYPE" else token for token in theirs]
    if ours == theirs:
        return "content of a doctype is not read"
    if "\0" in text and without_nul(ours) == without_nul(theirs):
        return "NUL is left out of text and values"
    return f"{text!r}: {ours} instead of {theirs}"


@pytest.mark.real
def test_html5lib_cases_give_the_same_tokens_except_for_listed_differences(real_data: Path) -> None:
    found: Counter[str] = Counter()
    num_runs = 0
    for kind, case in html5lib_tokenizer_cases(real_data):
        text, expected = case["input"], case["output"]
        for state in case.get("initialStates", ["Data state"]):
            num_runs += 1
            if kind == "xmlViolationTests":
                found["XML rules for names do not matter"] += 1
                continue
            try:
                text.encode()
            except UnicodeEncodeError:
                found["surrogates do not occur"] += 1
                continue
            tokens = tokens_of(text, state, case.get("lastStartTag"))
            why = difference(text, tokens, joined(expected))
            if why is not None:
                found[why] += 1
    assert num_runs == 7036
    assert found == DIFFERENCES


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 64, 100])
def test_find_returns_the_first_position_at_any_alignment(length: int) -> None:
    for at in range(length):
        for start in range(at + 1):
            data = np.full(length, 60, np.uint8)
            data[start:at] = 61
            data.flags.writeable = False
            assert find(data, start, 60) == at
    assert find(array("a" * length), 0, 60) == length


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("&amp;", "&"),
        ("&ampx", "&x"),
        ("&notit;", "¬it;"),
        ("&notin;", "∉"),
        ("&NotEqualTilde;", "≂̸"),
        ("&nGt;&nLt;", "≫⃒≪⃒"),
        ("&#128;&#x80;&#x81;", "€€\x81"),
        ("&#0;&#xD800;&#x110000;&#99999999999999999999;", "\ufffd" * 4),
        ("&#x1F980", "🦀"),
        ("&#;&#x;&#xg;&;& &", "&#;&#x;&#xg;&;& &"),
        ("a\r\nb\rc\0d", "a\nb\ncd"),
    ],
)
def test_text_decodes_to(text: str, value: str) -> None:
    data = array(text)
    assert decoded(data, 0, len(data)) == value


@pytest.mark.parametrize(
    ("value", "decoded_value"),
    [("?a=1&copy=2", "?a=1&copy=2"), ("?a&copy;", "?a©"), ("&copy", "©"), ("&copyx", "&copyx"), ("&lt &gt.", "< >.")],
)
def test_in_an_attribute_a_name_without_semicolon_is_decoded_only_at_its_end(value: str, decoded_value: str) -> None:
    data = array(value)
    assert decoded(data, 0, len(data), in_attribute=True) == decoded_value


def test_every_named_reference_is_decoded() -> None:
    out = np.empty(16, np.uint8)
    for name, value in html5.items():
        data = array(f"&{name}")
        after, at = write_reference(data, 0, len(data), False, out, 0)
        assert (after, out[:at].tobytes().decode()) == (len(data), value), name


@pytest.mark.parametrize("after", [b"", b"Z" * 20], ids=["at the end of the page", "within the page"])
def test_a_name_is_packed_in_lower_case_for_ascii_wherever_it_stands(after: bytes) -> None:
    every = bytes(range(1, 256))
    for length in range(NAME_BYTES + 1):
        for start in range(0, len(every) - length, 5):
            name = every[start : start + length]
            small = name.lower()  # of bytes: ASCII alone
            low, high = int.from_bytes(small[:8], "little"), int.from_bytes(small[8:], "little")
            data = np.frombuffer(b"<" + name + after, np.uint8)
            assert pack(data, 1, 1 + length) == (low, high)
