"""JSON in scripts: it is repaired if that is simple, else left out; nothing in it raises."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.html.tree import parse
from cleaners.extraction.json_ld import article_body, ld_objects, objects, parse_json, plain_text
from cleaners.extraction.page_metadata import PageMetadata, page_metadata

PROSE = "The mill stands by the river, and it has ground the corn of the valley for three hundred years. " * 4


def read(html: str) -> PageMetadata:
    data = np.frombuffer(html.encode(), np.uint8)
    return page_metadata(data, parse(data), "https://example.org/a/b", "2024-12-31")


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


def test_code_is_not_prose() -> None:
    code = "function a(b){return b.map(c=>c+1)};" * 20
    css = ".card{margin:0;padding:1px;color:#fff} " * 20
    for text in (code, css, "aGVsbG8gd29ybGQ" * 40, "https://a.example/b " * 30):
        assert body(f'<script type="application/json">{json.dumps({"x": text})}</script>') == ""


def test_escaped_html_becomes_text() -> None:
    assert plain_text("&lt;p&gt;One&lt;br&gt;two&lt;/p&gt;") == "One\ntwo"
    assert plain_text("5 < 6 &amp; 7") == "5 < 6 & 7"
    assert plain_text("\ud800x\0") == "?x"


def test_no_script_raises() -> None:
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
    assert (read(deep), body(deep)) == (PageMetadata(), "")
    deep = '<script type="application/ld+json">' + '{"a":' * 900 + "1" + "}" * 900 + "</script>"
    assert body(deep) == ""


def test_objects_come_outer_first_in_the_order_of_the_page() -> None:
    value = [{"n": 1, "a": {"n": 2, "b": [[{"n": 3}], {"n": 4}]}}, {"n": 5}]
    assert [found["n"] for found in objects(value)] == [1, 2, 3, 4, 5]
    html = ld({"@graph": [{"n": 1}]}) + "<script>{}</script>" + ld([{"n": 2}])
    data = np.frombuffer(html.encode(), np.uint8)
    assert [found["n"] for found in ld_objects(data, parse(data)) if "n" in found] == [1, 2]


def test_each_text_is_written_once() -> None:
    one = ld({"@type": "Article", "articleBody": PROSE})
    other = ld({"@graph": [{"@type": ["WebPage", "NewsArticle"], "articleBody": "Another."}]})
    assert body(one + one + other) == f"{PROSE.strip()}\nAnother."
    assert body(one + ld({"@type": "Article", "articleBody": PROSE[:200]})) == PROSE.strip()


def test_answers_of_a_forum_are_part_of_its_text() -> None:
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
def test_values_of_any_type_do_not_raise(value: Any) -> None:
    html = ld([{"@type": "Article", "headline": value, "author": value, "articleBody": value}, value])
    told, carried = read(html), body(html)
    assert all(one.encode().decode() == one for one in (told.title, told.author, carried) if one)


def state(value: Any) -> str:
    return f'<script id="__NEXT_DATA__" type="application/json">{json.dumps(value)}</script>'


def test_bombs_of_megabytes_are_read() -> None:
    """A step that is quadratic takes hours here."""
    n = 1_000_000
    assert plain_text("<a" * n).startswith("<a<a")
    assert plain_text("&lt;a" * n) == "<a" * n
    for text in ("-->" + " " * n + "x", "<!--" + " " * n + "x", "//" + " " * n + "x", "," + " " * n, ", " * n, "," * n):
        assert parse_json(text) is None
    assert parse_json('{"a": 1} -->' + " " * n + "x") == {"a": 1}
    for text in ("var a=[", 'var a=["', "var a=JSON.parse('", 'var a=JSON.parse("\\', "window ", "var a=" + " " * 60):
        assert body(f"<script>{text * (2 * n // len(text))}</script>") == ""
    assert body(state({"x": ["function (" * n, "https://" * n, "; a" * n, "[{" * n]})) == ""


def test_a_long_text_is_searched_once_for_all_short_ones() -> None:
    """Searching the long text again for each of them takes a quarter of an hour."""
    words = [f"word{n:06}" for n in range(100_000)]
    texts = [" ".join(words), *words[50_000:]]
    assert body(ld([{"@type": "Article", "articleBody": text} for text in texts])) == texts[0]


def test_a_body_in_parts_is_joined() -> None:
    assert body(ld({"@type": "Article", "articleBody": ["<p>One</p>", "Two", 3, ["x"]]})) == "One\nTwo"


SHORT = "The mill stands by the river of the valley."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"x": [SHORT] * 5}, "\n".join([SHORT] * 5)),
        ({"paragraphs": [SHORT] * 5}, "\n".join([SHORT] * 5)),
        ({"body": [{"type": "paragraph", "text": SHORT, "style": "normal"}] * 5}, "\n".join([SHORT] * 5)),
        ({"blocks": [{"type": "p", "data": {"text": SHORT}}] * 5}, "\n".join([SHORT] * 5)),
        (
            {"content": [{"content": [{"text": "The "}, {"text": "mill", "marks": ["b"]}, {"text": SHORT[8:]}]}] * 5},
            "\n".join([SHORT] * 5),
        ),
        ({"articles": [{"title": SHORT}] * 5}, ""),
        ({"children": [{"text": "Home and garden"}] * 20}, ""),
        ({"x": f"{SHORT} " * 3}, ""),
    ],
)  # fmt: skip
def test_paragraphs_of_one_list_are_one_text(value: Any, text: str) -> None:
    assert body(state({"props": value})) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ประเทศไทยเป็นประเทศในภูมิภาคเอเชียตะวันออกเฉียงใต้ ", 10),
        ("यह एक पुरानी चक्की है जो नदी के किनारे खड़ी है। ", 12),
        ("这座磨坊立在河边，三百年来一直为山谷碾磨谷物。", 11),
        ("Die alte Mühle steht am Ufer. ", 6),
    ],
)
def test_prose_of_any_script_has_33_words(text: str, words: int) -> None:
    enough = text * (33 // words + 2)
    assert body(state({"content": enough})) == enough.strip()
    assert body(state({"content": text * (33 // words - 1)})) == ""


def test_176_chinese_characters_are_prose() -> None:
    text = "这座磨坊立在河边三百年来一直为山谷碾磨谷物。" * 8
    assert len(text) == 176
    assert body(state({"content": text})) == text


@pytest.mark.parametrize(
    "script",
    [
        "window['__X__'] = STATE;",
        'var a = 1; b(); window["__X__"]=STATE',
        "const x = STATE\nvar y = {b:function(){}}",
        "var y = {b:function(){}}; let x = STATE;f()",
    ],
)
def test_state_is_read_from_any_assignment(script: str) -> None:
    filled = script.replace("STATE", json.dumps({"t": PROSE}))
    for kind in ("", " type=module", " type='text/javascript; charset=utf-8'"):
        assert body(f"<script{kind}>{filled}</script>") == PROSE.strip()
    assert body(f"<script type=text/template>{filled}</script>") == ""


def test_json_in_a_literal_of_javascript_is_read() -> None:
    value = json.dumps({"t": PROSE + 'It\'s "old".'})
    double = json.dumps(value)
    single = "'" + value.replace("\\", "\\\\").replace("'", "\\x27") + "'"
    for literal in (double, single, single.replace("\\x27", "\\'")):
        assert body(f"<script>window.a = JSON.parse( {literal} );</script>") == PROSE + 'It\'s "old".'
    assert body(f"<script>window.a = {double}</script>") == ""


@pytest.mark.parametrize(
    "key", ["cookieBanner", "i18n", "messages", "locale-en", "Translations", "consent", "gdprText"]
)
def test_words_of_the_whole_site_are_not_prose(key: str) -> None:
    assert body(state({"props": {key: {"en": [{"text": PROSE}]}}})) == ""
    assert body(f"<script>window.{key} = {json.dumps({'text': PROSE})}</script>") == ""


def test_texts_under_a_key_for_texts_are_preferred() -> None:
    assert body(state({"notice": "Else. " + PROSE, "post": {"bodyHtml": f"<p>{PROSE}"}})) == PROSE.strip()


def test_prose_may_speak_of_functions_and_end_with_an_address() -> None:
    text = PROSE + "What is the function of a mill? See https://example.org/mill"
    assert body(state({"x": text})) == text


def test_types_of_scripts_may_have_parameters_and_any_case() -> None:
    article = ld({"@type": "Article", "articleBody": "x"}).replace("ld+json", "LD+JSON;charset=utf-8")
    assert body(article) == "x"


def test_types_may_be_of_any_vocabulary() -> None:
    for kind in ("Product", "schema:Product", "http://schema.org/Product", ["https://schema.org/Product"]):
        assert body(ld({"@type": kind, "description": PROSE})) == PROSE.strip()


def test_numbers_too_long_for_python_do_not_raise() -> None:
    number = "&#" + "9" * 5000 + ";"
    assert plain_text(number) == number
