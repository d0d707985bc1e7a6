"""Pages of the web that were labelled by hand: labels point into a page that lies outside of the project.

A line of `labelled.jsonl` names a page by its address, the element of its main text, and what it holds that its markup
does not say: which of its blocks, counted from 0, are not part of the text (`drop`), selectors of elements that are not
(`remove`), and what an element is (`as`): "h2", "quote", "item", "p", "code", "code python", "tex" (its text is TeX),
"tex alt" (its attribute is), "div" (no table: there for its layout), "skip". The rest is as HTML's elements say. The
Markdown is made from that here by a walk over lxml's tree that shares nothing with the extractor.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lxml import html as lxml_html
from lxml.html import HtmlElement

from benchmarks.structure.pages import LabelledPage, half_of, select
from cleaners.extraction.training.pages import crawl_pages

LABELS = Path(__file__).with_suffix(".jsonl")
_BLOCKS = set(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 "
    "h4 h5 h6 header hr li main nav ol p pre section summary table tbody td tfoot th thead tr ul".split()
)
_NOT_SHOWN = set("button head iframe img input link meta noscript select style svg template textarea title".split())
_PUNCTUATION = re.compile(r"([\\`*_\[\]<>#$~|!&+.-])")


def labelled_pages(data: Path) -> Iterator[LabelledPage]:
    """The labelled pages of the WARC files below `data`, in the order of the files."""
    lines = [json.loads(line) for line in LABELS.read_text().splitlines()]
    for folder in ("crawl", "pages2"):
        wanted = [line for line in lines if line["folder"] == folder]
        for page in crawl_pages([str(data / folder)], wanted, print):
            site = urlsplit(page.url).netloc.removeprefix("www.")
            markdown = markdown_of(page.html, page.truth)
            yield LabelledPage(page.url, "hand", half_of(site), page.html.encode(), page.truth["main"], markdown)


def markdown_of(html: str, labels: dict[str, Any]) -> str:
    """The Markdown of a page by its labels."""
    root = lxml_html.fromstring(html.encode(), parser=lxml_html.HTMLParser(encoding="utf-8"))
    kinds: dict[HtmlElement, str] = {}
    for selector, kind in {**labels.get("as", {}), **dict.fromkeys(labels.get("remove", []), "skip")}.items():
        found = select(root, selector)
        if not found:
            raise SystemExit(f"{labels['url']}: nothing is {selector}")
        kinds |= dict.fromkeys(found, kind)
    main = select(root, labels["main"])
    if not main:
        raise SystemExit(f"{labels['url']}: nothing is {labels['main']}")
    writer = _Writer(kinds)
    blocks = [block for element in main for block in writer.blocks(element)]
    dropped = set(labels.get("drop", []))
    return "\n\n".join(block for k, block in enumerate(blocks) if k not in dropped) + "\n"


class _Writer:
    def __init__(self, kinds: dict[HtmlElement, str]) -> None:
        self._kinds = kinds

    def blocks(self, element: HtmlElement) -> list[str]:
        """The Markdown blocks in an element."""
        out: list[str] = []
        line: list[str] = []

        def end() -> None:
            if text := " ".join("".join(line).split()):
                out.append(text)
            line.clear()

        line.append(_escaped(element.text))
        for child in element:
            name = self._name(child)
            if self._is_block(child, name):
                end()
                out += self._block(child, name)
            else:
                line.append(self._inline(child, name))
            line.append(_escaped(child.tail))
        end()
        return out

    def _name(self, element: HtmlElement) -> str:
        tag = element.tag if isinstance(element.tag, str) else "skip"
        return self._kinds.get(element, "skip" if tag in _NOT_SHOWN else tag)

    def _is_block(self, element: HtmlElement, name: str) -> bool:
        kind = name.split()[0]
        if kind in _BLOCKS or kind in ("quote", "item") or (kind == "code" and element in self._kinds):
            return True
        return kind not in ("skip", "tex") and any(self._is_block(c, self._name(c)) for c in element)

    def _block(self, element: HtmlElement, name: str) -> list[str]:
        kind = name.split()[0]
        if re.fullmatch("h[1-6]", kind):
            text = " ".join(self.blocks(element))
            return [f"{'#' * int(kind[1])} {text}"] if text else []
        if kind in ("quote", "blockquote"):
            inside = "\n\n".join(self.blocks(element))
            return [re.sub("^", "> ", inside, flags=re.M)] if inside else []
        if kind in ("pre", "code"):
            labels = [self._kinds[part] for part in element.iter() if self._kinds.get(part, "").startswith("code ")]
            return [f"````{labels[0].split()[1] if labels else ''}\n{_raw(element)}\n````"]
        if kind == "item":
            return self._list([element], "-")
        if kind in ("ul", "ol"):
            items = [child for child in element if self._name(child) != "skip"]
            return self._list(items, "1." if kind == "ol" else "-")
        if kind == "table":
            return self._table(element)
        return self.blocks(element)

    def _list(self, items: Iterable[HtmlElement], marker: str) -> list[str]:
        out = []
        for item in items:
            inside = "\n\n".join(self.blocks(item))
            if inside:
                out.append(f"{marker} " + inside.replace("\n", "\n" + " " * (len(marker) + 1)))
        return ["\n".join(out) + "\n\n<!-- -->"] if out else []

    def _table(self, table: HtmlElement) -> list[str]:
        rows: list[list[str]] = []
        taken: set[tuple[int, int]] = set()
        captions = [block for caption in table.iter("caption") for block in self.blocks(caption)]
        for row in (row for row in table.iter("tr") if next(row.iterancestors("table")) is table):
            if self._name(row) == "skip":
                continue
            y, x, cells = len(rows), 0, dict[int, str]()
            for cell in row.iterchildren("td", "th"):
                if self._name(cell) == "skip":
                    continue
                while (y, x) in taken:
                    x += 1
                across, down = (int(cell.get(name) or 1) for name in ("colspan", "rowspan"))
                taken |= {(y + dy, x + dx) for dy in range(down) for dx in range(across)}
                cells[x] = " ".join(part.replace("\n", " ") for part in self.blocks(cell))
            if any(cells.values()):
                rows.append([cells.get(k, "") for k in range(max(cells) + 1)])
        filled = sorted({k for row in rows for k, cell in enumerate(row) if cell})
        rows = [[row[k] if k < len(row) else "" for k in filled] for row in rows]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return captions + (["\n".join([lines[0], "|" + "---|" * len(filled), *lines[1:]])] if lines else [])

    def _inline(self, element: HtmlElement, name: str) -> str:
        kind, *rest = name.split()
        if kind == "skip":
            return ""
        if kind == "tex":
            tex = element.get(rest[0], "") if rest else element.text_content()
            return f" $${' '.join(tex.split())}$$ "
        if kind == "script":
            is_tex = element.get("type", "").startswith("math/tex")
            return f" $${' '.join((element.text or '').split())}$$ " if is_tex else ""
        if kind == "br":
            return " "
        if kind in ("code", "tt"):
            return f"`` {_raw(element)} ``" if element.text_content().strip() else ""
        inside = _escaped(element.text) + "".join(
            self._inline(child, self._name(child)) + _escaped(child.tail) for child in element
        )
        mark = {"b": "**", "strong": "**", "i": "*", "em": "*"}.get(kind, "")
        if not mark or not inside.strip():
            return inside
        left = inside[: len(inside) - len(inside.lstrip())]
        return f"{left}{mark}{inside.strip()}{mark}{inside[len(inside.rstrip()) :]}"


def _escaped(text: str | None) -> str:
    return _PUNCTUATION.sub(r"\\\1", text or "")


def _raw(element: HtmlElement) -> str:
    for line_end in element.iter("br"):
        line_end.text = "\n"
    return element.text_content().replace("\xa0", " ").strip("\n")  # type: ignore[no-any-return]
