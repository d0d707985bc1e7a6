"""Markdown truth from the source of a documentation page: reST as Sphinx reads it, DocBook or Markdown.

pandoc reads the source; what Sphinx shows for its roles and directives is put in their place here, from Sphinx's manual
(https://www.sphinx-doc.org/en/master/usage/restructuredtext/); pandoc writes the Markdown. A page whose text does not
follow from its source alone, as with generated reference documentation, is `Ineligible`.
"""

import json
import re
import subprocess
from typing import Any

Element = dict[str, Any]  # {"t": type, "c": contents}, as pandoc's JSON has it

_WRITES = "commonmark+pipe_tables+tex_math_dollars"
_CODE_ROLES = set(
    "class func meth attr mod exc data obj const envvar file option keyword confval setting samp code kbd macro type "
    "var member function method enum literal djadmin".split()
)
_CALLED_ROLES = {"func", "meth"}  # shown with "()" after the name
_STRONG_ROLES = {"command", "program"}
_EMPHASIS_ROLES = {"manpage", "mimetype", "mailheader", "dfn", "emphasis", "title-reference", "title"}
_TEXT_ROLES = {"ref", "doc", "term", "numref", "guilabel", "download"}
_TITLES = {"seealso": "See also", "todo": "Todo"}
_VERSIONS = {
    "versionadded": "New in version ",
    "versionchanged": "Changed in version ",
    "deprecated": "Deprecated since version ",
}
_ADMONITIONS = set("note warning tip hint important attention caution danger error admonition".split())
_NOT_SHOWN = set(
    "index currentmodule module py:currentmodule py:module highlight sectionauthor moduleauthor meta tabularcolumns "
    "testsetup testcleanup rst-class default-domain comment program".split()
)
_KEPT_CLASSES = {"title", "figure", "highlights", "epigraph", "section", "container", "line-block", "rubric", ""}
_EXPLICIT = re.compile(r"^(.*?)\s*<([^<>]+)>$", re.S)
_ROLE_IN_MARKDOWN = re.compile(r"\{([\w:]+)\}`([^`]+)`")


class Ineligible(Exception):
    """The source of a page does not say what the page shows."""


def markdown_of(source: str, kind: str) -> str:
    """The Markdown of a source that is "rst", "docbook", "markdown" or "myst"."""
    reads = {"rst": "rst", "docbook": "docbook", "markdown": "markdown", "myst": "commonmark_x"}[kind]
    if kind == "rst":
        source = _with_doctests(source)
    if kind == "myst":
        source = _ROLE_IN_MARKDOWN.sub(r"`\2`{.interpreted-text role=\1}", source)
    document = json.loads(_pandoc(source, "-f", reads, "-t", "json"))
    blocks, meta = document["blocks"], document["meta"]
    if "title" in meta:
        title = {"t": "Header", "c": [1, ["", [], []], _inlines_of(meta["title"])]}
        blocks = [title, *(_shifted(b) if kind == "docbook" else b for b in blocks)]
    shown = _Shown(blocks)
    document["blocks"], document["meta"] = shown.blocks, {}
    return _pandoc(json.dumps(document), "-f", "json", "-t", _WRITES, "--wrap=none")


def _pandoc(text: str, *arguments: str) -> str:
    done = subprocess.run(["pandoc", *arguments], input=text, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise Ineligible(done.stderr.strip())
    return done.stdout


def _with_doctests(source: str) -> str:
    """The source with its doctest blocks, which pandoc takes for paragraphs, as directives of code."""
    out: list[str] = []
    literal, in_doctest = -1, False  # the indent of the line that began a literal block
    for line in source.expandtabs().split("\n"):
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            in_doctest = False
        elif literal >= 0 and indent <= literal:
            literal = -1
        if literal < 0 and line.lstrip().startswith(">>> ") and not in_doctest:
            in_doctest = True
            out += [" " * indent + ".. code-block:: pycon", ""]
        out.append("   " + line if in_doctest else line)
        if line.strip() and literal < 0 and (line.rstrip().endswith("::") or _CODE_DIRECTIVE.match(line)):
            literal = indent
    return "\n".join(out)


_CODE_DIRECTIVE = re.compile(r"^\s*\.\. (code-block|code|sourcecode|math|parsed-literal|highlight|raw)::")


def _shifted(block: Element) -> Element:
    if block["t"] == "Header":
        return block | {"c": [block["c"][0] + 1, *block["c"][1:]]}
    return block


def _inlines_of(meta: Element) -> list[Element]:
    if meta["t"] == "MetaInlines":
        return meta["c"]  # type: ignore[no-any-return]
    return [_text(str(meta.get("c")))]


def _text(text: str) -> Element:
    return {"t": "Str", "c": text}


def _para(inlines: list[Element]) -> Element:
    return {"t": "Para", "c": inlines}


class _Shown:
    """What a reader of the page sees, as blocks that Markdown has."""

    def __init__(self, blocks: list[Element]) -> None:
        self._notes: list[list[Element]] = []
        self._titles: dict[str, list[Element]] = {}
        for block in _headers(blocks):
            self._titles[block["c"][1][0].lower()] = block["c"][2]
        self.blocks = self._all(blocks)
        for number, note in enumerate(self._notes, 1):
            note[0]["c"] = [_text(f"[{number}]"), {"t": "Space"}, *note[0]["c"]]
            self.blocks += note

    def _all(self, blocks: list[Element]) -> list[Element]:
        return [shown for block in blocks for shown in self._block(block)]

    def _block(self, block: Element) -> list[Element]:
        kind, c = block["t"], block.get("c")
        match kind:
            case "Para" | "Plain":
                return self._paragraph(kind, c)
            case "Header":
                return [block | {"c": [c[0], ["", [], []], self._inlines(c[2])]}]
            case "CodeBlock":
                language = next((name for name in c[0][1] if name not in _NO_LANGUAGES), "")
                return [block | {"c": [["", [language] if language else [], []], c[1]]}]
            case "BlockQuote":
                return [block | {"c": self._all(c)}]
            case "BulletList":
                return [block | {"c": [self._all(item) for item in c]}]
            case "OrderedList":
                return [block | {"c": [c[0], [self._all(item) for item in c[1]]]}]
            case "DefinitionList":
                out = []
                for term, definitions in c:
                    out.append(_para(self._inlines(term)))
                    for definition in definitions:
                        out += [_para(b["c"]) if b["t"] == "Plain" else b for b in self._all(definition)]
                return out
            case "LineBlock":
                inlines: list[Element] = []
                for line in c:
                    inlines += [*([{"t": "LineBreak"}] if inlines else []), *self._inlines(line)]
                return [_para(inlines)]
            case "Div":
                return self._div(c[0][1], dict(c[0][2]), c[1])
            case "Figure":
                return [*self._all(c[2]), *self._all(c[1][1])]
            case "Table":
                return self._table(c)
            case "HorizontalRule":
                return [block]
            case "RawBlock" if c[0] != "html" or c[1].startswith("<!--"):
                return []
        raise Ineligible(kind)

    def _paragraph(self, kind: str, inlines: list[Element]) -> list[Element]:
        """A paragraph; formulas that stand apart within it are paragraphs of their own."""
        out: list[list[Element]] = [[]]
        for inline in self._inlines(inlines):
            if inline["t"] == "Math" and inline["c"][0]["t"] == "DisplayMath":
                out += [[inline], []]
            else:
                out[-1].append(inline)
        parts = [_stripped(part) for part in out]
        return [{"t": kind, "c": part} for part in parts if part]

    def _div(self, classes: list[str], options: dict[str, str], blocks: list[Element]) -> list[Element]:
        name = classes[0] if classes else ""
        if name in _NOT_SHOWN or (name == "toctree" and "hidden" in options):
            return []
        if name in _VERSIONS:
            version, *rest = self._inlines(blocks[0]["c"]) if blocks else [_text("")]
            ends = ":" if rest else "."
            first = _para([_text(_VERSIONS[name] + version["c"] + ends), *rest])
            return [first, *self._all(blocks[1:])]
        if name.lower() in _ADMONITIONS or name in _KEPT_CLASSES:
            return self._all(blocks)
        if name in _TITLES:
            return [_para([_text(_TITLES[name])]), *self._all(blocks)]
        raise Ineligible(f"directive {name}")

    def _inlines(self, inlines: list[Element]) -> list[Element]:
        return [shown for inline in inlines for shown in self._inline(inline)]

    def _inline(self, inline: Element) -> list[Element]:
        kind, c = inline["t"], inline.get("c")
        match kind:
            case "Str" | "Space" | "SoftBreak" | "LineBreak":
                return [{"t": "Space"}] if kind == "SoftBreak" else [inline]
            case "Code":
                if "interpreted-text" in c[0][1]:
                    return self._role(dict(c[0][2])["role"], c[1])
                return [inline | {"c": [["", [], []], c[1]]}]
            case "Emph" | "Strong" | "Strikeout" | "Superscript" | "Subscript" | "SmallCaps" | "Underline":
                inside = self._inlines(c)
                return [inline | {"c": inside}] if kind in ("Emph", "Strong") else inside
            case "Quoted":
                left, right = ("\u2018", "\u2019") if c[0]["t"] == "SingleQuote" else ("\u201c", "\u201d")
                return [_text(left), *self._inlines(c[1]), _text(right)]
            case "Link":
                return self._inlines(c[1])
            case "Span" | "Cite":
                return self._inlines(c[1])
            case "Math":
                return [inline | {"c": [c[0], " ".join(c[1].split())]}]
            case "Image":
                return []
            case "Note":
                self._notes.append([])
                number = len(self._notes)
                self._notes[number - 1] = self._all(c)
                return [_text(f"[{number}]")]
            case "RawInline" if c[0] != "html" or c[1].startswith("<!--"):
                return []
        raise Ineligible(f"{kind} {c}"[:60])

    def _role(self, role: str, text: str) -> list[Element]:
        name = role.split(":")[-1]
        explicit = _EXPLICIT.match(text)
        shown = " ".join((explicit[1] if explicit else text).split())
        if name in ("ref", "doc", "numref") and not explicit:
            target = self._titles.get(text.lower())
            if target is None:
                raise Ineligible(f"{role} {text}")
            return self._inlines(target)
        if name in ("pep", "rfc", "PEP") and not explicit:
            return [_text(f"{name.upper()} {shown}")]
        if name == "abbr":
            return [_text(shown.split(" (")[0])]
        if name == "menuselection":
            return [_text(shown.replace("-->", "\u2023"))]
        if name in _CODE_ROLES:
            if not explicit:
                shown = shown.split(".")[-1] if shown.startswith("~") else shown
                shown = shown.lstrip("!~.") + "()" * (name in _CALLED_ROLES and not shown.endswith(")"))
            if name == "samp":
                shown = re.sub(r"[{}]", "", shown)
            return [{"t": "Code", "c": [["", [], []], shown]}]
        if name in _STRONG_ROLES:
            return [{"t": "Strong", "c": [_text(shown)]}]
        if name in _EMPHASIS_ROLES:
            return [{"t": "Emph", "c": [_text(shown)]}]
        if name in _TEXT_ROLES:
            return [_text(shown)]
        raise Ineligible(f"role {role}")

    def _table(self, c: list[Any]) -> list[Element]:
        """A table whose cells are one line each; a cell that spans columns or rows is followed by empty ones."""
        rows: list[list[list[Element]]] = []
        taken: dict[tuple[int, int], bool] = {}
        for row in [*c[3][1], *(row for body in c[4] for row in (*body[2], *body[3])), *c[5][1]]:
            y, x, cells = len(rows), 0, {}
            for cell in row[1]:
                while (y, x) in taken:
                    x += 1
                for dy in range(cell[2]):
                    taken |= {(y + dy, x + dx): True for dx in range(cell[3])}
                cells[x] = self._line(cell[4])
            rows.append([cells.get(k, []) for k in range(max(cells, default=-1) + 1)])
        width = max(map(len, rows), default=0)
        rows = [[*row, *[[]] * (width - len(row))] for row in rows]
        blank = ["", [], []]
        written = [
            [blank, [[blank, {"t": "AlignDefault"}, 1, 1, [{"t": "Plain", "c": cell}]] for cell in row]] for row in rows
        ]
        columns = [[{"t": "AlignDefault"}, {"t": "ColWidthDefault"}]] * width
        table = [blank, [None, []], columns, [blank, written[:1]], [[blank, 0, [], written[1:]]], [blank, []]]
        return [*self._all(c[1][1]), {"t": "Table", "c": table}]

    def _line(self, blocks: list[Element]) -> list[Element]:
        out: list[Element] = []
        for block in self._all(blocks):
            c = block.get("c")
            match block["t"]:
                case "Para" | "Plain":
                    part = [{"t": "Space"} if i["t"] == "LineBreak" else i for i in c]
                case "BulletList" | "OrderedList":
                    items = c if block["t"] == "BulletList" else c[1]
                    part = self._line([b for item in items for b in item])
                case "CodeBlock":
                    part = [{"t": "Code", "c": [["", [], []], " ".join(c[1].split())]}]
                case _:
                    raise Ineligible(f"{block['t']} in a cell")
            out += [*([{"t": "Space"}] if out else []), *part]
        return out


_NO_LANGUAGES = {"default", "none", "numberLines", "literal", "screen", "programlisting", "notranslate"}


def _stripped(inlines: list[Element]) -> list[Element]:
    blank = ("Space", "SoftBreak", "LineBreak")
    while inlines and inlines[0]["t"] in blank:
        inlines = inlines[1:]
    while inlines and inlines[-1]["t"] in blank:
        inlines = inlines[:-1]
    return inlines


def _headers(blocks: list[Element]) -> list[Element]:
    out = []
    for block in blocks:
        if block["t"] == "Header":
            out.append(block)
        elif block["t"] == "Div":
            out += _headers(block["c"][1])
    return out
