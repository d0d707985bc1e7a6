"""Labelled pages of a crawl, for training and scores.

The truth is JSON lines, one a page: `url` and any of

    main_content      the main text
    select, remove    CSS selectors of the elements that hold it, and of elements in these that are not part of it
    with, without     lists of snippets that are in it, and that are not
    page_type, set    groups in reports
    language          likewise, by ISO 639-1; pages in zh, ja and th are scored over characters
    site              pages of one site are in one fold; by default the site of the address
    html              the page itself; without it, the page is looked for in WARC files
"""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from cleaners.crawl.charset import decode
from cleaners.crawl.warc import WarcReader
from cleaners.extraction.training.selected import selected_text
from shards.errors import UserError
from shards.reader import Damage
from shards.storage import find_inputs

Tell = Callable[[str], None]


class TruthPage(NamedTuple):
    """A page and its line of the truth."""

    url: str
    html: str
    truth: dict[str, Any]


def read_truth(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of truth, each with a `url`."""
    out = []
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    page = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise UserError(f"{path}:{number}: is no JSON ({error}); a line holds one page") from None
                if not isinstance(page, dict) or not isinstance(page.get("url"), str):
                    raise UserError(f'{path}:{number}: has no "url"; a line is {{"url": …, "main_content": …}}')
                for key, kind in (
                    ("main_content", str),
                    ("with", list),
                    ("without", list),
                    ("html", str),
                    ("select", str),
                    ("remove", str),
                    ("site", str),
                ):
                    value = page.get(key)
                    if value is not None and not isinstance(value, kind):
                        raise UserError(f'{path}:{number}: "{key}" is no {kind.__name__}')
                    if kind is list and not all(isinstance(snippet, str) for snippet in value or ()):
                        raise UserError(f'{path}:{number}: "{key}" holds other than strings')
                out.append(page)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if not out:
        raise UserError(f"{path}: holds no page")
    return out


def crawl_pages(warcs: Sequence[str], truth: Sequence[dict[str, Any]], tell: Tell) -> Iterator[TruthPage]:
    """The pages of the WARC files that the truth names, each once, in the order of the files.

    Damaged records are skipped and reported to `tell`, one line a file.
    """
    wanted = {page["url"]: page for page in truth}
    for file in find_inputs(tuple(warcs), (".warc.gz", ".warc"), "--warc"):
        damage: list[Damage] = []
        start: int | None = 0
        while start is not None:  # a large file is many units
            reader = WarcReader("truth", file, start)
            for batch in reader:
                columns = (batch[name].to_pylist() for name in ("url", "payload", "http_charset"))
                for url, payload, charset in zip(*columns, strict=True):
                    if payload is not None and (page := wanted.pop(url, None)) is not None:
                        yield _truth_page(valid_text(decode(payload, charset).text), page)
                if not wanted:
                    return
            damage += reader.damage
            start = reader.next_start
        if damage:
            num_more = sum(place.places for place in damage) - 1
            more = f" (and {num_more:,} more)" if num_more else ""
            tell(f"damaged: {file}: offset {damage[0].offset}: {damage[0].cause}{more}")


def num_pages(truth: Sequence[dict[str, Any]]) -> int:
    """The number of pages if none is missing: a line with `html` is one, and so is each address of the other lines."""
    elsewhere = [page["url"] for page in truth if page.get("html") is None]
    return len(truth) - len(elsewhere) + len(set(elsewhere))


def own_pages(truth: Sequence[dict[str, Any]]) -> list[TruthPage]:
    """The pages of the lines that hold `html`."""
    return [_truth_page(valid_text(page["html"]), page) for page in truth if page.get("html") is not None]


def _truth_page(html: str, truth: dict[str, Any]) -> TruthPage:
    url = truth["url"]
    if truth.get("main_content") is None and (select := truth.get("select")):
        truth = truth | {"main_content": selected_text(url, html, select, truth.get("remove"))}
    return TruthPage(url, html, truth)


def valid_text(html: str) -> str:
    """The text with lone surrogates replaced, which UTF-8 cannot hold."""
    return html.encode("utf-8", "replace").decode()
