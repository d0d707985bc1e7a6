"""Invariants of trees, blocks and texts, on bombs and on mutated pages under bounds checks."""

import itertools
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from extraction_pages import real_pages
from numba import njit

from cleaners.extraction.features.blocks import blocks_of
from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import PREFORMATTED
from cleaners.extraction.html.text import max_text_bytes, write_text
from cleaners.extraction.html.tree import parse

BOMBS = {
    "open tags": "<div>",
    "open unknown tags": "<x>",
    "bold": "<b>",
    "formatting": "<b><i>",
    "misnested formatting": "<b><p></b>",
    "links": "<a href=x>",
    "links in tables": "<a><table>",
    "paragraphs": "<p>",
    "paragraph ends": "</p>",
    "paragraphs in buttons": "<button><p>",
    "end tags of nothing": "<p><x></y>",
    "end tags of nothing in depth": "<div></b></i></a></td></li>",
    "headings": "<h1><h2>",
    "forms": "<form><div></form>",
    "tables": "<table><tr><td>",
    "tables in tables": "<table>",
    "list items": "<li>",
    "list items in lists": "<ul><li>",
    "definitions": "<dl><dt><dd>",
    "selects": "<select>",
    "options": "<select><option>",
    "inputs": "<select><input>",
    "hidden": "<p hidden>a",
    "rubies": "<ruby><rb><rtc><rt>",
    "attributes": "<p " + "a b=c " * 20,
    "one tag of attributes": " a",
    "one tag of known attributes": " class=x id=y style=color:red",
    "same attribute": " class=x",
    "style": "<p style='" + "display:" * 20 + "'>",
    "value": "a",
    "less-than signs": "<",
    "slashes": "</",
    "comments": "<!--",
    "comment ends": "<!-- --!",
    "declarations": "<!x",
    "instructions": "<?",
    "doctypes": "<!doctype",
    "scripts": "<script>",
    "scripts in scripts": "<script><!--<script>",
    "comments in scripts": "<!--<script>-->",
    "script ends": "<script></script",
    "titles": "<title>a</title>",
    "references": "&",
    "long references": "&CounterClockwiseContourIntegra",
    "numbers": "&#9",
    "quotes": "<a b='",
    "svg": "<svg>",
    "paragraphs in svg": "<svg><p>",
    "svg in svg": "<svg><desc>",
    "end tags of nothing in svg": "<svg></x>",
    "cdata": "<svg><![CDATA[]]",
    "templates": "<template>",
    "plaintext": "<plaintext>",
    "NUL": "\0",
}
OPENINGS = ("", "<p><a ", "<p id='", "<script>", "<svg>", "<div>" * 600)


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_of_half_a_megabyte_is_parsed(bomb: str) -> None:
    """A step that is quadratic takes minutes here."""
    for opening in OPENINGS:
        check((opening + bomb * (500_000 // len(bomb))).encode())


def seconds(page: str) -> float:
    """CPU seconds of the fastest of three runs of parser, blocks and text: others may have the cores meanwhile."""
    data = np.frombuffer(page.encode(), np.uint8)
    out = np.empty(max_text_bytes(len(data)), np.uint8)
    times = []
    for _ in range(3):
        begin = time.thread_time()
        nodes = parse(data).nodes
        blocks_of(nodes)
        write_text(data, nodes, 0, 0, out, 0)
        times.append(time.thread_time() - begin)
    return min(times)


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_four_times_the_bomb_takes_less_than_twelve_times_as_long(bomb: str) -> None:
    """Linear time is 4 times as long, quadratic time 16 times. At most 7.5 times was seen, with new memory."""
    for opening in OPENINGS:
        times = 500_000 // len(bomb)
        assert seconds(opening + bomb * 4 * times) < 12 * seconds(opening + bomb * times) + 0.02


def check(page: bytes) -> None:
    data = np.frombuffer(page, np.uint8)
    tree = parse(data)
    nodes, attributes = tree
    tag, parent, after = nodes["tag"], nodes["parent"], nodes["after"]
    number = np.arange(len(nodes))

    assert tag[:2].tolist() == [tags.HTML, tags.HEAD]
    assert np.count_nonzero(tag == tags.BODY) == 1
    assert parent[0] == -1
    assert np.all((parent[1:] >= 0) & (parent[1:] < number[1:]))
    assert np.all((after > number) & (after <= len(nodes)))
    assert np.all(after[1:] <= after[parent[1:]])
    assert np.all((nodes["block"] >= 0) & (nodes["block"] <= number))
    assert np.all((nodes["link"] >= -1) & (nodes["link"] <= number))
    assert np.all(tag[nodes["link"][nodes["link"] >= 0]] == tags.A)
    assert np.all(nodes["start"] <= nodes["end"])
    assert np.all(nodes["end"][1:] <= nodes["end"][parent[1:]])
    assert np.all(np.diff(nodes["start"]) >= 0)
    assert np.all(nodes["first_attribute"] <= nodes["end_attribute"])
    assert np.all(nodes["end_attribute"] <= len(attributes))
    assert np.all(attributes["start"] <= attributes["end"])
    positions = np.concatenate([nodes["start"], nodes["end"], attributes["start"], attributes["end"]])
    assert np.all((positions >= 0) & (positions <= len(data)))
    assert not np.any(np.append(data & 0xC0 == 0x80, False)[positions]), "a position within a character"
    texts = nodes[tag <= tags.VERBATIM]
    assert np.all(texts["end"][:-1] <= texts["start"][1:]), "a byte in two texts"

    blocks, chosen = blocks_of(nodes)
    assert np.all(np.diff(chosen) > 0)
    assert np.all(tag[chosen] <= tags.VERBATIM)
    assert np.array_equal(np.append(blocks["first"], len(chosen)), np.append(0, blocks["end"]))
    assert np.all(blocks["first"] < blocks["end"])
    assert np.array_equal(np.repeat(blocks["element"], blocks["end"] - blocks["first"]), nodes["block"][chosen])

    out = np.empty(max_text_bytes(len(data)), np.uint8)
    at = write_text(data, nodes, 0, 0, out, 0)
    assert at <= len(out)
    written = out[:at].tobytes().decode()
    assert np.any(nodes["flags"] & PREFORMATTED) or not ("\n\n" in written or "  " in written)


SEED = (
    "<!doctype html><html lang=de><head><title>Größe</title><meta name=x content='y'><style>p{}</style></head><body "
    "class=home><nav><ul><li><a href='/'>Über</a><li><a href=/b>世界</a></ul></nav><main><h1>Eins</h1><p>Text <b>fett "
    "<i>und</b> kursiv</i> &amp; mehr&hellip;<p hidden>weg<table><tr><td>1<td>2<tr><th>3</table><script>if(a<b){"
    "document.write('<!--<script>')}</script><pre>\n x\n</pre><svg><title>s</title><path d='M0'/></svg><![CDATA[x]]>"
    "<template><p>t</template><noscript><img src=x></noscript><select><option>1<option>2</select></main></body></html>"
)
PIECES = [
    piece.encode()
    for piece in (
        "< > / = ' \" & ; <!-- --> --!> <! <? </ /> <p> </p> <b> </b> <a href=x> </a> <div> </div> <table> <td> "
        "</table> <script> </script> <title> <svg> </svg> <desc> <math> <mi> <![CDATA[ ]]> <template> </template> "
        "<form> </form> <pre> \n \0 &#x &nGt; é 世 🦀 <select> <option> <input> <plaintext> <body> </body> <html> "
        "style='display:none' hidden class=x <li> </ul> <ruby> <rt> <button> <noscript> </noscript> <br> </br>"
    ).split(" ")
]


def mutated(page: bytes, draw: random.Random) -> bytes:
    """Up to six times flip bytes, delete, double or move a span, or insert markup; at times cut the page."""
    for _ in range(draw.randint(1, 6)):
        a, b = sorted((draw.randrange(len(page) + 1), draw.randrange(len(page) + 1)))
        b = min(b, a + 200)
        kind = draw.randrange(7)
        if kind == 0:
            page = page[:a] + page[b:]
        elif kind == 1:
            page = page[:a] + page[a:b] * draw.randint(2, 4) + page[b:]
        elif kind == 2:
            page = page[:a] + draw.choice(PIECES) + page[a:]
        elif kind == 3:
            page = page[:a] + draw.choice(PIECES) + page[a + 1 :]
        elif kind == 4:
            page = page[:a] + bytes([draw.randrange(256)]) + page[a + 1 :]
        elif kind == 5:
            page = page[:a] + b"".join(draw.choices(PIECES, k=draw.randrange(30))) + page[a:]
        else:
            other = draw.randrange(len(page) + 1)
            page = page[:other] + page[a:b] + page[other:]
    page = page[: draw.randrange(len(page) + 1)] if draw.random() < 0.1 else page
    return page.decode("utf-8", "replace").encode()


def fuzz(pages: list[bytes], times: int) -> None:
    """Mutate pieces of 1 to 4 kB; a page that fails is printed in full, ready for a test of its own."""
    draw = random.Random(17)
    for _ in range(times):
        page = draw.choice(pages)
        at = draw.randrange(max(1, len(page) - 1000))
        piece = mutated(page[at : at + draw.randint(1000, 4000)], draw)
        try:
            check(piece)
        except Exception as error:
            raise AssertionError(f"{piece!r}") from error


def test_mutated_pages_have_valid_trees_blocks_and_texts() -> None:
    fuzz([SEED.encode()], 2_000)


@pytest.mark.slow
@pytest.mark.real
def test_100_000_mutated_real_pages_stay_in_bounds(real_data: Path, tmp_path: Path) -> None:
    """Runs in a process of its own, which compiles the kernels with bounds checks."""
    checks = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, __file__, str(real_data), "100000"], env=os.environ | checks, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]


if __name__ == "__main__":
    with pytest.raises(IndexError):
        njit(lambda array: array[len(array)])(np.zeros(1))  # bounds are checked
    for opening, bomb in itertools.product(OPENINGS, BOMBS.values()):
        check((opening + bomb * (20_000 // len(bomb))).encode())
    folder, times = Path(sys.argv[1]), int(sys.argv[2])
    fuzz([SEED.encode(), *(page for part in range(8) for page in real_pages(folder, part, 40) if page)], times)
