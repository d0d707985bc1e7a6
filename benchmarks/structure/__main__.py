"""Structure of Markdown on pages whose Markdown is known: `make bench-structure`.

Ours, trafilatura's and html2text's, over whole pages and over pages that hold their main element alone, in which the
choice of blocks decides less. Means over pages; a score counts the pages whose truth has what it scores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from lxml import html as lxml_html

from benchmarks.rows import PEERS, ROOT, Rows, real_crawl
from benchmarks.structure.debian import debian_pages
from benchmarks.structure.labelled import labelled_pages
from benchmarks.structure.own import own_pages
from benchmarks.structure.pages import LabelledPage, select
from benchmarks.structure.score import scores
from cleaners.extraction.engine import Options, extract

_PARTS = ("text", "tables", "formulas", "code", "language", "headings", "lists")
_CACHE = ROOT / ".bench-structure"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=["debian", "hand", "own"])
    parser.add_argument("--cache", type=Path, default=_CACHE)
    parser.add_argument("--worst", type=int, default=0, help="pages of ours to list, by score")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--half", choices=["tuned", "apart"])
    options = parser.parse_args()
    options.cache.mkdir(exist_ok=True)
    pandoc = next(PEERS.parents[1].glob("lib/*/site-packages/pypandoc/files"), None)
    os.environ["PATH"] += f":{pandoc}" if pandoc else ""
    pages = [page for page in _pages(options.sets, options.cache) if options.half in (None, page.half)]
    rows = Rows("structure")
    for view, shown in (("whole page", None), ("main element", _main_element)):
        html = [shown(page) if shown else page.html.decode(errors="replace") for page in pages]
        writers: dict[str, Callable[[list[str]], list[str]]] = {"ours": _ours}
        if not options.ours_only:
            writers |= {"trafilatura": _trafilatura, "html2text": _html2text}
        of_writer = {
            name: [scores(found, page.markdown) for found, page in zip(write(html), pages, strict=True)]
            for name, write in writers.items()
        }
        _report(rows, view, pages, of_writer)
        for part in _PARTS if options.worst else ():
            worst = sorted(
                (s[part], page.name) for s, page in zip(of_writer["ours"], pages, strict=True) if s[part] is not None
            )
            for value, name in worst[: options.worst]:
                print(f"  {view} {part} {value:.3f} {name}")
    if not options.ours_only and not options.half:
        rows.write()


def _pages(sets: list[str], cache: Path) -> Iterator[LabelledPage]:
    if "debian" in sets:
        yield from debian_pages(cache)
    if "hand" in sets:
        yield from labelled_pages(real_crawl())
    if "own" in sets:
        yield from own_pages()


def _main_element(page: LabelledPage) -> str:
    root = lxml_html.fromstring(page.html, parser=lxml_html.HTMLParser(encoding="utf-8"))
    elements = "".join(
        lxml_html.tostring(element, encoding="unicode", with_tail=False) for element in select(root, page.main)
    )
    return f"<html><body>{elements}</body></html>"


def _ours(pages: list[str]) -> list[str]:
    return [found.text for found in extract([page.encode() for page in pages], Options(markdown=True))]


def _trafilatura(pages: list[str]) -> list[str]:
    from trafilatura import extract as trafilatura_extract

    return [
        trafilatura_extract(page, output_format="markdown", include_formatting=True, include_comments=False) or ""
        for page in pages
    ]


def _html2text(pages: list[str]) -> list[str]:
    command = [str(PEERS), str(ROOT / "benchmarks" / "peers" / "markdown.py")]
    lines = "\n".join(map(json.dumps, pages))
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"html2text: {done.stderr[-500:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _report(
    rows: Rows, view: str, pages: list[LabelledPage], of_writer: dict[str, list[dict[str, float | None]]]
) -> None:
    groups = dict.fromkeys((page.set, page.half) for page in pages)
    for group in groups:
        for part in _PARTS:
            means: dict[str, float] = {}
            count = 0
            for name, of_page in of_writer.items():
                values = [
                    value
                    for page, found in zip(pages, of_page, strict=True)
                    if (page.set, page.half) == group and (value := found[part]) is not None
                ]
                count = len(values)
                if values:
                    means[name] = statistics.fmean(values)
            for peer in [name for name in of_writer if name != "ours"] or ["ours"]:
                what = f"{group[0]} {group[1]}, {view}: {part} ({count} pages), against {peer}"
                if "ours" in means:
                    rows.add(what, means["ours"], means.get(peer), "score")


if __name__ == "__main__":
    main()
