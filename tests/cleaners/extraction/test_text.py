"""The text of nodes: white space by hand, words against lexbor on real pages, and many mutated pages."""

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from resiliparse.parse.html import HTMLTree, NodeType

from cleaners.charset import decode
from cleaners.extraction import nodes, tags
from cleaners.extraction.text import max_text_bytes, page_texts, write_text
from cleaners.extraction.tree import parse
from cleaners.warc import WarcReader
from shards.storage import find_inputs


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
    ],
)
def test_page_has_the_text(page: str, expected: str) -> None:
    assert text_of(page.encode()) == expected


def test_flags_leave_parts_out() -> None:
    page = b"<p>1<p hidden>2<b>3</b></p><template>4</template><noscript>5</noscript>6"
    assert text_of(page) == "1\n23\n4\n5\n6\n"
    assert text_of(page, without=nodes.HIDDEN | nodes.IN_TEMPLATE | nodes.IN_NOSCRIPT) == "1\n6\n"


def test_a_batch_gives_the_text_of_each_page() -> None:
    pages = ["<p>Ä<p>b", "", "<title>t</title>", "<b>c"]
    offsets = np.cumsum([0, *(len(page.encode()) for page in pages)])
    data = np.frombuffer("".join(pages).encode(), np.uint8)
    out, ends = page_texts(data, offsets, 0)
    texts = [out[a:b].tobytes().decode() for a, b in itertools.pairwise(ends)]
    assert texts == [text_of(page.encode()) for page in pages]


BOMBS = {
    "open tags": "<div>",
    "open unknown tags": "<x>",
    "formatting": "<b><i>",
    "misnested formatting": "<b><p></b>",
    "links": "<a href=x>",
    "paragraph ends": "</p>",
    "end tags of nothing": "<p><x></y>",
    "forms": "<form><div></form>",
    "tables": "<table><tr><td>",
    "tables in tables": "<table>",
    "list items": "<ul><li>",
    "selects": "<select><option>",
    "attributes": "<p " + "a b=c " * 20,
    "one tag of attributes": " a",
    "same attribute": " class=x",
    "less-than signs": "<",
    "slashes": "</",
    "comments": "<!--",
    "comment ends": "<!-- --!",
    "declarations": "<!x",
    "scripts in scripts": "<script><!--<script>",
    "script ends": "<script></script",
    "references": "&",
    "long references": "&CounterClockwiseContourIntegra",
    "numbers": "&#9",
    "quotes": "<a b='",
    "svg": "<svg><p>",
    "cdata": "<svg><![CDATA[]]",
    "templates": "<template>",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_of_half_a_megabyte_is_parsed(bomb: str) -> None:
    """A step that is quadratic takes minutes here."""
    for opening in ("", "<p><a ", "<script>", "<!--"):
        page = (opening + bomb * (500_000 // len(bomb))).encode()
        check(page)


def check(page: bytes) -> None:
    """What holds of every tree and text."""
    data = np.frombuffer(page, np.uint8)
    tree = parse(data)
    n, parent, behind = tree.nodes, tree.nodes["parent"], tree.nodes["behind"]
    number = np.arange(len(n))
    assert n["tag"][:2].tolist() == [tags.HTML, tags.HEAD]
    assert np.count_nonzero(n["tag"] == tags.BODY) == 1
    assert parent[0] == -1
    assert np.all(parent[1:] >= 0)
    assert np.all(parent[1:] < number[1:])
    assert np.all(behind[1:] <= behind[parent[1:]])
    assert np.all(n["block"] <= number)
    assert np.all(n["link"] <= number)
    assert np.all(n["tag"][n["link"][n["link"] >= 0]] == tags.A)
    assert np.all(n["start"] <= n["end"])
    assert np.all(np.diff(n["start"]) >= 0)
    assert np.all((n["first_attribute"] <= n["last_attribute"]) & (n["last_attribute"] <= len(tree.attributes)))
    assert np.all(tree.attributes["start"] <= tree.attributes["end"])
    texts = n[n["tag"] <= tags.VERBATIM]
    assert np.all(texts["end"][:-1] <= texts["start"][1:])
    ends = np.concatenate([n["start"], n["end"], tree.attributes["start"], tree.attributes["end"]])
    inside = np.append(data & 0xC0 == 0x80, False)
    assert not np.any(inside[ends])
    out = np.empty(max_text_bytes(len(data)), np.uint8)
    at = write_text(data, tree.nodes, 0, 0, out, 0)
    assert at <= len(out)
    out[:at].tobytes().decode()


SEEDS = (
    "<!doctype html><html lang=de><head><title>Größe</title><meta name=x content='y'><style>p{}</style></head><body "
    "class=home><nav><ul><li><a href='/'>Über</a><li><a href=/b>世界</a></ul></nav><main><h1>Eins</h1><p>Text <b>fett "
    "<i>und</b> kursiv</i> &amp; mehr&hellip;<p hidden>weg<table><tr><td>1<td>2<tr><th>3</table><script>if(a<b){"
    "document.write('<!--<script>')}</script><pre>\n x\n</pre><svg><title>s</title><path d='M0'/></svg><![CDATA[x]]>"
    "<template><p>t</template><noscript><img src=x></noscript><select><option>1<option>2</select></main></body></html>"
)
PIECES = (
    "< > / = ' \" & ; <!-- --> --!> <! <? </ /> <p> </p> <b> </b> <a href=x> </a> <div> </div> <table> <td> </table> "
    "<script> </script> <title> <svg> </svg> <![CDATA[ ]]> <template> </template> <form> </form> <pre> \n \0 &#x &nGt; "
    "é 世 🦀 <select> <option> <plaintext> <body> </body> <html> style='display:none' hidden class=x <li> </ul>"
).split(" ")


def mutated(page: str, draw: random.Random) -> str:
    for _ in range(draw.randint(1, 6)):
        a, b = sorted(draw.randrange(len(page) + 1) for _ in range(2))
        b = min(b, a + 200)
        kind = draw.randrange(5)
        if kind == 0:
            page = page[:a] + page[b:]
        elif kind == 1:
            page = page[:a] + page[a:b] * 2 + page[b:]
        elif kind == 2:
            page = page[:a] + draw.choice(PIECES) + page[a:]
        elif kind == 3:
            page = page[:a] + draw.choice(PIECES) + page[a + 1 :]
        else:
            other = draw.randrange(len(page) + 1)
            page = page[:other] + page[a:b] + page[other:]
    return page[: draw.randrange(len(page) + 1)] if draw.random() < 0.1 else page


def fuzz(pages: list[str], times: int) -> None:
    draw = random.Random(17)
    for _ in range(times):
        check(mutated(draw.choice(pages), draw).encode())


def test_mutated_pages_give_sound_trees() -> None:
    fuzz([SEEDS], 3_000)


def real_pages(folder: Path, part: int, number: int) -> list[bytes]:
    (file,) = find_inputs([str(folder / f"crawl/part-0{part}.warc.gz")], (), "x")
    rows = (row for row in WarcReader("x", file, 0).rows() if row["payload"])
    return [
        decode(bytes(row["payload"]), row["http_charset"]).text.encode("utf-8", "replace")
        for row, _ in zip(rows, range(number), strict=False)
    ]


@pytest.mark.slow
@pytest.mark.real
def test_100_000_mutated_real_pages_stay_in_bounds(real_data: Path, tmp_path: Path) -> None:
    """In a process of its own: compiled code checks its bounds only where it is compiled so."""
    checks = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, __file__, str(real_data), "100000"], env=os.environ | checks, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def their_words(page: bytes) -> list[str]:
    """Words of lexbor's tree, which is the standard's, lines broken as ours are."""
    parts: list[str] = []

    def walk(node: Any) -> None:
        if node.type == NodeType.TEXT:
            parts.append(node.value)
            return
        rules = int(tags.RULES[tags.TAGS.get(node.tag, tags.UNKNOWN)])
        if not rules & tags.NOT_SHOWN:
            breaks = "\n" * bool(rules & tags.BLOCK or node.tag == "br")
            parts.append(breaks)
            for child in node.child_nodes:
                walk(child)
            parts.append(breaks)

    walk(HTMLTree.parse(page.decode()).document)
    return "".join(parts).split()


@pytest.mark.real
def test_words_of_real_pages_are_those_of_the_standards_tree_in_order(real_data: Path) -> None:
    num_words = 0
    for page in real_pages(real_data, 0, 57):  # lexbor's binding takes minutes for the next one
        words = their_words(page)
        assert text_of(page, without=nodes.IN_TEMPLATE).split() == words
        num_words += len(words)
    assert num_words > 10_000


if __name__ == "__main__":
    small = [page.decode()[:3000] for page in real_pages(Path(sys.argv[1]), 1, 200)]
    fuzz([SEEDS, *(page for page in small if page)], int(sys.argv[2]))
