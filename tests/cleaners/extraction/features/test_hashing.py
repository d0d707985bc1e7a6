"""Tokens of class and id against plain Python with regular expressions."""

import re

import numpy as np
import pytest
from extraction_soup import sample_page, soup
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.features.hashing import _tokens, element_signatures, hash_of, hash_small, path_tokens
from cleaners.extraction.html import attributes
from cleaners.extraction.html.tags import VERBATIM

_WHOLE = 0x9E3779B9


@pytest.mark.parametrize(("word", "state"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)])
def test_hash_is_fnv_1a(word: str, state: int) -> None:
    """The values are the test vectors of the authors."""
    assert hash_of(word) == state


def test_values_are_hashed_in_lower_case() -> None:
    data = np.frombuffer(b"x og:TITLE_2 x", np.uint8)
    assert hash_small(data, 2, 12) == hash_of("og:title_2")
    assert hash_small(data, 2, 2) == hash_of("")


def plain_tokens(value: bytes) -> list[tuple[str, bool]]:
    """(token, whether it has parts) of each."""
    found = []
    for given_word in re.split(r"[\t\n\f\r ]+", value.decode("latin-1").strip("\t\n\f\r "))[:40]:
        marked = re.sub(r"(?<=[a-z])(?=[A-Z])", "\n", given_word)
        *parts, last = re.split(r"[-_:/\n]", re.sub(r"[0-9]", "", marked))
        parts = [part for part in parts if len(part) > 1]
        whole = re.sub(r"[0-9]", "", given_word)
        if parts and len(last) > 1:
            parts.append(last)
        found += [(part, False) for part in parts]
        if len(whole) > 1:
            found.append((whole, bool(parts)))
    # Only ASCII capitals: other bytes are parts of characters.
    return [(re.sub(r"[A-Z]", lambda m: m[0].lower(), token), marked) for token, marked in found]


def plain_hashes(value: bytes) -> list[int]:
    return [hash_of(token) ^ (_WHOLE if marked else 0) for token, marked in plain_tokens(value)]


def hashes(value: bytes) -> list[int]:
    out = np.zeros(len(value) + 1, np.uint32)
    return [int(state) for state in out[: _tokens(np.frombuffer(value, np.uint8), 0, len(value), out, 0)]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("  nav\t", [("nav", False)]),
        (
            "article-body2 storyText",
            [
                *(("article", False), ("body", False), ("article-body", True)),
                *(("story", False), ("text", False), ("storytext", True)),
            ],
        ),
        ("a 7 x9 -", []),
        ("item-1042", [("item", False), ("item-", True)]),
        ("a-bcd", [("a-bcd", False)]),
        ("HTMLText", [("htmltext", False)]),
        ("md:flex w-1/2", [("md", False), ("flex", False), ("md:flex", True), ("w-/", False)]),
    ],
)
def test_value_has_the_tokens(value: str, expected: list[tuple[str, bool]]) -> None:
    assert plain_tokens(value.encode()) == expected
    assert hashes(value.encode()) == plain_hashes(value.encode())


@settings(max_examples=300)
@given(st.text(alphabet="abYZ07-_:/ \t\né世", max_size=60).map(str.encode))
def test_tokens_are_those_of_plain_python(value: bytes) -> None:
    assert hashes(value) == plain_hashes(value)


def test_only_the_first_forty_classes_count() -> None:
    names = [f"name{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(50)]
    assert hashes(" ".join(names).encode()) == [hash_of(name) for name in names[:40]]


def test_tokens_of_an_element_are_those_of_class_id_role_and_itemprop() -> None:
    page = f"<p title=no class='one two' id={'i' * 70} role=Note itemprop=name href=x>text<b name=no>"
    data, read, _, _ = sample_page(page)
    tokens, offsets = path_tokens(data, read.tree, read.alike)
    assert offsets[:4].tolist() == [0, 0, 0, 0]  # html, head, body have none
    assert tokens.tolist() == [hash_of(word) for word in ["one", "two", "i" * 60, "note", "name"]]
    assert offsets.tolist() == [0, 0, 0, 0, 5, 5, 5]


@settings(max_examples=50)
@given(soup)
def test_tokens_of_a_page_are_those_of_its_elements_in_order(page: str) -> None:
    data, read, _, _ = sample_page(page)
    nodes, kept = read.tree
    expected, ends = [], [0]
    for node in nodes:
        if node["tag"] > VERBATIM:
            for attribute in kept[node["first_attribute"] : node["end_attribute"]]:
                if attribute["name"] in (attributes.CLASS, attributes.ID, attributes.ROLE, attributes.ITEMPROP):
                    expected += plain_hashes(data[attribute["start"] : attribute["end"]].tobytes())
        ends.append(len(expected))
    assert read.tokens.tolist() == expected
    assert read.token_offsets.tolist() == ends


def signatures(page: str) -> list[int]:
    data, read, _, _ = sample_page(page)
    found = element_signatures(data, read.tree, read.alike)
    return [int(state) for state, node in zip(found, read.tree.nodes, strict=True) if node["tag"] > VERBATIM][3:]


def test_elements_with_the_same_tag_and_class_have_one_signature_without_digits() -> None:
    first, same, other_class, other_tag, none = signatures(
        "<p class=row1><p class=row22><p class=rows><ul class=row><p>"
    )
    assert first == same
    assert len({first, other_class, other_tag, none}) == 4


@settings(max_examples=50)
@given(soup)
def test_the_first_element_alike_has_the_same_tag_and_names(page: str) -> None:
    page = page + "<p class='a b' id=c>x<p id=c class='a b'>x<p id=c>x<p class='a b' title=t id=c>x<p>x" * 2
    data, read, _, _ = sample_page(page)
    nodes, kept = read.tree
    seen: dict[object, int] = {}
    for i, node in enumerate(nodes):
        names = [
            (int(attribute["name"]), data[attribute["start"] : attribute["end"]].tobytes())
            for attribute in kept[node["first_attribute"] : node["end_attribute"]]
            if attribute["name"] in (attributes.CLASS, attributes.ID, attributes.ROLE, attributes.ITEMPROP)
        ]
        key = (int(node["tag"]), *names) if node["tag"] > VERBATIM else i
        assert read.alike[i] == seen.setdefault(key, i)
