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
    for text in (
        "var a=[",
        'var a=["',
        "=[/[",
        "=[/[]",
        "var a=JSON.parse('",
        'var a=JSON.parse("\\',
        "window ",
        "var a=" + " " * 60,
    ):
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


HEX = json.dumps({"t": PROSE}).replace("{", "\\x7b").replace('"', "\\x22").replace("}", "\\x7d")


def test_json_in_a_literal_of_javascript_is_read() -> None:
    value = json.dumps({"t": PROSE + 'It\'s "old".'})
    double = json.dumps(value)
    single = "'" + value.replace("\\", "\\\\").replace("'", "\\x27") + "'"
    for literal in (double, single, single.replace("\\x27", "\\'")):
        assert body(f"<script>window.a = JSON.parse( {literal} );</script>") == PROSE + 'It\'s "old".'
    for script in (f"window.a = {double}", f"context.stream.enqueue({double})", f"a = '{HEX}'"):
        assert body(f"<script>{script}</script>") in (PROSE + 'It\'s "old".', PROSE.strip())
    assert body(f"<script>window.a = {json.dumps(PROSE)}</script>") == ""


@pytest.mark.parametrize(
    "key", ["cookieBanner", "i18n", "messages", "locale-en", "Translations", "consent", "gdprText"]
)
def test_words_of_the_whole_site_are_not_prose(key: str) -> None:
    assert body(state({"props": {key: {"en": [{"text": PROSE}]}}})) == ""
    assert body(f"<script>window.{key} = {json.dumps({'text': PROSE})}</script>") == ""


def test_texts_under_a_key_for_texts_are_preferred() -> None:
    assert body(state({"notice": "Else. " + PROSE, "post": {"bodyHtml": f"<p>{PROSE}"}})) == PROSE.strip()


ESCAPED = PROSE.replace(" ", "%20")
ANGULAR = json.dumps({"k": {"body": f"<p>{PROSE}</p>", "s": "It's a & b"}})
for _character, _sign in {"&": "a", '"': "q", "'": "s", "<": "l", ">": "g"}.items():
    ANGULAR = ANGULAR.replace(_character, f"&{_sign};")


@pytest.mark.parametrize(
    "script",
    [
        "window.__INITIAL_STATE__ = {user: undefined, story: {body: 'STORY'}, f: function () { return 1 }};",
        "window.__INITIAL_STATE__ = window.__INITIAL_STATE__ || {story: {body: `STORY`}}",
        "window['a'] = {// a note\n story: {body: 'STORY',},}",
        "window.__NUXT__=(function(a,b){b.body=a;return {data:[{story:b}],error:null}}('STORY',{}));",
        "window.__NUXT__=(function(a){return {data:[{story:{body:a}}]}})('STORY')",
        "__NUXT_JSONP__('/a', (function(a){return {data:[{body:a}]}}('STORY')));",
        "window.a = JSON.parse(decodeURIComponent('%7B%22body%22:%22ESCAPED%22%7D'))",
        "Promise.all([import('a.js')]).then(([kit, app]) => { kit.start(app, e, {data: [{data: {body: 'STORY'}}]}) })",
        "ReactDOM.hydrate(React.createElement(App, {story: {body: 'STORY'}}), root)",
        "jQuery.extend(Drupal.settings, {story: {body: 'STORY'}});",
        "document.addEventListener('load', () => { window.a = {body: 'STORY'} })",
        "(function () { var n = 1; x.y.state = {body: 'STORY'}; })();",
        "$(function(){ app.init({id: 1}); app.init({body: 'STORY'}) });",
        "if (a == {}) b => {}; var s = {a: c ? 1 : 2, body: 'STORY'};",
        "var s = {'body': 'STORY', rest: {a: [1, 'and it is cut he",
        "var s = {body: 'STORY'.trim() + '', at: new Date(1, 2)}",
        "var s = Object.freeze({body: 'STORY'})",
        """a('x', {state: '{"body": "STORY"}'})""",
        "var s = {regex: /['\"]{1}/, body: 'STORY'}",
    ],
)  # fmt: skip
def test_literals_of_scripts_are_state(script: str) -> None:
    assert body(f"<script>{script}</script>".replace("STORY", PROSE).replace("ESCAPED", ESCAPED)) == PROSE.strip()


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/json", ANGULAR),
        ("application/json", json.dumps({"body": PROSE}).replace('"', "&quot;")),
        ("application/json", '%7B"body":"' + ESCAPED + '"%7D'),
        ("application/json", json.dumps({"state": json.dumps({"story": json.dumps({"body": PROSE})})})),
        ("text/json", json.dumps({"body": PROSE})),
        ("application/vnd.app+json", json.dumps({"body": PROSE})),
        ("fastboot/shoebox", json.dumps({"body": PROSE})),
        ("ab12-text/javascript", f"var a = {{body: '{PROSE}'}}"),
        ("text/ecmascript", f"var a = {{body: '{PROSE}'}}"),
    ],
)  # fmt: skip
def test_scripts_of_other_types_and_escapes_are_state(kind: str, content: str) -> None:
    assert body(f'<script type="{kind}">{content}</script>') == PROSE.strip()


def test_nothing_is_evaluated() -> None:
    for script in ("a = build('{}' + '{}')", "a = b.map(function(){{return '{}{}'}})", "document.write('{}{}')"):
        assert body(f"<script>{script.format(PROSE, PROSE)}</script>") == ""


@pytest.mark.parametrize(
    "part",
    ["a={", "a=[", "a({b:", "a={b:'", 'a={b:"\\"', "f(x,", "f('x',", "a=(function(a){", "a = ", "(" , "=", "= (",
     "a={b:/*", "self.__next_f.push([1,", "__next_f ", "a||", "a=x.", 'a="{', "a=JSON.parse(", "$", "a["],
)  # fmt: skip
def test_long_scripts_are_searched_in_linear_time(part: str) -> None:
    """A step that is quadratic takes minutes here."""
    assert body(f"<script>{part * (300_000 // len(part))}</script>") == ""
