"""Listings without line numbers and with their indents, as each program that colours code writes them."""

import re
from pathlib import Path

import pytest
from extraction_soup import shown

# `listings.txt`: the name of a program or a situation, its HTML and the text, for each.
LISTINGS = re.findall(
    r"^### ([^\n]*)\n(.*?)\n=>\n(.*?)\n(?=\n###|\Z)",
    Path(__file__).with_name("listings.txt").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize(("html", "text"), [pytest.param(html, text, id=name) for name, html, text in LISTINGS])
def test_listing_is_the_code_alone(html: str, text: str) -> None:
    assert shown(html) == text


def test_all_situations_are_read() -> None:
    assert len(LISTINGS) == 52


@pytest.mark.parametrize("name", ["pygments table", "syntaxhighlighter", "github2", "gitea", "dp ol"])
def test_listing_of_many_elements_is_one_block_of_code_in_markdown(name: str) -> None:
    (html,) = (html for program, html, _ in LISTINGS if program == name)
    assert re.fullmatch(r"```\w*\nif a:\n    b\(\)\n```", shown(html, markdown=True))


def test_many_listings_take_linear_time() -> None:
    cells = "<td>1</td><td><pre>a</pre></td>"
    assert shown(f"<table><tr>{cells * 5_000}</table>").count("a") == 5_000
    assert shown("<div><i>1</i>" + "<div><pre>a</pre>" * 5_000).count("a") == 5_000
