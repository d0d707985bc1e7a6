"""The text of nodes: white space on pages by hand, and words against lexbor on real pages."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction_pages import WIDE_LINE_END, html5lib_tokenizer_cases, real_pages
from resiliparse.parse.html import HTMLTree, NodeType

from cleaners.extraction.html import nodes, tags
from cleaners.extraction.html.text import max_text_bytes, write_text
from cleaners.extraction.html.tree import parse


def text_of(page: bytes, node: int = 0, without: int = 0) -> str:
    data = np.frombuffer(page, np.uint8)
    out = np.empty(max_text_bytes(len(data)), np.uint8)
    at = write_text(data, parse(data).nodes, node, without, out, 0)
    return out[:at].tobytes().decode()


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("", ""),
        ("  a \n b\t<b> c</b> <i>d</i>e  ", "a b c de\n"),
        ("<p>a<p>b<div>c</div>d", "a\nb\nc\nd\n"),
        ("a<br><br>b<br>", "a\nb\n"),
        ("<pre>\n a\r\n  b\n</pre>c", " a\n  b\nc\n"),
        ("<textarea>\n\na</textarea>", "\na\n"),
        ("<title>t</title><style>s</style>a<script>'<p>'</script>b<noframes>n</noframes>", "ab\n"),
        ("a&nbsp;b&lt;&amp;lt;", "a\xa0b<&lt;\n"),
        ("<xmp>&amp;</xmp><textarea>&amp;</textarea>", "&amp;\n&\n"),
        ("<td>a<td>b", "a\nb\n"),
        ("a<!-- b -->c<?d?>e", "ace\n"),
        ("a\0b", "ab\n"),
        ("<p> </p>a < b <3", "a < b <3\n"),
        ("a&#10;&#32;\n&Tab;b&NewLine;", "a b\n"),
        ("中\n文 文\na\n한\n국", "中文 文 a 한 국\n"),
    ],
)
def test_page_has_the_text(page: str, expected: str) -> None:
    assert text_of(page.encode()) == expected


def test_nodes_with_the_given_flags_are_left_out() -> None:
    page = b"<p>1<p hidden>2<b>3</b></p><template>4</template><noscript>5</noscript>6"
    assert text_of(page) == "1\n23\n4\n5\n6\n"
    assert text_of(page, without=nodes.HIDDEN | nodes.IN_TEMPLATE | nodes.IN_NOSCRIPT) == "1\n6\n"


def test_text_that_is_left_out_takes_no_line_end_or_space_with_it() -> None:
    assert text_of(b"<div>1</div><b hidden>2</b>3<i>4</i> <b hidden>5</b>6", without=nodes.HIDDEN) == "1\n34 6\n"
    assert text_of(b"<div>1</div><svg><style>2</style></svg>3") == "1\n3\n"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<HTML><BODY><P>a<BR>b<TABLE><TR><TD>c</TABLE><SCRIPT>x</SCRIPT><TITLE>t</TITLE>", "a\nb\nc\n"),
        ("<?xml version='1.0'?><html xmlns=x><head><script>//<![CDATA[\nif(a<b){}\n//]]></script></head><p/>a", "a\n"),
        ("a<!--more-->b<!-- wp:p --><p>c</p><!-- /wp:p -->d<!--[if IE]>x<![endif]-->e<![if !IE]>f", "ab\nc\ndef\n"),
        ("<frameset cols='1,2'><frame src=a><noframes>n</noframes></frameset>", ""),
        ("<p>a<plaintext><b>c</plaintext>", "a\n<b>c</plaintext>\n"),
        ("<noscript><img src=x></noscript>a", "a\n"),
        ("<div><template shadowrootmode=open><p>a</p></template>b</div>", "a\nb\n"),
        ("<div><template shadowrootmode=CLOSED>a</template>b</div>", "a\nb\n"),
        ("<div><template shadowrootmode=no>a</template>b</div>", "b\n"),
        ("<div><template><div><template shadowrootmode=open>a</template></div></template>b", "b\n"),
        ("a<script src=x /><p>b</p></script>c<title/>d", "ac\n"),
        ("<details><summary>a</summary>b</details>", "a\nb\n"),
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rt>じ</ruby>", "漢字\n"),
        ("super<wbr>cali&shy;fragi", "supercali\xadfragi\n"),
        ("&rlm;עברית&lrm;", "\u200fעברית\u200e\n"),
        ("<svg><title>t</title><desc>d</desc><text>a</text></svg>b", "ab\n"),
        ("<iframe>a</iframe><noembed>b</noembed><object>c</object><video>d</video>", "c\nd\n"),
    ],
)  # fmt: skip
def test_page_of_another_kind_has_the_text(page: str, expected: str) -> None:
    assert text_of(page.encode(), without=nodes.IN_TEMPLATE) == expected


def their_words(page: bytes) -> list[str]:
    """Words of lexbor's tree, which is the standard's, with the lines of ours."""
    parts: list[str] = []
    node = root = HTMLTree.parse(page.decode()).document
    while True:
        child = None
        if node.type == NodeType.TEXT:
            parts.append(node.value if is_preformatted(node) else WIDE_LINE_END.sub("", node.value))
        elif node.type != NodeType.COMMENT:
            rules = rules_of(node)
            parts.append("\n" * bool(rules & tags.BLOCK or node.tag == "br"))
            child = None if rules & tags.NOT_SHOWN else node.first_child
        # `child_nodes` is quadratic in their number, and `walk` also visits nodes that are not shown.
        while child is None and node != root:
            parts.append("\n" * bool(rules_of(node) & tags.BLOCK))
            child = node.next
            node = node.parent if child is None else node
        if child is None:
            return "".join(parts).split()
        node = child


def is_preformatted(node: Any) -> bool:
    while node is not None and not rules_of(node) & tags.PREFORMATTED_TAG:
        node = node.parent
    return node is not None


def rules_of(node: Any) -> int:
    return int(tags.RULES[tags.TAGS.get(node.tag, tags.UNKNOWN)]) if node.type == NodeType.ELEMENT else 0


def differences(pages: list[bytes]) -> tuple[int, int]:
    """(words in all, pages of which the words are those of the standard's tree joined or parted otherwise); that the
    letters are others, or in another order, fails. lexbor knows no shadow trees: here they are plain templates."""
    num_words = num_parted = 0
    for page in (page.replace(b" shadowrootmode=", b" x=") for page in pages):
        ours, theirs = text_of(page, without=nodes.IN_TEMPLATE | nodes.FORMULA).split(), their_words(page)
        assert "".join(ours) == "".join(theirs)
        num_words += len(theirs)
        num_parted += ours != theirs
    return num_words, num_parted


@pytest.mark.real
def test_html5lib_cases_as_whole_pages_have_the_words_of_the_standards_tree(real_data: Path) -> None:
    inputs = {case["input"] for _, case in html5lib_tokenizer_cases(real_data)}
    pages = [page.encode() for page in sorted(inputs) if not re.search("[\ud800-\udfff]", page)]
    assert len(pages) == 6699
    assert differences(pages)[1] == 0


@pytest.mark.real
@pytest.mark.parametrize("part", range(8))
def test_words_of_real_pages_are_those_of_the_standards_tree_in_order(real_data: Path, part: int) -> None:
    num_words, num_parted = differences(real_pages(real_data, part, 40))
    assert num_words > 10_000
    assert num_parted == 0


@pytest.mark.slow
@pytest.mark.real
def test_words_of_all_real_pages_are_those_of_the_standards_tree_but_for_cells_outside_tables(
    real_data: Path,
) -> None:
    """Two feeds hold `<![CDATA[<table …>`, a comment: the standard ignores the cells, here they break lines. Four more,
    in Japanese, have line ends beside such comments, which part words here and not in the standard's tree."""
    assert sum(differences(real_pages(real_data, part, 1000))[1] for part in range(8)) == 6
