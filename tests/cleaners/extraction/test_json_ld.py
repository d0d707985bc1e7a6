"""JSON in scripts: it is repaired if that is simple, else left out; nothing in it raises."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from script_pages import PROSE, body, ld

from cleaners.extraction.html.tree import parse
from cleaners.extraction.json_ld import ld_values, objects, parse_json
from cleaners.extraction.metadata.page import PageMetadata, page_metadata


def read(html: str) -> PageMetadata:
    data = np.frombuffer(html.encode(), np.uint8)
    return page_metadata(data, parse(data), "https://example.org/a/b", "2024-12-31")


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


def test_broken_json_of_megabytes_is_read() -> None:
    """A step that is quadratic takes hours here."""
    n = 1_000_000
    for text in ("-->" + " " * n + "x", "<!--" + " " * n + "x", "//" + " " * n + "x", "," + " " * n, ", " * n, "," * n):
        assert parse_json(text) is None
    assert parse_json('{"a": 1} -->' + " " * n + "x") == {"a": 1}


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
    assert [found["n"] for found in objects(ld_values(data, parse(data))) if "n" in found] == [1, 2]


def test_each_text_is_written_once() -> None:
    one = ld({"@type": "Article", "articleBody": PROSE})
    other = ld({"@graph": [{"@type": ["WebPage", "NewsArticle"], "articleBody": "Another."}]})
    assert body(one + one + other) == f"{PROSE.strip()}\nAnother."
    assert body(one + ld({"@type": "Article", "articleBody": PROSE[:200]})) == PROSE.strip()


def test_answers_of_a_forum_are_part_of_its_text() -> None:
    question = {"@type": "Question", "text": "Why?", "suggestedAnswer": [{"@type": "Answer", "text": "<b>So.</b>"}]}
    assert body(ld({"@type": "QAPage", "text": "not this", "mainEntity": question})) == "Why?\nSo."


def step(text: str, **more: Any) -> dict[str, Any]:
    return {"@type": "HowToStep", "text": text, **more}


BREAD = {"@type": "Recipe", "name": "Bread", "recipeIngredient": ["500 g flour", "10 g salt"]}
BREAD_TEXT = "Bread\n500 g flour\n10 g salt\nMix.\nBake."


@pytest.mark.parametrize(
    "instructions",
    [
        [step("Mix."), step("Bake.")],
        [step("Mix.", name="Mix"), step("Bake.", name="Bake.")],
        ["Mix.", "Bake."],
        "Mix.\nBake.",
        "<ol><li>Mix.</li><li>Bake.</li></ol>",
        [[step("Mix.")], step("Bake.")],
        {"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "item": step("Mix.")}, step("Bake.")]},
        [{"@type": "HowToSection", "itemListElement": [step("Mix."), {"itemListElement": [step("Bake.")]}]}],
        [{"@type": "HowToStep", "itemListElement": [{"@type": "HowToTip", "text": t}]} for t in ("Mix.", "Bake.")],
        [{"@type": "HowToStep", "name": "Mix."}, {"@type": "HowToStep", "description": "Bake."}],
    ],
)  # fmt: skip
def test_a_recipe_is_its_ingredients_and_steps(instructions: Any) -> None:
    recipe = BREAD | {"recipeInstructions": instructions}
    for thing in (
        recipe,
        {"@graph": [{"@type": "WebPage", "name": "x"}, recipe]},
        recipe | {"@type": ["Recipe", "Thing"]},
    ):
        assert body(ld(thing)) == BREAD_TEXT


def test_a_recipe_has_its_description_if_that_is_a_sentence() -> None:
    recipe = BREAD | {"recipeInstructions": "Mix.\nBake.", "description": "A loaf that keeps for a week."}
    assert body(ld(recipe)) == BREAD_TEXT.replace("Bread", "Bread\nA loaf that keeps for a week.")
    assert body(ld(recipe | {"description": "A loaf."})) == BREAD_TEXT
    assert body(ld({"@type": "Recipe", "name": "Bread", "description": "A loaf."})) == "A loaf."


def test_a_how_to_has_sections_with_names_and_what_it_takes() -> None:
    section = {"@type": "HowToSection", "name": "Before", "itemListElement": [step("Stop the wheel.")]}
    how_to = {
        "@type": "HowTo",
        "name": "Clean it",
        "supply": {"name": "Water"},
        "tool": ["A brush"],
        "step": [section, step("Brush.")],
    }
    assert body(ld(how_to)) == "Clean it\nWater\nA brush\nBefore\nStop the wheel.\nBrush."
    assert body(ld({"@type": "HowTo", "name": "Clean it"})) == ""


@pytest.mark.parametrize(
    "answer", [{"@type": "Answer", "text": "<p>At ten.</p>"}, {"text": "At ten."}, "At ten.", [{"text": "At ten."}]]
)
def test_answers_stand_after_their_questions(answer: Any) -> None:
    questions = [{"@type": "Question", "name": name, "acceptedAnswer": answer} for name in ("When?", "And on Sunday?")]
    for page in (
        {"@type": "FAQPage", "mainEntity": questions},
        {"@graph": [{"@type": "FAQPage", "mainEntity": questions}]},
    ):
        assert body(ld(page)) == "When?\nAt ten.\nAnd on Sunday?\nAt ten."


def test_a_question_of_a_forum_has_title_text_and_all_answers() -> None:
    question = {
        "@type": "Question",
        "name": "Why so loud?",
        "text": "My mill is loud.",
        "acceptedAnswer": {"@type": "Answer", "text": "Grease it.", "comment": {"@type": "Comment", "text": "Thanks."}},
        "suggestedAnswer": [{"@type": "Answer", "text": "Buy another."}],
    }
    text = "Why so loud?\nMy mill is loud.\nGrease it.\nThanks.\nBuy another."
    assert body(ld({"@type": "QAPage", "mainEntity": question})) == text


def test_json_ld_may_be_escaped_and_its_type_misspelt() -> None:
    article = ld({"@type": "Article", "articleBody": "One."})
    assert (
        body(
            article.replace('{"', "{&quot;")
            .replace('": "', "&quot;: &quot;")
            .replace('", "', "&quot;, &quot;")
            .replace('"}', "&quot;}")
        )
        == "One."
    )
    assert body(article.replace("ld+json", "json+ld")) == "One."


def test_microdata_out_of_sight_is_read() -> None:
    assert body("<meta itemprop=articleBody content='&lt;p&gt;One &amp;amp; two.'>") == "One & two."
    assert body("<meta itemprop=recipeIngredient content=Flour><meta itemprop=name content=x>") == "Flour"


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


def test_a_body_in_parts_is_joined() -> None:
    assert body(ld({"@type": "Article", "articleBody": ["<p>One</p>", "Two", 3, ["x"]]})) == "One\nTwo"


def test_types_of_scripts_may_have_parameters_and_any_case() -> None:
    article = ld({"@type": "Article", "articleBody": "x"}).replace("ld+json", "LD+JSON;charset=utf-8")
    assert body(article) == "x"


def test_types_may_be_of_any_vocabulary() -> None:
    for kind in ("Product", "schema:Product", "http://schema.org/Product", ["https://schema.org/Product"]):
        assert body(ld({"@type": kind, "description": PROSE})) == PROSE.strip()
