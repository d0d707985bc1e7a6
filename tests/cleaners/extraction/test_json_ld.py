"""JSON that scripts carry: repaired where it is simple, left out else; nothing that they hold makes it fail."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.json_ld import article_body, ld_objects, objects, parse_json, plain_text
from cleaners.extraction.page_data import PageData, page_data
from cleaners.extraction.tree import parse

PROSE = "The mill stands by the river, and it has ground the corn of the valley for three hundred years. " * 4


def read(html: str) -> PageData:
    data = np.frombuffer(html.encode(), np.uint8)
    return page_data(data, parse(data), "https://example.org/a/b", "2024-12-31")


def body(html: str) -> str:
    data = np.frombuffer(html.encode(), np.uint8)
    return article_body(data, parse(data))


def ld(value: Any) -> str:
    return f'<script type="application/ld+json">{json.dumps(value)}</script>'


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '<!-- {"a": 1} -->',
        '//<![CDATA[\n{"a": 1}\n//]]>',
        '{"a": 1,}',
        '{"a":\x01 1}',
        '{"a": 1}; trailing()',
        '/*<![CDATA[*/ {"a": 1} /*]]>*/',
        '<!--\n{"a": 1\x02, }\n//-->',
    ],
)
def test_broken_json_is_repaired(text: str) -> None:
    assert parse_json(text) == {"a": 1}


def test_body_comes_from_json_ld_before_embedded_data() -> None:
    article = ld({"@type": "NewsArticle", "articleBody": f"<p>{PROSE}</p><p>End &amp; more</p>"})
    data = json.dumps({"props": [{"html": PROSE + "Else"}]})
    state = f'<script id="__NEXT_DATA__" type="application/json">{data}</script>'
    assert body(state + article).split("\n") == [PROSE.strip(), "End & more"]
    assert body(state) == PROSE + "Else"
    assert body(f"<script>window.__STATE__ = {json.dumps({'t': PROSE})};</script>") == PROSE.strip()
    assert body(ld({"@type": "Product", "description": PROSE})) == PROSE.strip()
    assert body(ld({"@type": "WebSite", "description": PROSE})) == ""


def test_code_is_no_prose() -> None:
    code = "function a(b){return b.map(c=>c+1)};" * 20
    css = ".card{margin:0;padding:1px;color:#fff} " * 20
    for text in (code, css, "aGVsbG8gd29ybGQ" * 40, "https://a.example/b " * 30):
        assert body(f'<script type="application/json">{json.dumps({"x": text})}</script>') == ""


def test_escaped_html_becomes_text() -> None:
    assert plain_text("&lt;p&gt;One&lt;br&gt;two&lt;/p&gt;") == "One\ntwo"
    assert plain_text("5 < 6 &amp; 7") == "5 < 6 & 7"
    assert plain_text("\ud800x\0") == "?x"


def test_no_script_makes_it_fail() -> None:
    draw = random.Random(3)
    whole = ld({"@type": "Article", "articleBody": PROSE, "author": {"name": "Ann"}, "headline": ["x"]}) + (
        '<meta property="article:published_time" content="2020-01-02"><link rel=canonical href="http://[">'
    )
    for _ in range(500):
        text = bytearray(whole.encode())
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(text))
            text[at : at + draw.randrange(4)] = bytes(
                draw.choice(b'"{}[]\\,:<>&;x\x01') for _ in range(draw.randrange(4))
            )
        told, carried = read(text.decode()), body(text.decode())
        assert all(
            one.encode().decode() == one for one in (told.title, told.author, told.canonical_url, carried) if one
        )
    deep = '<script type="application/ld+json">' + "[" * 100_000 + "</script>"
    assert (read(deep), body(deep)) == (PageData(), "")
    deep = '<script type="application/ld+json">' + '{"a":' * 900 + "1" + "}" * 900 + "</script>"
    assert body(deep) == ""


def test_objects_come_outer_first_in_the_order_of_the_page() -> None:
    value = [{"n": 1, "a": {"n": 2, "b": [[{"n": 3}], {"n": 4}]}}, {"n": 5}]
    assert [found["n"] for found in objects(value)] == [1, 2, 3, 4, 5]
    html = ld({"@graph": [{"n": 1}]}) + "<script>{}</script>" + ld([{"n": 2}])
    data = np.frombuffer(html.encode(), np.uint8)
    assert [found["n"] for found in ld_objects(data, parse(data)) if "n" in found] == [1, 2]


def test_each_text_stands_once() -> None:
    one = ld({"@type": "Article", "articleBody": PROSE})
    other = ld({"@graph": [{"@type": ["WebPage", "NewsArticle"], "articleBody": "Another."}]})
    assert body(one + one + other) == f"{PROSE.strip()}\nAnother."
    assert body(one + ld({"@type": "Article", "articleBody": PROSE[:200]})) == PROSE.strip()


def test_answers_of_a_forum_are_its_text() -> None:
    question = {"@type": "Question", "text": "Why?", "suggestedAnswer": [{"@type": "Answer", "text": "<b>So.</b>"}]}
    assert body(ld({"@type": "QAPage", "text": "not this", "mainEntity": question})) == "Why?\nSo."


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just("\ud800<p>x</p>\0")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["@type", "headline", "author", "name", "articleBody", "text", "datePublished", "@graph"]),
            inner | st.just("Article"),
            max_size=5,
        ),
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(values)
def test_values_of_any_kind_are_borne(value: Any) -> None:
    html = ld([{"@type": "Article", "headline": value, "author": value, "articleBody": value}, value])
    told, carried = read(html), body(html)
    assert all(one.encode().decode() == one for one in (told.title, told.author, carried) if one)
