"""Plain text against a walk over the nodes in plain Python, and against the words of the page, which it keeps."""

import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction_pages import WIDE_LINE_END, real_pages
from extraction_soup import PIECES, SamplePage, around, large_soup, sample_page, soup, written
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.nodes import HIDDEN, PREFORMATTED, SPACE
from cleaners.extraction.html.tags import EATS_NEWLINE, HEADING, PREFORMATTED_TAG, RULES, TAGS, TEXT
from cleaners.extraction.html.text import max_text_bytes, write_text
from cleaners.extraction.json_ld import value_of
from cleaners.extraction.markdown import formatted_text
from cleaners.extraction.plain_text import max_plain_text_bytes, write_plain_text
from cleaners.extraction.structure import MAX_COLUMNS

LI, TR, TD, TH, TABLE, TEXTAREA = (TAGS[name] for name in "li tr td th table textarea".split())
BR, VERBATIM_BLANK = "\x01", {" ": "\x02", "\n": "\x03", "\t": "\x04"}  # white space that does not collapse


def every_block(page: SamplePage) -> np.ndarray:
    return page.page.measured.measures["chars"] > 0


def nearest(nodes: Any, node: int, wanted: set[int], stop: set[int]) -> int:
    """The nearest of `wanted` around a node, itself included, up to one of `stop`, or -1."""
    found = next((i for i in around(nodes, node) if int(nodes["tag"][i]) in wanted | stop), -1)
    return found if found >= 0 and int(nodes["tag"][found]) in wanted else -1


def oracle(page: SamplePage, chosen: np.ndarray | None = None) -> str:
    """The text that `write_plain_text` writes, in plain Python."""
    nodes = page.page.tree.nodes
    verbatim = {tag for tag in range(len(RULES)) if RULES[tag] & PREFORMATTED_TAG} - {TEXTAREA}
    elements = page.page.blocks["element"].tolist()
    shown = np.flatnonzero(every_block(page) if chosen is None else chosen).tolist()
    rows = {b: nearest(nodes, elements[b], {TR}, {TABLE}) for b in shown}
    cells = {b: nearest(nodes, elements[b], {TD, TH}, {TR, TABLE}) for b in shown}
    items = {b: nearest(nodes, elements[b], {LI}, {TD, TH}) for b in shown}
    tables = {b: max(nearest(nodes, elements[b], {TABLE}, set()), 0) for b in shown}
    held = Counter((rows[b], cells[b]) for b in shown)
    broken = {row for (row, _), number in held.items() if number > 4}
    for b in shown:
        if RULES[nodes["tag"][elements[b]]] & HEADING or nearest(nodes, elements[b], verbatim, set()) >= 0:
            broken.add(rows[b])
    lines: set[int] = set()
    tables_of_lines = set()
    for row, table in sorted({(rows[b], tables[b]) for b in shown if rows[b] >= 0}):
        in_cells = [number for (of_row, _), number in held.items() if of_row == row]
        if row not in broken and (len(in_cells) > 1 or (in_cells == [1] and table in tables_of_lines)):
            lines.add(row)
            tables_of_lines.add(table)
    columns = columns_of(nodes, partial(span_of, page))
    filled = {(tables[b], columns[cells[b]]) for b in shown if rows[b] in lines and cells[b] >= 0}
    out, row, cell, item, column = "", -1, -1, -1, 0
    for b in shown:
        is_in_line = rows[b] in lines
        if not (text := block_text(page, b)):
            continue
        here = 0
        if is_in_line:
            text = text.replace("\n", " ")
            here = sum((tables[b], k) in filled for k in range(columns[cells[b]])) if cells[b] >= 0 else 0
        if is_in_line and rows[b] == row:
            here = max(here, column + int(cells[b] != cell))
            out += " |" * (here - column) + " " + text
        else:
            out += "\n" * bool(out) + "- " * (items[b] not in (-1, item) and not is_in_line)
            out += ("|" + " |" * (here - 1) + " ") * (here > 0) + text
        row, cell, item, column = rows[b] if is_in_line else -1, cells[b], items[b], here
    return out


def columns_of(nodes: Any, span: Callable[[int, int], int]) -> dict[int, int]:
    """The column of each cell in the grid of its table; `span` reads the attribute of a node."""
    grids: dict[int, tuple[int, int, dict[int, int]]] = {}  # by table: row, column, last row of each column
    out = {}
    for i, tag in enumerate(nodes["tag"].tolist()):
        tables = [k for k in around(nodes, i) if int(nodes["tag"][k]) == TABLE]
        table = max([0, *tables])
        row, column, taken = grids.get(table, (0, 0, {}))
        if tag == TR:
            row, column = row + 1, 0
        elif tag in (TD, TH):
            while taken.get(column, -1) >= row and column < MAX_COLUMNS:
                column += 1
            out[i] = column if len(tables) < 16 else 0
            after = min(column + span(i, attributes.COLSPAN), MAX_COLUMNS)
            taken |= dict.fromkeys(range(column, after), row + span(i, attributes.ROWSPAN) - 1)
            column = after
        grids[table] = row, column, taken
    return out


def span_of(page: SamplePage, node: int, attribute: int) -> int:
    told = re.match("[0-9]{1,4}", value_of(page.data, page.page.tree, node, attribute))
    return max(int(told[0]), 1) if told else 1


def block_text(page: SamplePage, b: int) -> str:
    nodes = page.page.tree.nodes
    first, end = (int(page.page.blocks[b][name]) for name in ("first", "end"))
    texts = set(page.page.texts[first:end].tolist())
    out = ""
    for i in range(min(texts), max(texts) + 1):
        if nodes["tag"][i] == tags.BR:
            out += BR
        elif i in texts:
            out += node_text(page, i)
        elif nodes["tag"][i] == TEXT and nodes["flags"][i] & SPACE:
            out += " "
    out = re.sub(r"[ \t\n\f\r]+", " ", out)
    out = re.sub("\x03?[ \x02]*(?:\x01[ \x02]*)*\x01 ?", "\n", out).lstrip("\n ")
    for blank, shown in VERBATIM_BLANK.items():
        out = out.replace(shown, blank)
    return out.rstrip(" \n")


def node_text(page: SamplePage, i: int) -> str:
    node = page.page.tree.nodes[i]
    text = page.data[node["start"] : node["end"]].tobytes().decode()
    if node["flags"] & PREFORMATTED:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if node["parent"] == i - 1 and RULES[page.page.tree.nodes[i - 1]["tag"]] & EATS_NEWLINE:
            text = text.removeprefix("\n")
    else:
        text = WIDE_LINE_END.sub("", text)
    if node["tag"] == TEXT:
        text = unescape(text)
    text = text.replace("\0", "")
    if node["flags"] & PREFORMATTED:
        return "".join(VERBATIM_BLANK.get(c, c) for c in text)
    return " " * bool(node["flags"] & SPACE) + text


def plain(html: str | bytes, chosen: np.ndarray | None = None) -> str:
    page = sample_page(html)
    if chosen is None:
        chosen = every_block(page)
    room = max_plain_text_bytes(page.page, chosen)
    out = np.empty(room + 10, np.uint8)
    end = write_plain_text(page.data, page.page, chosen, out, 10)
    assert end - 10 <= room
    return out[10:end].tobytes().decode()


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("<p>a<p>b <b>c</b>", "a\nb c"),
        ("<p>a<br><br>b", "a\nb"),
        ("<ul><li>a<li>b<ul><li>c</ul>d</ul>", "- a\n- b\n- c\n- d"),
        ("<ol><li><p>a<p>b</ol>", "- a\nb"),
        ("<table><tr><th>a<td>b<br>c<tr><td>d<td><p>e<p>f</table>", "a | b c\nd | e f"),
        ("<table><tr><td>only</table>", "only"),
        ("<table><tr><td><h1>a</h1><td>b</table>", "a\nb"),
        ("<table><tr><td>a<p>b<p>c<p>d<p>e<td>f</table>", "a\nb\nc\nd\ne\nf"),
        ("<table><tr><td>a<td><table><tr><td>b<td>c</table></table>", "a\nb | c"),
        ("<pre>\n a\n  b\n</pre>c", " a\n  b\nc"),
        ("<p>&nbsp;<p> <p>a", "a"),
        ("<p>1 &lt; 2 &amp; 3", "1 < 2 & 3"),
    ],
)
def test_page_has_the_lines(html: str, text: str) -> None:
    assert plain(html) == text
    assert oracle(sample_page(html)) == text
    page = sample_page(html)
    assert formatted_text(page.data, page.page, every_block(page), markdown=False, links=False) == text


def test_only_chosen_blocks_are_written() -> None:
    html = "<ul><li>a<li>b</ul><tr><td>c<td>d<td>e<p>f"
    assert plain(html, np.array([False, True, True, False, True, False])) == "- b\nc | e"
    assert plain(html, np.zeros(6, np.bool_)) == ""


def words_in_blocks(html: str | bytes) -> list[str]:
    """The words of the whole page, without texts that are in no block."""
    page = sample_page(html)
    nodes = page.page.tree.nodes.copy()
    left_out = np.isin(nodes["tag"], [TEXT, tags.VERBATIM])
    left_out[page.page.texts] = False
    nodes["flags"] = np.where(left_out, nodes["flags"] | HIDDEN, nodes["flags"] & (0xFFFF - HIDDEN))
    out = np.empty(max_text_bytes(len(page.data)), np.uint8)
    whole = out[: write_text(page.data, nodes, 0, HIDDEN, out, 0)].tobytes().decode()
    return re.findall(r"\w+", whole)


@settings(max_examples=200, deadline=None)
@given(soup)
def test_words_are_those_of_the_page_in_order(html: str) -> None:
    assert re.findall(r"\w+", plain(html)) == words_in_blocks(html)


@settings(max_examples=100, deadline=None)
@given(soup, st.randoms(use_true_random=False))
def test_a_choice_leaves_the_other_words_as_they_are(html: str, random: Any) -> None:
    page = sample_page(html)
    chosen = np.array([random.random() < 0.5 for _ in page.page.blocks], np.bool_)
    parts = [plain(html, np.arange(len(chosen)) == b) for b in np.flatnonzero(chosen)]
    words = re.findall(r"\w+", " ".join(parts))
    assert re.findall(r"\w+", plain(html, chosen)) == words


@pytest.mark.real
def test_words_of_real_pages_are_kept_in_order(real_data: Path) -> None:
    for html in real_pages(real_data, 1, 60):
        assert re.findall(r"\w+", plain(html)) == words_in_blocks(html)


@settings(max_examples=200, deadline=None)
@given(soup, st.randoms(use_true_random=False))
def test_lines_are_those_of_the_oracle(html: str, random: Any) -> None:
    page = sample_page(html)
    chosen = np.array([random.random() < 0.7 for _ in page.page.blocks], np.bool_)
    assert plain(html) == oracle(page)
    assert plain(html, chosen) == oracle(page, chosen)
    assert plain(html, chosen) == formatted_text(page.data, page.page, chosen, markdown=False, links=False)


@pytest.mark.real
def test_lines_of_real_pages_are_those_of_the_oracle(real_data: Path) -> None:
    draw = np.random.default_rng(5)
    for part in range(4):
        for html in real_pages(real_data, part, 25):
            page = sample_page(html)
            chosen = draw.random(len(page.page.blocks)) < 0.5
            assert plain(html, chosen) == oracle(page, chosen)


GROWTH = (
    "<p>&nGt;",
    "<li>&nGt;",
    "<td>&nGt;",
    "<tr><td>a<td>&nGt;",
    "<pre>&nGt;<br>",
    "<br>a",
    "&nGt;<br>",
    "<li><p>a",
    "\n<p>\n",
)


@pytest.mark.parametrize("piece", GROWTH)
def test_text_that_is_longer_than_the_page_has_room(piece: str) -> None:
    page = sample_page("<table><tr>" + piece * 800)
    assert plain("<table><tr>" + piece * 800) == oracle(page)


@pytest.mark.slow
@pytest.mark.real
def test_writing_stays_in_bounds(real_data: Path, tmp_path: Path) -> None:
    """Runs in a process of its own, which compiles the kernels with bounds checks."""
    checks = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, __file__, str(real_data)], env=os.environ | checks, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]


def rows(html: str) -> list[str]:
    return plain(f"<table>{html}</table>").split("\n")


def test_cells_stay_in_their_columns() -> None:
    head = "<tr><th>Name<th>Born<th>Died"
    assert rows(f"{head}<tr><td>Anna<td><td>1999<tr><td><td>1900<td>1970<tr><td>Carl<tr><td><td>1950") == [
        "Name | Born | Died",
        "Anna | | 1999",
        "| 1900 | 1970",
        "Carl",
        "| 1950",
    ]
    assert rows(f"{head}<tr><td colspan=2>unknown<td>1999") == ["Name | Born | Died", "unknown | | 1999"]
    assert rows(f"{head}<tr><td rowspan=2>A<td>1<td>2<tr><td>3<td>4<tr><td>B<td>5<td>6")[1:] == [
        "A | 1 | 2",
        "| 3 | 4",
        "B | 5 | 6",
    ]


def test_text_outside_of_cells_moves_no_cell_back() -> None:
    assert rows("<tr><td>a<td>b<td>c<tr><td colspan=2>d</td>x<td>y") == ["a | b | c", "d | x | y"]
    assert rows("<tr><td>a<td>b<tr><td>c<template shadowrootmode=open><td>d</template>e<td>f")[1] == "c | d | e | f"
    wide = "<tr>" + "<td>a" * 63 + ("<tr><td colspan=63>a</td>" + "x<td>y</td>" * 4) * 30
    page = sample_page(f"<table>{wide}</table>")
    room = max_plain_text_bytes(page.page, every_block(page))
    out = np.empty(9 * room, np.uint8)
    assert write_plain_text(page.data, page.page, every_block(page), out, 0) <= room


def test_columns_that_no_line_fills_are_dropped() -> None:
    assert rows("<tr><td><img src=a><td>a<td>&nbsp;<td>b<tr><td><input><td>c<td><td>d") == ["a | b", "c | d"]


def test_odd_spans_are_one() -> None:
    odd = "<tr><td colspan=0>a<td colspan=-3>b<td colspan=x rowspan=99999>c<td>d<tr><td>e<td>f<td>g"
    assert rows(odd) == ["a | b | c | d", "e | f | | g"]


def test_tables_within_tables_have_their_own_columns() -> None:
    inner = "<table><tr><td>1<td>2<tr><td><td>3</table>"
    html = f"<tr><td>a<td>b<td>c<tr><td>d<td>{inner}<td>e<tr><td>f<td><td>g"
    assert rows(html)[0] == "a | b | c"
    assert rows(html)[-1] == "f | | g"
    assert "| 3" in rows(html)
    deep = "<table><tr><td>a<td>b" * 40
    assert "a | b" in rows(deep)
    sparse = "".join(f"<tr><td colspan={n}><td>x<td>y" for n in range(1, 99))
    assert rows(f"<tr>{'<td>a' * 99}{sparse}")[62] == "| " * 62 + "x | y"
    wide = "<tr>" + "<td>x" * 99 + "<tr>" + "<td>" * 98 + "<td>y"
    assert rows(wide)[0].count("x") == 99


cells = st.tuples(
    st.sampled_from(["td", "th"]), st.integers(0, 3), st.integers(0, 4), st.sampled_from(["", "a", "b c"])
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(cells, max_size=6), max_size=6), st.integers(0, 5))
def test_spans_are_those_of_the_oracle(table: list[list[tuple[str, int, int, str]]], inner: int) -> None:
    def html(lines: list[list[tuple[str, int, int, str]]]) -> str:
        cells = ("".join(f"<{tag} colspan={c} rowspan={r}>{text}" for tag, c, r, text in line) for line in lines)
        return f"<table>{''.join(f'<tr>{line}' for line in cells)}</table>"

    page = html(table).replace("b c", html(table), 1) if inner == 0 else html(table)
    assert plain(page) == oracle(sample_page(page))


if __name__ == "__main__":
    with pytest.raises(IndexError):
        njit(lambda array: array[len(array)])(np.zeros(1))  # bounds are checked
    pages = [large_soup(seed, 300).encode() for seed in range(300)]
    pages += ["".join(random.Random(seed).choices(GROWTH, k=500)).encode() for seed in range(100)]
    pages += ["".join(random.Random(seed).choices([*PIECES, "&nGt;"], k=200)).encode() for seed in range(500)]
    pages += [html for part in range(8) for html in real_pages(Path(sys.argv[1]), part, 40)]
    for html in pages:
        whole = sample_page(html)
        for part in (every_block(whole), np.arange(len(whole.page.blocks)) % 2 == 0):
            plain(html, part)
            written(html, part)
            formatted_text(whole.data, whole.page, part, markdown=True, links=True)
