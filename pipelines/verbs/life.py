"""A document's life as values: what the ledger says of it, and what its record gives when it is read again.

    ledger row ──▶ its record's file and offset, each rule's value beside its threshold, twin, verdict
    its record, read again at its offset and taken through the stages once more ──▶ HTTP headers, what each stage edited

Where the crawl is no longer there, the run's own texts are taken through the stages after extraction; without them the
ledger answers alone. What is measured again is compared with the ledger: a difference means that another version of a
stage, a model or a library is installed here than the one that made the run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from itertools import islice
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from cleaners.crawl.indexed import IndexedReader
from cleaners.crawl.warc import WarcReader
from cleaners.extract import METADATA
from pipelines.core import run_stage
from pipelines.ledger.table import Ledger
from pipelines.ledger.values import RuleValue, rule_values
from pipelines.run.extracted_texts import early_stages
from pipelines.verbs.explain_duplicates import Related, copies_of, kept_text, passages_cut, related, twin_of
from shards.errors import GristmillError, RunError
from shards.manifest import read_manifest
from shards.ranges import Part
from shards.reader import Reader
from shards.row_reader import RowReader
from shards.schema import LANGUAGE, MASKED, ORIGINAL_ID, PROVENANCE
from shards.selection import OfFile, Place, input_file
from shards.sink import read_table
from shards.source import SourceConfig
from shards.stage import Batch, StageConfig
from shards.storage import find_inputs

_COPIES = 5  # that are named

Facts = dict[str, Any]


@dataclass(frozen=True)
class StageLife:
    """What a local stage made of the document."""

    stage: str
    state: Literal["measured", "not measured", "for other languages"]
    languages: tuple[str, ...]  # the only ones of the stage; empty: all
    values: dict[str, Any]  # its columns that no rule compares
    rules: tuple[RuleValue, ...]
    edits: tuple[str, ...]  # a unified diff of the text before and after


@dataclass(frozen=True)
class Cut:
    """Passages that a global stage cut since they also occur elsewhere."""

    stage: str
    passages: int
    characters: int


@dataclass(frozen=True)
class Masked:
    """A passage that training does not learn from, in bytes of the kept text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Life:
    """Everything that is known of a record."""

    id: str
    original_id: str | None
    url: str
    drop_reasons: tuple[str, ...]  # empty: kept
    language: str | None
    characters: int | None  # of the text as the run left it; None before there was one
    source: str
    file: str
    offset: int
    num_bytes: int | None  # of the record; None where it is a row of a file
    date: str | None
    body: dict[str, Any] | None  # HTTP status, media type and size; None for a record without one
    unreadable: str | None  # why the record cannot be read again
    stages: tuple[StageLife, ...]
    measured_again: dict[str, Any]  # metrics that have other values now
    cut: tuple[Cut, ...]
    cut_passages: tuple[str, ...]  # some of them, where the texts show them
    masked: tuple[Masked, ...]
    twin: Related | None  # the document for which it was removed
    copies: tuple[Related, ...]  # some of those that were removed for it
    num_copies: int
    text: str | None  # as the run left it, or as the stage that dropped it saw it; None unless it was asked for

    @property
    def failing(self) -> list[RuleValue]:
        return [rule for stage in self.stages for rule in stage.rules if rule.fails]


def life(ledger: Ledger, number: int, facts: Facts, *, with_text: bool) -> Life:
    """The life of the record in row `number`, whose ledger row is `facts`."""
    local = list(ledger.recipe.local_stages())
    again, body, unreadable, text = _Again(), None, None, None
    try:
        record = _read(ledger, number, facts)
        body = _body(record)
        again.measure(local, record, facts)
    except GristmillError as error:
        saved, place = _saved(ledger, number)
        unreadable = f"cannot be read again, the rest is from {place}: {error}"
        if saved is not None:
            text = saved["text"][0].as_py()
            again.measure(local[len(early_stages(ledger.recipe.passes()[0])) :], saved, facts)
    text = again.text if again.text is not None else text
    kept = not facts["drop_reasons"]
    copies = copies_of(ledger, facts)
    return Life(
        id=facts["id"],
        original_id=facts.get(ORIGINAL_ID.name),
        url=facts["url"] or "",
        drop_reasons=tuple(facts["drop_reasons"]),
        language=facts.get("language"),
        characters=facts["text_chars"],
        source=facts["source"],
        file=facts["warc_file"],
        offset=facts["warc_offset"],
        num_bytes=facts["warc_length"] if facts["warc_length"] >= 0 else None,
        date=facts["date"],
        body=body,
        unreadable=unreadable,
        stages=tuple(_stage(stage, facts, again) for stage in local),
        measured_again={n: v for n, v in again.values.items() if v != facts[n]},
        cut=tuple(
            Cut(stage.name, facts[f"{stage.name}.spans"], facts[f"{stage.name}.removed_chars"])
            for stage in ledger.recipe.global_stages()
            if stage.cuts and facts.get(f"{stage.name}.spans")
        ),
        cut_passages=tuple(passages_cut(ledger, facts, again.text)),
        masked=tuple(_masked(ledger, facts)),
        twin=twin_of(ledger, facts),
        copies=tuple(
            related(row) for row in ledger.rows(copies[:_COPIES], ["id", "url", "similarity", "drop_reasons"])
        ),
        num_copies=len(copies),
        text=(kept_text(ledger, facts) if kept else text) if with_text else None,
    )


def _body(record: Batch) -> dict[str, Any] | None:
    if "payload" not in record.schema.names or not record["payload"][0].is_valid:
        return None
    row: dict[str, Any] = record.select(["record_type", "http_status", "content_type", "http_charset"]).to_pylist()[0]
    return row | {"bytes": pc.binary_length(record["payload"])[0].as_py()}


def _read(ledger: Ledger, number: int, facts: Facts) -> Batch:
    """The record of this ledger row, as its source gives it: one row."""
    key = ledger.key_of(number)
    source = ledger.recipe.sources[key.source]
    if source.kind == "index":
        return _read_indexed(source, key.source, facts)
    files = find_inputs(source.paths, source.suffixes, f"source.{key.source}.paths")
    crawled = source.is_crawl
    named = [i for i, file in enumerate(files) if not crawled or file.name == facts["warc_file"]]
    if not named:
        raise RunError(f"{facts['warc_file']}: is no longer where source.{key.source}.paths points")
    file = files[min(named, key=lambda i: abs(i - key.file))]  # two files of one name lie in their old order
    by_offset = crawled and facts["warc_length"] >= 0
    start: int = facts["warc_offset"]
    if not by_offset:  # the unit is read until the record comes
        start = read_manifest(ledger.run.path(ledger.run.manifest(key))).start
    reader: Reader = (
        WarcReader(key.source, file, start, source.kind) if crawled else RowReader(source, key.source, file, start)
    )
    for batch in islice(reader, 1 if by_offset else None):
        row = pc.index(batch["id"], facts["id"]).as_py()
        if row >= 0:
            return batch.take(pa.array([row]))
    raise RunError(f"{file}: offset {facts['warc_offset']:,}: another record is there now; the file was changed")


def _read_indexed(source: SourceConfig, name: str, facts: Facts) -> Batch:
    """The record of a source of kind `index`, which lies where the ledger says."""
    part = Part(facts["warc_offset"], facts["warc_length"])
    file = input_file(source.root, OfFile(facts["warc_file"], 0, 1, part.length, ""))
    reader = IndexedReader(name, file, [Place(part, facts["url"])], 0, source.requests_per_second)
    for batch in reader:
        if (row := pc.index(batch["id"], facts["id"]).as_py()) >= 0:
            return batch.take(pa.array([row]))
    cause = reader.damage[0].cause if reader.damage else "another record is there now; the file was changed"
    raise RunError(f"{file}: offset {part.offset:,}: {cause}")


def _saved(ledger: Ledger, number: int) -> tuple[Batch | None, str]:
    """(this ledger row with the text that extraction gave, None where the run keeps none; what the rest is from)."""
    key = ledger.key_of(number)
    path = ledger.run.path(ledger.run.texts(key))
    try:
        first = int(ledger.first_rows[ledger.keys.index(key)])
        text = read_table(path, ["text"])["text"].slice(number - first, 1).combine_chunks()
    except RunError:
        return None, "the ledger"
    names = [n for n in (*PROVENANCE.names, *LANGUAGE.names, *METADATA.names) if n in ledger.schema.names]
    row = pa.Table.from_pylist(ledger.rows([number], names), pa.schema([ledger.schema.field(n) for n in names]))
    (batch,) = row.append_column("text", pa.chunked_array([text])).combine_chunks().to_batches()
    return batch if text.null_count == 0 else None, f"the ledger and the text in {path}"


@dataclass
class _Again:
    """What the record gives when it is taken through the stages once more."""

    values: Facts = field(default_factory=dict)  # of the metrics
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)  # by stage that edited: before, after
    text: str | None = None  # after the last local stage

    def measure(self, stages: Sequence[StageConfig], batch: Batch, facts: Facts) -> None:
        """Go through the stages that measured the record in the run, and no further."""
        for stage in stages:
            columns = [name for name in stage.columns().names if name != "text"]
            if _is_skipped(stage, facts):
                continue
            if not stage.is_repeatable(facts):
                return
            if set(stage.needs()) - set(batch.schema.names):  # global stages counted what it reads
                self.values |= {name: facts[name] for name in columns}
                continue
            before = batch["text"][0].as_py()
            batch = run_stage(batch, stage, stage.build())
            after = batch["text"][0].as_py()
            self.values |= {name: batch[name][0].as_py() for name in columns}
            self.text = after
            if before is not None and before != after:
                self.texts[stage.name] = (before, after)


def _is_skipped(stage: StageConfig, facts: Facts) -> bool:
    """Whether the stage is for documents in other languages."""
    return bool(stage.only_languages) and facts.get("language") not in (None, *stage.only_languages)


def _stage(stage: StageConfig, facts: Facts, again: _Again) -> StageLife:
    # Places of edits are lists of offsets; the diff tells them.
    names = [field.name for field in stage.columns() if field.name != "text" and not pa.types.is_list(field.type)]
    state: Literal["measured", "not measured", "for other languages"] = "measured"
    if _is_skipped(stage, facts):
        state = "for other languages"
    elif names and all(facts[name] is None for name in names):
        state = "not measured"
    if state != "measured":
        return StageLife(stage.name, state, tuple(stage.only_languages), {}, (), ())
    ruled = {rule.metric for rule in stage.rules()}
    values = {name: facts[name] for name in names if name not in ruled and facts[name] is not None}
    before, after = (text.splitlines() for text in again.texts.get(stage.name, ("", "")))
    diff = tuple(unified_diff(before, after, "before", "after", lineterm="", n=1))
    return StageLife(stage.name, state, tuple(stage.only_languages), values, tuple(rule_values(stage, facts)), diff)


def _masked(ledger: Ledger, facts: Facts) -> Iterator[Masked]:
    if facts.get(MASKED.name):
        text = (kept_text(ledger, facts) or "").encode()
        for start, end in zip(facts[MASKED.name][::2], facts[MASKED.name][1::2], strict=True):
            yield Masked(start, end, text[start:end].decode(errors="replace"))
