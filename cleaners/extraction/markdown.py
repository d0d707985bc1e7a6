"""Chosen blocks as Markdown (CommonMark, with tables), or as plain lines with their links.

    # Bread

    **Flour** and [salt](https://example.org/salt):

    - Water
      1. cold

    > As my mother said.

    | Water | 1 l |
    | --- | --- |

Formulas stand between dollars, `$x^2$` or alone `$$x^2$$` (`dollars`), and listings name their language if the page
does (`code_language`). It is plain Python, one page at a time, for runs that ask for it. Text that would be taken for
markup is escaped.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import numpy as np

from cleaners.extraction.code_language import language_of
from cleaners.extraction.dollars import formulas_in, marked_formula, with_escaped_dollars
from cleaners.extraction.features.page import ParsedPage
from cleaners.extraction.html import attributes, tags
from cleaners.extraction.html.nodes import BOLD, CODE, FORMULA, ITALIC, SPACE
from cleaners.extraction.html.tags import HEADING, RULES, TAGS, TEXT
from cleaners.extraction.html.text import max_text_bytes, write_node
from cleaners.extraction.json_ld import value_of
from cleaners.extraction.plain_text import max_block_bytes, write_block
from cleaners.extraction.structure import layout_of
from shards.compiled import kernel

_H1, _OL, _QUOTE = (TAGS[name] for name in "h1 ol blockquote".split())
_CELLS = {TAGS["td"], TAGS["th"]}
_MAX_DEPTH = 8  # of lists and quotations
_MARKUP = re.compile(r"([\\`*\[\]<]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;))")
_LINE_BEGIN = re.compile(
    r"^(>|#{1,6}(?=\s|$)|[-+](?=\s|$)|=++(?=\s*$)|[-:|]++(?=[-:|\s]*$)|~{3,}|\d{1,9}(?=[.)](\s|$)))"
)
_HEADING_END = re.compile(r"(?<!#)#+$")
_LINE_ENDS = ("\n", "\\\n")
_FIRST_LINE_ENDS = re.compile(r"^(?:\\?\n| )++")
_LAST_LINE_ENDS = re.compile(r"^(?:\n\\?| )++")  # of a text that is read backwards, so that each is looked at once
_IN_ADDRESS = str.maketrans(
    {"\t": "", "\n": "", "\r": "", " ": "%20", "(": "%28", ")": "%29", "<": "%3C", ">": "%3E", "\\": "%5C"}
)
_NO_ADDRESS = ("javascript:", "vbscript:", "data:")


class StyledText(NamedTuple):
    """A run of text of one style within a block."""

    text: str
    bold: bool
    italic: bool
    code: bool
    formula: bool
    link: str


_Style = tuple[bool, bool, bool, bool, str]  # the fields of a `StyledText` after its text
_PLAIN: _Style = (False, False, False, False, "")


def formatted_text(data: np.ndarray, page: ParsedPage, chosen: np.ndarray, *, markdown: bool, links: bool) -> str:
    """The chosen blocks as Markdown, or without `markdown` as the lines that `write_plain_text` writes."""
    return _Writer(data, page, chosen, markdown, links).write()


class _Line(NamedTuple):
    text: str
    first: str = ""  # prefix of its first line: quotation marks, indents, the markers of items that begin with it
    rest: str = ""  # prefix of its other lines
    begins_item: bool = False


class _Writer:
    def __init__(self, data: np.ndarray, page: ParsedPage, chosen: np.ndarray, markdown: bool, links: bool) -> None:
        self._data, self._page, self._markdown, self._links = data, page, markdown, links
        self._chosen = np.flatnonzero(chosen).tolist()
        self._layout = layout_of(data, page, chosen)
        self._nodes = page.tree.nodes
        self._tags: list[int] = self._nodes["tag"].tolist()
        self._parents: list[int] = self._nodes["parent"].tolist()
        self._elements: list[int] = page.blocks["element"].tolist()
        utf8, ends = _texts(data, page, chosen)
        self._utf8: bytes = utf8.tobytes()
        self._ends: list[int] = ends.tolist()
        self._last_item = -1
        self._begun: set[int] = set()  # items
        self._numbers = self._item_numbers()

    def write(self) -> str:
        lines: list[_Line | None] = []
        for (table, code, _), blocks in groupby(self._chosen, self._whole):
            if table >= 0:
                lines += self._table(table, list(blocks))
            elif code >= 0:
                lines.append(self._code(code, list(blocks)))
            else:
                lines += map(self._line, blocks)
        return self._joined([line for line in lines if line and line.text])

    def _whole(self, b: int) -> tuple[int, int, int]:
        """(table, <pre>, block): the unit that a block is written with, the other two -1."""
        row, code = int(self._layout.rows[self._elements[b]]), int(self._layout.verbatim[self._elements[b]])
        if row >= 0 and self._layout.is_line[row]:
            return int(self._layout.tables[row]), -1, -1
        return (-1, code, -1) if code >= 0 and self._markdown else (-1, -1, b)

    def _table(self, table: int, blocks: list[int]) -> list[_Line]:
        rows: list[list[str]] = []
        for _, of_row in groupby(blocks, lambda b: int(self._layout.rows[self._elements[b]])):
            cells: list[str] = []
            for cell, of_cell in groupby(of_row, lambda b: int(self._layout.cells[self._elements[b]])):
                if text := " ".join(filter(None, (self._inline(b, " ") for b in of_cell))):
                    column = int(self._layout.columns[cell]) if cell >= 0 else 0
                    cells += [*[""] * (column - len(cells)), text]
            rows.append(cells)
        self._last_item = int(self._layout.items[self._elements[blocks[-1]]])
        rows = [cells for cells in rows if cells]
        if not self._markdown:
            return [_Line(" |".join(f" {cell}" if cell else "" for cell in cells).strip(" ")) for cells in rows]
        if not rows:
            return []
        rows[0] += [""] * (max(map(len, rows)) - len(rows[0]))  # cells beyond those of the head are not rendered
        shown = ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in rows]
        return [_Line("\n".join([shown[0], "|" + " --- |" * len(rows[0]), *shown[1:]]), *self._before(table))]

    def _code(self, pre: int, blocks: list[int]) -> _Line | None:
        text = "\n".join(map(self._verbatim, blocks))
        if not text.strip():
            return None
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        return _Line(f"{fence}{language_of(self._data, self._page.tree, pre)}\n{text}\n{fence}", *self._before(pre))

    def _line(self, b: int) -> _Line | None:
        i = self._elements[b]
        if not self._markdown:
            verbatim = self._layout.verbatim[i] >= 0
            text = self._verbatim(b) if verbatim else self._inline(b, _LINE_ENDS[False])
            item = int(self._layout.items[i])
            first = "- " if item >= 0 and item != self._last_item else ""
            if text:
                self._last_item = item
            return _Line(text, first)
        text = self._inline(b, _LINE_ENDS[True])
        if not text:
            return None
        if RULES[self._tags[i]] & HEADING:
            level = self._tags[i] - _H1 + 1
            text = "#" * level + " " + _HEADING_END.sub(r"\\\g<0>", text.replace("\\\n", " "))
        else:
            text = "\n".join(_LINE_BEGIN.sub(_escaped_begin, line) for line in text.split("\n"))
        return _Line(text, *self._before(i))

    def _before(self, i: int) -> tuple[str, str, bool]:
        """(`first`, `rest`, `begins_item`) of a `_Line` in element `i`."""
        around = []
        in_cell = False
        while i > 0:
            tag = self._tags[i]
            in_cell = in_cell or tag in _CELLS
            if tag == _QUOTE or (tag == tags.LI and not in_cell):
                around.append(i)
            i = self._parents[i]
        if len(around) > _MAX_DEPTH:
            around = [around[0], *around[1 - _MAX_DEPTH :]]
        first = rest = ""
        begins_item = False
        for i in reversed(around):
            if self._tags[i] == _QUOTE:
                first, rest = first + "> ", rest + "> "
                continue
            marker = self._numbers.get(i, "-") + " "
            blank = " " * len(marker)
            first, rest = first + (blank if i in self._begun else marker), rest + blank
            begins_item = begins_item or i not in self._begun
            self._begun.add(i)
        return first, rest, begins_item

    def _item_numbers(self) -> dict[int, str]:
        """Numbers of the items of numbered lists.

        The next such list in an element has ")" for ".", or the two would be one.
        """
        following: dict[int, int] = {}
        lists_in: dict[int, int] = {}
        ends: dict[int, str] = {}
        numbers = {}
        for item in np.flatnonzero(self._nodes["tag"] == tags.LI).tolist():
            around = self._parents[item]
            if self._tags[around] != _OL:
                continue
            if around not in following:
                following[around] = self._number(around, attributes.START, 1)
                lists_in[self._parents[around]] = lists_in.get(self._parents[around], 0) + 1
                ends[around] = ")."[lists_in[self._parents[around]] % 2]
            number = self._number(item, attributes.VALUE, following[around])
            numbers[item] = f"{number}{ends[around]}"
            following[around] = number + 1
        return numbers

    def _number(self, node: int, attribute: int, otherwise: int) -> int:
        value = value_of(self._data, self._page.tree, node, attribute)
        return int(value) if value.isdecimal() and len(value) < 8 else otherwise

    def _inline(self, b: int, line_end: str) -> str:
        """The text of a block with its marks; <br> becomes `line_end`."""
        parts: list[tuple[str, str]] = []
        runs = self._runs(b, line_end)
        shown = self._marked(runs)
        for link, of_link in groupby(range(len(runs)), lambda k: runs[k].link):
            text = _spaced((runs[k].text, shown[k]) for k in of_link)
            bare = text.strip(" ")
            if link and bare and self._markdown and parts and parts[-1][1].endswith("!"):
                parts[-1] = (parts[-1][0], parts[-1][1][:-1] + "\\!")  # or it were a picture
            parts.append((text, f"[{bare}]({link})" if link and bare else bare))
        return _LAST_LINE_ENDS.sub("", _FIRST_LINE_ENDS.sub("", _spaced(parts))[::-1])[::-1]

    def _marked(self, runs: list[StyledText]) -> list[str]:
        """Each run with its marks and escapes, without blanks at its ends."""
        out: list[str] = []
        joined = False  # whether the run before ends with a mark and no blank follows
        for k, run in enumerate(runs):
            text = run.text.strip(" ")
            if text in _LINE_ENDS or not self._markdown or not text:
                out.append(text)
                joined = False
                continue
            if run.formula:
                out.append(marked_formula(text, is_alone=len(runs) == 1))
                joined = False
                continue
            is_code = run.code and "`" not in text
            shown = f"`{text}`" if is_code else _MARKUP.sub(r"\\\1", with_escaped_dollars(text))
            mark = "**" * run.bold + "*" * run.italic
            before = runs[k - 1].text[-1:] if k and runs[k - 1].link == run.link else ""
            after = runs[k + 1].text[:1] if k + 1 < len(runs) and runs[k + 1].link == run.link else ""
            before, after = " " if run.text[0] == " " else before, " " if run.text[-1] == " " else after
            marked = mark != "" and not (joined and before != " ")
            marked = marked and _takes_mark(shown[0], before) and _takes_mark(shown[-1], after)
            joined = marked and after != " "
            out.append(mark + shown + mark[::-1] if marked else shown)
        return out

    def _runs(self, b: int, line_end: str) -> list[StyledText]:
        """The text of a block in runs of one style; a <br> is a run of its own."""
        page, nodes = self._page, self._nodes
        first, end = (int(page.blocks[b][name]) for name in ("first", "end"))
        is_heading = bool(RULES[nodes[page.blocks[b]["element"]]["tag"]] & HEADING)
        runs: list[tuple[_Style, list[str]]] = []  # texts of each run, none of them empty
        for t in range(first, end):
            node = int(page.texts[t])
            if t > first:
                between = nodes[int(page.texts[t - 1]) + 1 : node]
                if (between["tag"] == tags.BR).any():
                    runs.append((_PLAIN, [line_end]))
                if ((between["tag"] == TEXT) & (between["flags"] & SPACE > 0)).any():
                    runs.append((_PLAIN, [" "]))
            flags = int(nodes[node]["flags"])
            text = self._utf8[self._ends[t - 1] if t else 0 : self._ends[t]].decode()
            style = (
                not is_heading and bool(flags & BOLD),
                bool(flags & ITALIC),
                bool(flags & CODE),
                bool(flags & FORMULA) and self._markdown,
                self._address(int(nodes[node]["link"])) if self._links else "",
            )
            before = runs[-1][1] if runs and runs[-1][0] == style and not style[3] else None
            if before is None or (len(before) <= len(line_end) and "".join(before) == line_end):
                before = []
                runs.append((style, before))
            elif before and before[-1].endswith(" ") and text.startswith(" "):
                text = text[1:]
            before += [text] if text else []
        joined = (StyledText("".join(texts), *style) for style, texts in runs if texts)
        return [part for run in joined for part in self._formulas(run)]

    def _formulas(self, run: StyledText) -> list[StyledText]:
        """A run, split at the formulas in its text."""
        if not self._markdown or run.code or run.formula:
            return [run]
        return [run._replace(text=text, formula=is_formula) for text, is_formula in formulas_in(run.text)]

    def _verbatim(self, b: int) -> str:
        out = np.empty(max_block_bytes(self._page, b), np.uint8)
        return out[: write_block(self._data, self._page, b, False, out, 0)].tobytes().decode()

    def _address(self, link: int) -> str:
        if link < 0:
            return ""
        address = value_of(self._data, self._page.tree, link, attributes.HREF).strip().translate(_IN_ADDRESS)
        return "" if address.lower().startswith(_NO_ADDRESS) else address

    def _joined(self, lines: list[_Line]) -> str:
        if not self._markdown:
            return "\n".join(line.first + line.text for line in lines)
        out: list[str] = []
        before: _Line | None = None
        for line in lines:
            if before is not None and not _is_next_item(before, line):
                out.append(_common(before.rest, line.rest).rstrip())
            first, *others = line.text.split("\n")
            out += [line.first + first, *(line.rest + text if text else line.rest.rstrip() for text in others)]
            before = line
        return "\n".join(out)


def _spaced(parts: Iterable[tuple[str, str]]) -> str:
    """Join the second of each part, with one space where the first begins or ends with one."""
    out, pending = "", False
    for text, shown in parts:
        if shown:
            at_end = out.endswith("\n") or shown.startswith(_LINE_ENDS)
            out += (" " if (pending or text.startswith(" ")) and not at_end else "") + shown
            pending = text.endswith(" ")
        else:
            pending = pending or bool(text)
    return out + " " * pending


def _takes_mark(end: str, neighbour: str) -> bool:
    """Whether `*` between the character at an end of marked text and its neighbour is a mark: the flanking rule."""
    if end.isspace():
        return False
    is_plain = end.isalnum() or unicodedata.category(end)[0] not in "PS"
    return is_plain or neighbour == "" or neighbour.isspace() or unicodedata.category(neighbour)[0] == "P"


def _is_next_item(before: _Line, line: _Line) -> bool:
    """Whether `line` continues the list of `before`, or begins one in it that may interrupt a paragraph."""
    column = len(_common(line.first, line.rest))
    interrupts = line.first[column:].startswith(("- ", "1. ", "1) "))
    return line.begins_item and "  " in before.rest and (interrupts or column < len(before.rest))


def _common(a: str, b: str) -> str:
    """The longest common prefix."""
    return a[: next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))]


def _escaped_begin(match: re.Match[str]) -> str:
    return match[0] + "\\" if match[0].isdigit() else "\\" + match[0]


@kernel
def _texts(data, page, chosen):
    """(UTF-8, ends int64[texts]): text nodes of the chosen blocks one by one, with a space for blanks at their ends."""
    room = np.int64(16)
    for b in range(len(chosen)):
        if chosen[b]:
            for t in range(page.blocks[b].first, page.blocks[b].end):
                node = page.tree.nodes[page.texts[t]]
                room += max_text_bytes(node.end - node.start) + 8
    out, ends = np.empty(room, np.uint8), np.zeros(len(page.texts), np.int64)
    at = 0
    for b in range(len(chosen)):
        for t in range(page.blocks[b].first, page.blocks[b].end):
            if chosen[b]:
                out[at] = 120  # a letter: a space at the beginning of the node is kept after it
                end = write_node(data, page.tree.nodes, page.texts[t], out, at, at + 1)
                for k in range(at + 1, end):
                    out[k - 1] = out[k]
                at = end - 1
            ends[t] = at
    return out[:at].copy(), ends
