"""Blocks on pages by hand, and against plain Python on tag soup."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.extraction.features.blocks import blocks_of
from cleaners.extraction.html import tags
from cleaners.extraction.html.nesting import is_foreign
from cleaners.extraction.html.nodes import ARIA_HIDDEN, BREAK, FOREIGN, HIDDEN
from cleaners.extraction.html.tree import parse


def blocks_in(page: str) -> list[tuple[str, str]]:
    """(element, its texts joined by "|") of each block."""
    data = page.encode()
    nodes = parse(np.frombuffer(data, np.uint8)).nodes
    blocks, texts = blocks_of(nodes)
    return [
        (
            tags.NAMES[nodes["tag"][block["element"]] - tags.UNKNOWN - 1],
            "|".join(data[nodes["start"][k] : nodes["end"][k]].decode() for k in texts[block["first"] : block["end"]]),
        )
        for block in blocks
    ]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("", []),
        ("<p> </p> <div> ", []),
        ("<p>One <b>two</b><br>three<ul><li>four", [("p", "One |two|three"), ("li", "four")]),
        ("<div>1<p>2</p>3</div>", [("div", "1"), ("p", "2"), ("div", "3")]),
        ("<div>1<script>x</script>2<style>y</style></div>", [("div", "1|2")]),
        ("<title>t</title><div>1</div><svg><style>2</style></svg>3", [("div", "1"), ("body", "3")]),
        ("<p>1<svg><title>2</title><desc>3</desc><g>4</g></svg>5", [("p", "1"), ("p", "4|5")]),
        ("<p>1<svg><![CDATA[2]]></svg>3", [("p", "1"), ("p", "2|3")]),
        ("<p hidden>1</p><template>2</template>", [("p", "1"), ("template", "2")]),
        ("<p>1<b hidden>2</b>3<p><b hidden>4</b>", [("p", "1|3"), ("p", "4")]),
        ("<p>1<math hidden>2</math>3<i aria-hidden=true>4</i>", [("p", "1|2|3")]),
        ("<p>1<math hidden><mi>2</mi></math>3<i aria-hidden=true>4</i>", [("p", "1|2|3")]),
        ("<math><mi>1</mi><annotation>2</annotation></math><ruby>3<rp>(<rt>4<rp>)</ruby>5", [("body", "1|3|5")]),
        ("<table><tr><td>1<td>2<tr>3", [("td", "1"), ("td", "2"), ("tr", "3")]),
        ("<xmp><b>2</xmp>3<noembed>4</noembed><plaintext>5", [("xmp", "<b>2"), ("body", "3"), ("plaintext", "5")]),
        ("<p>1<hr>2<select><option>3<option>4</select>", [("p", "1"), ("body", "2"), ("option", "3"), ("option", "4")]),
    ],
)  # fmt: skip
def test_page_has_the_blocks(page: str, expected: list[tuple[str, str]]) -> None:
    assert blocks_in(page) == expected


def plain_blocks(nodes: Any) -> list[tuple[int, list[int]]]:
    """(element, text nodes) of each block: a text begins one where it, or a text left out since the last, has BREAK."""
    found: list[tuple[int, list[int]]] = []
    broken = True
    for i, node in enumerate(nodes):
        above = i
        while above > 0 and not tags.RULES[nodes["tag"][above]] & tags.NOT_SHOWN:
            above = nodes["parent"][above]
        is_text = node["tag"] == tags.TEXT
        is_shown = node["flags"] & FOREIGN or nodes["tag"][node["parent"]] in (tags.TAGS["xmp"], tags.PLAINTEXT)
        if not is_text and not (node["tag"] == tags.VERBATIM and is_shown):
            continue
        if is_text or above == 0:
            broken = broken or bool(node["flags"] & BREAK)
        if above == 0:
            if broken or found[-1][0] != node["block"]:
                found.append((int(node["block"]), []))
            found[-1][1].append(i)
            broken = False
    return [(element, shown(nodes, texts)) for element, texts in found]


def shown(nodes: Any, texts: list[int]) -> list[int]:
    """Drop hidden text in a line that shows, and text beside MathML that is for the eyes."""
    flags = {i: int(nodes["flags"][i]) for i in texts}
    out = texts
    math = {i for i in texts if flags[i] & FOREIGN or is_foreign(nodes, nodes["parent"][i])}
    if any(not flags[i] & HIDDEN for i in texts):
        out = [i for i in out if i in math or not flags[i] & HIDDEN]
    if math:
        out = [i for i in out if i in math or not flags[i] & ARIA_HIDDEN]
    return out


TAGS = "div p b a ul li table td br script style title svg math mi desc template select option datalist".split()
TAGS += ["b hidden", "i aria-hidden=true", "div hidden", "ruby", "rt", "annotation"]
soup = st.lists(
    st.one_of(
        st.sampled_from(["one", " two ", " ", "<![CDATA[x]]>"]),
        st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag.split()[0]}>" for tag in TAGS]),
    ),
    max_size=30,
).map("".join)


@settings(max_examples=300)
@given(soup)
def test_blocks_are_those_of_plain_python(page: str) -> None:
    nodes = parse(np.frombuffer(page.encode(), np.uint8)).nodes
    blocks, texts = blocks_of(nodes)
    ours = [(int(b["element"]), texts[b["first"] : b["end"]].tolist()) for b in blocks]
    assert ours == plain_blocks(nodes)
