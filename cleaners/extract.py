"""Main-text extraction: turns the bytes of a page into clean text.

    payload ──charset──▶ HTML ──refuse bombs──┬▶ gristmill, whole batches ─────────┬──tidy──▶ text
                                              └▶ child: trafilatura, resiliparse ──┘

Refusals come first and are the same on every machine: pages with too many elements or too deep nesting. Our own engine
needs no other limit, since its time is linear. With the others, a page that kills the child is tried once more, alone.
If it kills the child again, its id and the cause go to the run's `kills.jsonl`, synced before the unit goes on, and
every rerun reads them there. So a time limit, which depends on the machine, never makes two runs of one folder differ.
"""

import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import model_validator

from cleaners.crawl.charset import decode
from cleaners.engines.bombs import count_tags
from cleaners.engines.child import ExtractionChild, Killed
from cleaners.textfix import limit_newlines, remove_urls
from shards.atomic import append_synced, read_journal
from shards.schema import TEXT
from shards.stage import Batch, Rule, Stage, StageConfig, null_where, with_columns

_TITLE, _DATE = pa.field("title", pa.string()), pa.field("page_date", pa.string())
# Only the engine gristmill gives these.
_OWN_METADATA = ("author", "site_name", "canonical_url", "declared_language")
METADATA = pa.schema([_TITLE, _DATE, *(pa.field(name, pa.string()) for name in _OWN_METADATA)])
_BEFORE_REFUSAL = ("num_elements", "depth", "charset", "num_replaced")  # metrics of pages that are refused
METRICS = ("num_elements", "depth", "num_replaced", "killed", "failed", "num_chars")
# Of the engine gristmill; `extraction.engine.Extracted` defines them.
OWN_METRICS = {
    "num_blocks": pa.int64(),
    "share_kept": pa.float64(),
    "expected_f1": pa.float64(),
    "from_scripts": pa.int64(),
}
_CHUNK_BYTES = 16 << 20  # of HTML that our engine works on at a time
_ENTRY = re.compile(rb'^\{"id": "([0-9a-f]{32})", [^\n]*\}$', re.MULTILINE)  # of the journal

Row = dict[str, str | int | float | None]  # by column, without the stage's name


class ExtractConfig(StageConfig):
    """Kind `extract`. Rows that bring their text (WET, shards, JSON lines) keep it."""

    version: ClassVar[int] = 3
    stops: ClassVar[bool] = True
    reads_pages: ClassVar[bool] = True
    makes_text: ClassVar[bool] = True

    name: str = "extract"
    engine: Literal["gristmill", "trafilatura", "resiliparse"] = "trafilatura"
    favour: Literal["balanced", "precision", "recall"] = "balanced"  # only for trafilatura
    # Only the engine gristmill has these four. `model` is "permissive" for the one without the labels that are under
    # GPL or AGPL, or a file that `gristmill extractor train` has written.
    model: str = "gristmill"
    comments: bool = False  # keep what readers wrote below the text
    markdown: bool = False  # write Markdown instead of plain lines
    links: bool = False  # write links as [text](address)
    max_elements: int = 200_000  # the largest of 3,013 real pages has 16,000
    max_depth: int = 512  # browsers stop here; the deepest of these pages has 358
    min_chars: int = 1
    max_newlines: int = 2  # longer runs of line ends are cut to this length (RefinedWeb, App. G.1)
    remove_urls: bool = True  # from the text (RefinedWeb, App. G.1)
    metadata: bool = False  # `title`, `page_date` (YYYY-MM-DD, never after the record in UTC) and more as columns

    @property
    def edits(self) -> bool:
        return True

    def columns(self) -> pa.Schema:
        metrics = [pa.field(f"{self.name}.{m}", pa.int64()) for m in METRICS]
        if self.engine == "gristmill":
            metrics += [pa.field(f"{self.name}.{m}", kind) for m, kind in OWN_METRICS.items()]
        return pa.schema([TEXT, *metrics, pa.field(f"{self.name}.charset", pa.string()), *self.carried()])

    def carried(self) -> pa.Schema:
        if not self.metadata:
            return pa.schema([])
        return METADATA if self.engine == "gristmill" else pa.schema([_TITLE, _DATE])

    def digests(self) -> dict[str, str]:
        if self.engine != "gristmill":
            return {}
        from cleaners.extraction.model import SHIPPED, load_model, model_path

        path = model_path(self.model)
        if self.model not in SHIPPED:
            load_model(path)  # refuses what is none
        return {f"{self.name}.engine": path.stem}

    def files(self) -> dict[str, Path]:
        from cleaners.extraction.model import SHIPPED

        return {} if self.engine != "gristmill" or self.model in SHIPPED else {self.model: Path(self.model)}

    def rules(self) -> tuple[Rule, ...]:
        return (
            self.rule("too_many_elements", "num_elements", "max_elements"),
            self.rule("too_deep", "depth", "max_depth"),
            Rule(f"{self.name}.killed", f"{self.name}.killed", "", max_kept=0),
            Rule(f"{self.name}.failed", f"{self.name}.failed", "", max_kept=0),
            self.rule("no_text", "num_chars", "min_chars"),
        )

    def measured(self) -> str:
        return f"{self.name}.num_chars"

    def is_repeatable(self, facts: Mapping[str, Any]) -> bool:
        """A page that killed the extractor would kill it again."""
        return not facts.get(f"{self.name}.killed") and super().is_repeatable(facts)

    def refuses(self, num_elements: Any, depth: Any) -> Any:
        """Whether a page is too large to extract: its size is measured and nothing else. Numbers or arrays."""
        return (num_elements > self.max_elements) | (depth > self.max_depth)

    def recorded(self, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
        sizes = (pc.fill_null(columns[f"{self.name}.{metric}"], 0).to_numpy() for metric in ("num_elements", "depth"))
        refused = self.refuses(*sizes)
        measured = {f"{self.name}.{metric}" for metric in _BEFORE_REFUSAL}
        return {n: values if n in measured else null_where(refused, values) for n, values in columns.items()}

    def build(self) -> Stage:
        return ExtractHere(self) if self.engine == "gristmill" else ExtractInChild(self, None)

    def journal(self) -> str:
        return "kills.jsonl"

    def build_in(self, journal: Path | None, *, careful: bool = False) -> Stage:
        if self.engine == "gristmill":
            return ExtractHere(self, journal, careful=careful)
        return ExtractInChild(self, journal)

    @model_validator(mode="after")
    def _engine_has_its_options(self) -> "ExtractConfig":
        own = [name for name in ("comments", "markdown", "links") if getattr(self, name)]
        own += ["model"] if self.model != "gristmill" else []
        if own and self.engine != "gristmill":
            raise ValueError(f"{', '.join(own)}: only the engine gristmill has it, and engine is {self.engine}")
        return self


class _Extract:
    """Decodes pages, refuses bombs and killers, and tidies text, for every engine."""

    def __init__(self, config: ExtractConfig, journal: Path | None) -> None:
        self._config, self._journal = config, journal
        self._kills = _read_journal(journal)

    def __call__(self, batch: Batch) -> Batch:
        rows = list(self._rows(batch))
        columns = {
            field.name: pa.array(
                [row.get(field.name.removeprefix(f"{self._config.name}.")) for row in rows], field.type
            )
            for field in self._config.columns()
        }
        return with_columns(batch, columns)

    def _rows(self, batch: Batch) -> Iterator[Row]:
        """One dict for each row, in order."""
        raise NotImplementedError

    def _prepare(self, page: "_InputPage") -> tuple[Row, bytes | None]:
        """(the row so far, the HTML as UTF-8); the second is None where there is nothing to extract."""
        if page.payload is None:
            return self._with_text({}, page.text), None
        decoded = decode(page.payload, page.http_charset)
        utf8 = page.payload if decoded.is_utf8 else decoded.text.encode("utf-8", "replace")
        num_elements, depth = count_tags(np.frombuffer(utf8, np.uint8))
        row: Row = {
            "num_elements": num_elements,
            "depth": depth,
            "charset": decoded.charset,
            "num_replaced": decoded.num_replaced,
        }
        if self._config.refuses(num_elements, depth):
            return row, None
        if page.id in self._kills:
            return row | {"killed": 1}, None
        return row | {"killed": 0}, utf8

    def _remember(self, page: "_InputPage", cause: str) -> None:
        """Note a page that kills its engine."""
        self._kills.add(page.id)
        if self._journal is not None:
            line = {"id": page.id, "url": page.url, "reason": f"{self._config.name}.killed", "cause": cause}
            append_synced(self._journal, json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def _with_text(self, row: Row, text: str | None) -> Row:
        text = limit_newlines(text or "", self._config.max_newlines)
        if self._config.remove_urls:
            text = remove_urls(text)
        return row | {"text": text, "num_chars": len(text)}


class ExtractHere(_Extract):
    """Extracts with our own engine, in this process, many pages at a time.

    Where it is `careful`, a child process extracts each page before: workers have died on these pages.
    """

    def __init__(self, config: ExtractConfig, journal: Path | None = None, *, careful: bool = False) -> None:
        super().__init__(config, journal)
        self._child = ExtractionChild(config.engine, config.favour) if careful else None

    def _rows(self, batch: Batch) -> Iterator[Row]:
        waiting: list[tuple[_InputPage, Row, bytes | None]] = []
        num_bytes = 0
        for page in _input_pages(batch):
            row, html = self._prepare(page)
            if html is not None and self._child is not None and (cause := _kills(self._child, page, html)):
                self._remember(page, cause)
                row, html = row | {"killed": 1}, None
            waiting.append((replace(page, payload=None), row, html))
            num_bytes += len(html or b"")
            if num_bytes >= _CHUNK_BYTES:
                yield from self._extracted(waiting)
                waiting, num_bytes = [], 0
        yield from self._extracted(waiting)

    def _extracted(self, waiting: Sequence[tuple["_InputPage", Row, bytes | None]]) -> Iterator[Row]:
        from cleaners.extraction.engine import Options, declared, extract
        from cleaners.extraction.model import load_model, model_path

        model = load_model(model_path(self._config.model))
        options = Options(self._config.markdown, self._config.links, self._config.comments)
        results = iter(extract([html for _, _, html in waiting if html is not None], options, model))
        for page, row, html in waiting:
            if html is None:
                yield row
                continue
            extracted = next(results)
            metrics = extracted._asdict() | {"from_scripts": int(extracted.from_scripts)}
            if self._config.metadata:
                data = declared(html, page.url, page.date)
                row |= {"title": data.title, "page_date": data.date}
                row |= {name: getattr(data, name) for name in _OWN_METADATA}
            yield self._with_text(row | metrics | {"failed": 0}, extracted.text)


class ExtractInChild(_Extract):
    """Extracts with an engine of others, in a child process that may be killed."""

    def __init__(self, config: ExtractConfig, journal: Path | None) -> None:
        super().__init__(config, journal)
        self._child = ExtractionChild(config.engine, config.favour, metadata=config.metadata)

    def _rows(self, batch: Batch) -> Iterator[Row]:
        """The child works on a page while the next one is decoded."""
        in_flight: _InputPage | None = None
        for page in _input_pages(batch):
            row, html = self._prepare(page)
            if in_flight is not None:
                yield self._finish(in_flight)
                in_flight = None
            if html is None:
                yield row
            else:
                self._child.send(html, page.url, page.date)
                in_flight = replace(page, row=row, html=html)
        if in_flight is not None:
            yield self._finish(in_flight)

    def _finish(self, page: "_InputPage") -> Row:
        try:
            text, metadata = self._child.receive()
        except Killed:
            try:
                self._child.send(page.html, page.url, page.date)  # once more, alone
                text, metadata = self._child.receive()
            except Killed as killed:
                self._remember(page, str(killed))
                return page.row | {"killed": 1}
            except ValueError:
                return page.row | {"failed": 1}
        except ValueError:
            return page.row | {"failed": 1}
        row = page.row | {"failed": 0, "title": metadata.title, "page_date": metadata.date}
        return self._with_text(row, text)


@dataclass(frozen=True)
class _InputPage:
    id: str
    url: str
    text: str | None
    payload: bytes | None
    http_charset: str | None
    date: str  # YYYY-MM-DD of the record, "" if it has none
    html: bytes = b""
    row: Row = field(default_factory=dict)


def _input_pages(batch: Batch) -> Iterator[_InputPage]:
    crawled = "payload" in batch.schema.names
    for i in range(batch.num_rows):
        payload = batch["payload"][i].as_py() if crawled else None
        charset = batch["http_charset"][i].as_py() if crawled else None
        id_, url, text, date = (batch[name][i].as_py() for name in ("id", "url", "text", "date"))
        yield _InputPage(id_, url, text, payload, charset, _day(date or ""))


def _day(date: str) -> str:
    try:
        return datetime.date.fromisoformat(date[:10]).isoformat()
    except ValueError:
        return ""


def _kills(child: ExtractionChild, page: _InputPage, html: bytes) -> str:
    """Why the page kills a child process, twice; "" where it does not."""
    cause = ""
    for _ in range(2):
        try:
            child.send(html, page.url)
            child.receive()
        except Killed as killed:
            cause = str(killed)
        except ValueError:  # it fails here, too
            return ""
        else:
            return ""
    return cause


def _read_journal(journal: Path | None) -> set[str]:
    """The ids of the pages in the journal.

    A line that a kill or a full disk cut short is no entry, and neither is what was then appended to it. Those pages
    are tried again.
    """
    return set() if journal is None else {match[1].decode() for match in _ENTRY.finditer(read_journal(journal))}
