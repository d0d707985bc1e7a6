"""Literals of JavaScript are read as data, in linear time, and nothing in a script raises or is evaluated."""

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.script_literals import read_literal


def value(script: str) -> Any:
    return read_literal(script, 0).value


@pytest.mark.parametrize(
    ("script", "read"),
    [
        ("{a: 1, 'b-c': 'It\\'s', \"d\": `x\ny`, 3: 4,}", {"a": 1, "b-c": "It's", "d": "x\ny", "3": 4}),
        ("[1, -2.5, .5, 1e3, 0x1F, ,'x',]", [1, -2.5, 0.5, 1000, None, "x"]),
        ("{a:undefined,b:void 0,c:NaN,d:-Infinity,e:!0,f:true,g:null}", dict.fromkeys("abcdefg") | {"f": True}),
        ("{/* a: 1, */ b: 2, // c: 3\n d: 4}", {"b": 2, "d": 4}),
        ("{a: 'one ' + 'two' + \" three\"}", {"a": "one two three"}),
        ("window.__STATE__ || {a: 'x'}", {"a": "x"}),
        ("(window.a && window.a.b) || {a: 'x'}", {"a": "x"}),
        ("{t: `a ${user.name} b`}", {"t": "a  b"}),
        ("{at: new Date('2020-01-02'), m: new Map([['k', 'v']]), r: /[\"/]}/g, u: new URL(\"x\")}",
         {"at": "2020-01-02", "m": [["k", "v"]], "r": None, "u": "x"}),
        ("Object.freeze({a: 'x'})", {"a": "x"}),
        ("Object.assign({}, {a: 'x'})", [{}, {"a": "x"}]),
        ("{f: function (a, b) { return {x: '}'} }, g(a) { return 1 }, h: (a, b) => a + b, i: e => { e }, a: 'x'}",
         {"f": None, "h": None, "i": None, "a": "x"}),
        ("{a: b ? 'y' : 'z', c: d === 1, e: 'x'}", {"a": None, "c": None, "e": "x"}),
        ("{a, b, ...{c: 'x'}, ['d']: 'y'}", {"c": "x", "d": "y"}),
        ("'a b'.split(' ')", "a b"),
        (r"'\u00e9\x41\u{1F600}\ud83d\ude00\n\\\/\q\0' ", "éA😀😀\n\\/q"),
        ("'one \\\ntwo'", "one two"),
        ("JSON.parse('{\"a\": \"It\\\\u0027s\"}')", {"a": "It's"}),
        ("JSON.parse(decodeURIComponent('%7B%22a%22%3A%22x%22%7D'))", {"a": "x"}),
        ("JSON.parse(unescape(\"%7B%22a%22%3A%22x%22%7D\"))", {"a": "x"}),
        ("JSON.parse(atob('eyJhIjoieCJ9'))", {"a": "x"}),
        ("JSON.parse(decodeURIComponent(escape(window.atob('eyJhIjoiw6kifQ=='))))", {"a": "é"}),
        ("JSON.parse('no JSON')", None),
        ("{a: 'x', b: {c: 'y', d: ", {"a": "x", "b": {"c": "y", "d": None}}),
        ("", None),
        ("]", None),
    ],
)  # fmt: skip
def test_value(script: str, read: Any) -> None:
    assert value(script) == read


@pytest.mark.parametrize(
    ("script", "read"),
    [
        ("(function(a,b){return {t:a,e:b,s:[a]}}('x',null))", {"t": "x", "e": None, "s": ["x"]}),
        ("(function(a){return a}('x'))", "x"),
        ("(function(a,b){return {a,b}})('x',1);", {"a": "x", "b": 1}),
        ("(function(a,b){b.t=\"x\";b[\"u\"]=a;b.v={};b.v.w='z';return {data:[b]}}('y',{}))",
         {"data": [{"t": "x", "u": "y", "v": {"w": "z"}}]}),
        ("(function(a){a[0]='x';a[1]='y';return {l:a}}(Array(2)))", {"l": ["x", "y"]}),
        ("(function(a){a.self=a;return a}({}))", {"self": None}),
        ("(function(a){return [a,a]}({b:'x'}))", [{"b": "x"}, None]),
        ("(function(a){return (function(b){return [a,b]}('x'))}('y'))", ["y", "x"]),
        ("(function(a){var s={b:a};return s}('y'))", {"b": "y"}),
        ("(function(a){fetch(a);return {b:a}}('y'))", None),
        ("(function(a,b){return {t:a.t,u:b}}('x'))", {"t": None, "u": None}),
    ],
)  # fmt: skip
def test_a_function_that_only_returns_literals_is_followed(script: str, read: Any) -> None:
    assert value(script) == read


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None)
@given(json_values, st.booleans())
def test_json_is_read_as_json(item: Any, ascii: bool) -> None:
    script = json.dumps(item, ensure_ascii=ascii)
    assert read_literal(f"{script};x", 0) == (json.loads(script), len(script))


def test_nothing_raises() -> None:
    draw = random.Random(5)
    pieces = [*"{}[]()'\"`,:;=+-!/\\.$?0aé\n ", "function(a){", "return ", "(function(a,b){", "=>", "/*", "//", "${",
              "JSON.parse(", "atob(", "new ", "...", "a.b=", "\\u", "\\x4", "||", "'x'", "{a:", "void "]  # fmt: skip
    for _ in range(5_000):
        script = "".join(draw.choices(pieces, k=draw.randrange(1, 20)))
        assert 0 <= read_literal(script, 0).end <= len(script)


def test_arguments_do_not_multiply_a_text() -> None:
    """50,000 places of a text of 200 kB would be 10 GB, and lists of lists of lists 2^26 places."""
    text = "x" * 200_000
    read = value(f"(function(a){{return [{'a,' * 50_000}]}}('{text}'))")
    assert 0 < sum(item is not None for item in read) < 8
    names = "abcdefghijklmnopqrstuvwxyz"
    nested = "".join(f"{a}.l=[{b},{b}];" for a, b in itertools.pairwise(names))
    read = value(f"(function({','.join(names)}){{{nested}return a}}({','.join(['{}'] * 26)}))")
    assert len(json.dumps(read)) < 1_000


def test_lone_surrogates_are_escaped() -> None:
    assert value(r"""[escape(JSON.parse('"\\ud800"'))]""") == ["%3F"]


@pytest.mark.parametrize(
    "part",
    ["[", "{a:", "(", "((a)", "!", "- ", "new ", "void ", "f(", "{a:'\\'", "{a:\"\\\"", "/*", "//", "a||", "a?b:",
     "a=>", "(function(a){return ", "(function(a){", "function ", "function(", "...", "[...", "`${", "`", "'x'+",
     "[a](", "a.b", "{[", "{a(", "a[", "/[", "/a", "x ", ",", "(a,", "{,", "(function(a){a.b=", "(function(a){a[\"",
     "\\", "'\\", "async "],
)  # fmt: skip
def test_long_scripts_are_read_in_linear_time(part: str) -> None:
    """A step that is quadratic takes minutes here."""
    for script in (part * (300_000 // len(part)), "{a:[" + part * (300_000 // len(part))):
        read_literal(script, 0)
