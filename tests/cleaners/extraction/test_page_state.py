"""State of programs in the scripts of a page, and the prose in it."""

import json
from typing import Any

import pytest
from script_pages import PROSE, body, ld, state


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


def test_bombs_of_megabytes_are_read() -> None:
    """A step that is quadratic takes hours here."""
    n = 1_000_000
    for text in ("var a=[", 'var a=["', "var a=JSON.parse('", 'var a=JSON.parse("\\', "window ", "var a=" + " " * 60):
        assert body(f"<script>{text * (2 * n // len(text))}</script>") == ""
    assert body(state({"x": ["function (" * n, "https://" * n, "; a" * n, "[{" * n]})) == ""


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
