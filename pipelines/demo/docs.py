"""Documentation that is installed on this machine, as the pages of a manual: prose for the demo without a download.

Python ships its language reference as text (`pydoc_data.topics`). The sources of the standard library and of installed
libraries carry explanations as docstrings. Of these, the paragraphs are taken; parameter lists and examples are not,
because the filters would rightly drop most of them. Sources are parsed, never imported: an import has side effects
(`antigravity` opens a browser), takes seconds, and depends on other installed packages.
"""

import ast
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics
from typing import Literal

MIN_CHARS = 1_200  # a module with less text gets no page
MAX_CHARS = 6_000  # of one page; a longer module is continued on the next page
_PARAGRAPH_CHARS = 80  # a shorter one is seldom a sentence
_SKIPPED = {"tests", "test", "testing", "_vendor", "vendor", "idlelib", "lib2to3", "encodings", "site-packages"}
_UNDERLINE = re.compile(r"([=\-~*^\"'`#+.])\1{2,}\s*")
_ROLE = re.compile(r":[a-z:]+:`(?:[^`<]*<)?[~!]?([^`>]*)>?`")  # :class:`~a.b` and :ref:`words <target>`
_MARKUP = re.compile(r"``([^`]*)``|\*\*([^*]+)\*\*")
_DIRECTIVE = re.compile(r"\.\. [\w-]+::?\s*")

Kind = Literal["heading", "paragraph", "code", "term", "definition"]
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Block:
    kind: Kind
    text: str


@dataclass(frozen=True)
class Manual:
    """One page of a manual."""

    name: str  # "networkx.algorithms.bipartite", "topics.assert"
    title: str
    blocks: tuple[Block, ...]

    @property
    def num_chars(self) -> int:
        return sum(len(block.text) for block in self.blocks)


def language_pages() -> Iterator[Manual]:
    """The chapters of Python's language reference. Some contain others whole; of these only the longer is a page."""
    taken = ""
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        longest = max(topics[name].split("\n\n"), key=len)
        if len(topics[name]) < MIN_CHARS or longest in taken:
            continue
        taken += topics[name]
        blocks = list(blocks_of(topics[name]))
        yield from _cut(Manual(f"topics.{name}", blocks[0].text, tuple(blocks)))


def standard_library_pages() -> Iterator[Manual]:
    yield from _pages_below(Path(sysconfig.get_path("stdlib")), "")


def library_pages(name: str) -> Iterator[Manual]:
    """Pages of an installed library or of a part of it, like "torch.nn"; none where it is not installed."""
    library, _, part = name.partition(".")
    spec = find_spec(library)  # of the library alone: find_spec of a part would import it
    if spec is not None and spec.submodule_search_locations:
        yield from _pages_below(Path(spec.submodule_search_locations[0], *part.split(".")), name)


def _pages_below(folder: Path, prefix: str) -> Iterator[Manual]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if any(part in _SKIPPED or part.startswith("test_") for part in parts) or parts[-1] == "__main__":
            continue
        name = ".".join([part for part in (prefix, *parts) if part and part != "__init__"])
        page = Manual(name, f"{name}: reference", tuple(_module_blocks(path)))
        if page.num_chars >= MIN_CHARS:
            yield from _cut(page)


def _cut(page: Manual) -> Iterator[Manual]:
    """`page` in parts of at most `MAX_CHARS` plus one block."""
    parts: list[list[Block]] = [[]]
    room = MAX_CHARS
    for block in page.blocks:
        if room < 0 and block.kind in ("heading", "paragraph"):
            parts.append([])
            room = MAX_CHARS
        parts[-1].append(block)
        room -= len(block.text)
    for number, blocks in enumerate(parts, 1):
        suffix, more = (f".{number}", f" (part {number})") if number > 1 else ("", "")
        part = Manual(page.name + suffix, page.title + more, tuple(blocks))
        if part.num_chars >= MIN_CHARS:
            yield part


def _module_blocks(path: Path) -> Iterator[Block]:
    """The prose in the docstrings of a module, its public classes, functions and methods, without repetitions."""
    try:
        module = ast.parse(path.read_bytes())
    except SyntaxError:  # templates and deliberately broken examples
        return
    said: set[str] = set()
    for name, documented in _documented(module, ""):
        prose = [block for block in _prose(ast.get_docstring(documented) or "") if _is_new(block.text, said)]
        if prose and name:
            kind = "class" if isinstance(documented, ast.ClassDef) else "function"
            yield Block("heading", f"The {kind} {name}")
        yield from prose


def _is_new(paragraph: str, said: set[str]) -> bool:
    """Whether less than a fifth of the paragraph's 5-grams are in `said`. Adds them to `said`.

    Related functions share phrases, so a few known 5-grams do not make a repetition.
    """
    words = paragraph.split()
    ngrams = {" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))}
    known = len(ngrams & said)
    said |= ngrams
    return 5 * known < len(ngrams)


def _prose(documentation: str) -> Iterator[Block]:
    """The paragraphs of a docstring that are running text."""
    for block in blocks_of(documentation):
        if block.kind == "paragraph" and len(block.text) >= _PARAGRAPH_CHARS and not block.text.startswith((":", "@")):
            yield block


def _documented(node: _Documented, name: str) -> Iterator[tuple[str, _Documented]]:
    yield name, node
    if not isinstance(node, ast.Module | ast.ClassDef):
        return
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            yield from _documented(child, f"{name}.{child.name}".lstrip("."))


def blocks_of(text: str) -> Iterator[Block]:
    """Paragraphs, headings, code and definitions of a text in the style of docstrings."""
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        lines = part.split("\n")
        while len(lines) > 1 and _UNDERLINE.fullmatch(lines[1]):
            yield Block("heading", _plain(lines[0]))
            lines = lines[2:]
        if not any(line.strip() for line in lines):
            continue
        if lines[0].lstrip().startswith((">>>", "...")) or all(line[:3].isspace() for line in lines if line.strip()):
            yield Block("code", "\n".join(lines))
        elif any(line[:2].isspace() for line in lines[1:]) and not lines[0][:1].isspace():
            yield from _definitions(lines)
        else:
            yield Block("paragraph", _joined(lines))


def _definitions(lines: list[str]) -> Iterator[Block]:
    """Terms, `name : type`, and the indented definitions below them."""
    inside: list[str] = []
    for line in lines:
        if line[:1].isspace():
            inside.append(line)
            continue
        if inside:
            yield Block("definition", _joined(inside))
        inside = []
        yield Block("term", _plain(line))
    if inside:
        yield Block("definition", _joined(inside))


def _joined(lines: list[str]) -> str:
    return _plain(" ".join(line.strip() for line in lines))


def _plain(text: str) -> str:
    text = _ROLE.sub(r"\1", _DIRECTIVE.sub("", text))
    return _MARKUP.sub(lambda match: match[1] or match[2], text).strip()
