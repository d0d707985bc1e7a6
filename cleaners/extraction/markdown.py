"""Chosen blocks as Markdown (CommonMark, with tables), or as plain lines with their links.

    # Bread

    **Flour** and [salt](https://example.org/salt):

    - Water
      1. cold
    > As my mother said.

    | Water | 1 l |
    | --- | --- |

Plain Python, one page at a time, for those who ask for it. What would be taken for markup is escaped.
"""

import re
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numba import njit

from cleaners.extraction import attributes, tags
from cleaners.extraction.json_ld import value_of
from cleaners.extraction.nodes import BOLD, CODE, ITALIC, SPACE
from cleaners.extraction.page import Page
from cleaners.extraction.structure import places_of
from cleaners.extraction.tags import HEADING, RULES, TAGS, TEXT
from cleaners.extraction.text import max_text_bytes, write_node

_H1, _OL, _UL, _QUOTE, _CODE = (TAGS[name] for name in "h1 ol ul blockquote code".split())
_MOST_DEPTH = 8  # of lists and quotations that is shown
_MARKUP = re.compile(r"([\\`*\[\]<]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;))")
_LINE_BEGIN = re.compile(r"^(>|#{1,6}(?=\s|$)|[-+](?=\s|$)|[-=]+(?=\s*$)|~{3,}|\d{1,9}(?=[.)](\s|$)))")
_LINE_ENDS = ("\n", "\\\n")
_LANGUAGE = re.compile(r"(?:^|\s)(?:language|lang|highlight-source)-([\w+#-]{1,20})")


class Run(NamedTuple):
    """Text of one style within a block."""

    text: str
    bold: bool
    italic: bool
    code: bool
    link: str


def page_text(data: np.ndarray, page: Page, chosen: np.ndarray, *, markdown: bool, links: bool) -> str:
    """The chosen blocks; without `markdown`, lines as `output.write_page` writes them."""
    return _Writer(data, page, chosen, markdown, links).write()


class _Line(NamedTuple):
    text: str
    prefix: str  # quotation marks and indents, of each line that `text` has
    first: str  # "- ", "1. ", "# "
    kind: str  # "item", "row", "code", ""
    group: int  # the list, table, or <pre>: lines of one group have no blank line between


class _Writer:
    def __init__(self, data: np.ndarray, page: Page, chosen: np.ndarray, markdown: bool, links: bool) -> None:
        self._data, self._page, self._markdown, self._links = data, page, markdown, links
        self._chosen = np.flatnonzero(chosen).tolist()
        self._places = places_of(page, chosen)
        self._nodes = page.tree.nodes
        utf8, ends = _texts(data, page, chosen)
        self._utf8: bytes = utf8.tobytes()
        self._ends: list[int] = ends.tolist()
        self._last_item = -1

    def write(self) -> str:
        lines: list[_Line] = []
        for row, blocks in groupby(self._chosen, self._row):
            of_row = list(blocks)
            lines += [self._row_line(row, of_row)] if row >= 0 else filter(None, map(self._line, of_row))
        return self._joined([line for line in lines if line.text])

    def _row(self, b: int) -> int:
        row = int(self._places.rows[self._page.blocks[b]["element"]])
        return row if row >= 0 and self._places.is_line[row] else -1

    def _row_line(self, row: int, blocks: list[int]) -> _Line:
        by_cell = groupby(blocks, lambda b: int(self._places.cells[self._page.blocks[b]["element"]]))
        cells = [" ".join(filter(None, (self._inline(b, " ") for b in of_cell))) for _, of_cell in by_cell]
        if not self._markdown:
            return _Line(" | ".join(cells), "", "", "row", self._around(row, {tags.TABLE}))
        text = "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        return _Line(text, self._quotes(row), "", "row", self._around(row, {tags.TABLE}))

    def _line(self, b: int) -> _Line | None:
        i = int(self._page.blocks[b]["element"])
        item, code = int(self._places.items[i]), int(self._places.verbatim[i])
        is_new = item >= 0 and item != self._last_item
        if code >= 0 and self._markdown:
            return _Line(self._verbatim(b), self._quotes(i), "", "code", code)
        line_end = _LINE_ENDS[self._markdown]
        text = self._verbatim(b).rstrip() if code >= 0 else self._inline(b, line_end)
        if not text:
            return None
        if item >= 0:
            self._last_item = item
        if not self._markdown:
            return _Line(text, "", "- " if is_new else "", "", 0)
        if RULES[self._nodes[i]["tag"]] & HEADING:
            text = text.replace("\\\n", " ")
            return _Line(text, self._quotes(i), "#" * (int(self._nodes[i]["tag"]) - _H1 + 1) + " ", "", 0)
        text = "\n".join(_LINE_BEGIN.sub(_escaped_begin, line) for line in text.split("\n"))
        if item < 0:
            return _Line(text, self._quotes(i), "", "", 0)
        indent = "  " * (self._count(item, {_OL, _UL}) - 1)
        first = self._marker(item) if is_new else " " * len(self._marker(item))
        return _Line(
            text.replace("\n", "\n" + " " * len(first)), self._quotes(i) + indent, first, "item", self._root(item)
        )

    def _inline(self, b: int, line_end: str) -> str:
        """The text of a block with its marks. <br> is `line_end`."""
        parts = []
        for link, runs in groupby(self._runs(b, line_end), lambda run: run.link):
            text = _spaced((run.text, self._marked(run)) for run in runs)
            bare = text.strip(" ")
            parts.append((text, f"[{bare}]({link})" if link and bare else bare))
        return _spaced(parts).strip(" \n")

    def _marked(self, run: Run) -> str:
        text = run.text.strip(" ")
        if text in _LINE_ENDS or not self._markdown:
            return text
        is_code = run.code and "`" not in text
        text = f"`{text}`" if is_code and text else _MARKUP.sub(r"\\\1", text)
        text = f"**{text}**" if run.bold and text else text
        return f"*{text}*" if run.italic and text else text

    def _runs(self, b: int, line_end: str) -> list[Run]:
        """Of one style each, with <br> as runs of their own."""
        page, nodes = self._page, self._nodes
        first, behind = (int(page.blocks[b][name]) for name in ("first", "behind"))
        is_heading = bool(RULES[nodes[page.blocks[b]["element"]]["tag"]] & HEADING)
        out: list[Run] = []
        for t in range(first, behind):
            node = int(page.texts[t])
            if t > first:
                between = nodes[int(page.texts[t - 1]) + 1 : node]
                out += [Run(line_end, False, False, False, "")] * int((between["tag"] == tags.BR).sum() > 0)
                if ((between["tag"] == TEXT) & (between["flags"] & SPACE > 0)).any():
                    out.append(Run(" ", False, False, False, ""))
            flags = int(nodes[node]["flags"])
            text = self._utf8[self._ends[t - 1] if t else 0 : self._ends[t]].decode()
            style = (not is_heading and bool(flags & BOLD), bool(flags & ITALIC), bool(flags & CODE))
            link = self._address(int(nodes[node]["link"])) if self._links else ""
            if out and out[-1][1:] == (*style, link) and out[-1].text != line_end:
                out[-1] = out[-1]._replace(text=out[-1].text + text)
            else:
                out.append(Run(text, *style, link))
        return out

    def _verbatim(self, b: int) -> str:
        first, behind = (int(self._page.blocks[b][name]) for name in ("first", "behind"))
        begin = self._ends[first - 1] if first else 0
        return self._utf8[begin : self._ends[behind - 1]].decode().strip("\n")

    def _address(self, link: int) -> str:
        if link < 0:
            return ""
        address = "".join(value_of(self._data, self._page.tree, link, attributes.HREF).split())
        return address.replace("(", "%28").replace(")", "%29")

    def _quotes(self, i: int) -> str:
        return "> " * self._count(i, {_QUOTE}) if self._markdown else ""

    def _count(self, i: int, wanted: set[int]) -> int:
        number = 0
        while i > 0 and number < _MOST_DEPTH:
            number += int(self._nodes[i]["tag"]) in wanted
            i = int(self._nodes[i]["parent"])
        return number

    def _around(self, i: int, wanted: set[int]) -> int:
        while i > 0 and int(self._nodes[i]["tag"]) not in wanted:
            i = int(self._nodes[i]["parent"])
        return i

    def _root(self, item: int) -> int:
        """The outermost list around an item."""
        found = i = item
        while i > 0:
            if int(self._nodes[i]["tag"]) in (_OL, _UL):
                found = i
            i = int(self._nodes[i]["parent"])
        return found

    def _marker(self, item: int) -> str:
        around = int(self._nodes[item]["parent"])
        if int(self._nodes[around]["tag"]) != _OL:
            return "- "
        told = value_of(self._data, self._page.tree, around, attributes.START)
        begin = int(told) if told.isdecimal() and len(told) < 8 else 1
        before = self._nodes[around + 1 : item]
        return f"{begin + int(((before['tag'] == tags.LI) & (before['parent'] == around)).sum())}. "

    def _joined(self, lines: list[_Line]) -> str:
        if not self._markdown:
            return "\n".join(line.first + line.text for line in lines)
        out: list[str] = []
        before: _Line | None = None
        for line in lines:
            same = before is not None and line.kind != "" and (line.kind, line.group) == (before.kind, before.group)
            if before is not None and before.kind == "code" and not same:
                out.append(before.prefix + "```")
            # A list may begin within an item's paragraph only if it begins with 1.
            begins = line.first.endswith(". ") and line.first != "1. "
            if before is not None and same and begins:
                goes_on = before.prefix == line.prefix and before.first.endswith(". ")
                out += [] if goes_on else [line.prefix.rstrip()]
            if before is not None and not same:
                out.append(line.prefix.rstrip() if line.prefix == before.prefix else "")
            if line.kind == "code" and not same:
                out.append(f"{line.prefix}```{self._language(line.group)}")
            first, *others = line.text.split("\n")
            out += [line.prefix + line.first + first, *(line.prefix + text for text in others)]
            if line.kind == "row" and not same:
                out.append(line.prefix + "|" + " --- |" * (len(re.findall(r"(?<!\\)\|", line.text)) - 1))
            before = line
        if before is not None and before.kind == "code":
            out.append(before.prefix + "```")
        return "\n".join(out)

    def _language(self, pre: int) -> str:
        last = min(int(self._nodes[pre]["behind"]), pre + 3)
        for node in range(pre, last):
            if node == pre or int(self._nodes[node]["tag"]) == _CODE:
                found = _LANGUAGE.search(value_of(self._data, self._page.tree, node, attributes.CLASS))
                if found:
                    return found[1]
        return ""


def _spaced(parts: Iterable[tuple[str, str]]) -> str:
    """The second of each joined, with one space where the first begins or ends with one."""
    out, pending = "", False
    for text, shown in parts:
        if shown:
            out += (" " if (pending or text.startswith(" ")) and not out.endswith("\n") else "") + shown
            pending = text.endswith(" ")
        else:
            pending = pending or bool(text)
    return out + " " * pending


def _escaped_begin(match: re.Match[str]) -> str:
    return match[0] + "\\" if match[0].isdigit() else "\\" + match[0]


@njit(cache=True)
def _texts(data, page, chosen):  # type: ignore[no-untyped-def]
    """(UTF-8, ends int64[texts]): each text node of chosen blocks by itself, the blanks at its ends as one space."""
    room = np.int64(16)
    for b in range(len(chosen)):
        if chosen[b]:
            for t in range(page.blocks[b].first, page.blocks[b].behind):
                node = page.tree.nodes[page.texts[t]]
                room += max_text_bytes(node.end - node.start) + 8
    out, ends = np.empty(room, np.uint8), np.zeros(len(page.texts), np.int64)
    at = 0
    for b in range(len(chosen)):
        for t in range(page.blocks[b].first, page.blocks[b].behind):
            if chosen[b]:
                out[at] = 120  # a letter: a space at the beginning of the node is kept behind it
                end = write_node(data, page.tree.nodes, page.texts[t], out, at, at + 1)
                for k in range(at + 1, end):
                    out[k - 1] = out[k]
                at = end - 1
            ends[t] = at
    return out[:at].copy(), ends
