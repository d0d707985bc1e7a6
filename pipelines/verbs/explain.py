"""`gristmill explain`: a document's whole life, from its record in the crawl to its verdict.

    ledger row ──▶ its record's file and offset, each rule's value beside its threshold, twin, verdict
    its record, read again at its offset and taken through the stages once more ──▶ HTTP headers, what each stage edited

Where the crawl is no longer there, the run's own texts are taken through the stages after extraction; without them the
ledger answers alone. What is measured again is compared with the ledger: a difference means that another version of a
stage, a model or a library is installed here than the one that made the run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches, unified_diff
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.assets.domain_lines import host_of
from cleaners.crawl.warc import WarcReader
from cleaners.extract import METADATA
from pipelines.core import failing, run_stage
from pipelines.ledger.table import Ledger
from pipelines.numbers import counted
from pipelines.report.samples import visible
from pipelines.run.extracted_texts import early_stages
from pipelines.verbs.explain_duplicates import PASSAGE_CHARS, PASSAGES, copies_of, kept_text, passages_cut, twin_of
from shards.errors import GristmillError, RunError, UserError
from shards.manifest import read_manifest
from shards.reader import Reader
from shards.row_reader import RowReader
from shards.schema import LANGUAGE, MASKED, ORIGINAL_ID, PROVENANCE
from shards.sink import read_table
from shards.stage import Batch, Rule, StageConfig
from shards.storage import find_inputs

_DIFF_LINES = 40
_LINE_CHARS = 160
_RECORDS = 20  # of one address or id that are shown: ids of rows may begin again in each file
_COPIES = 5  # that are named
_NEAR = 3  # addresses that are named when one is unknown
_NEAR_AMONG = 10_000

Facts = dict[str, Any]


def explain(run: Path, wanted: str) -> Iterator[str]:
    """The records whose URL, id or original id is `wanted`, a line each fact; UserError where there is none."""
    ledger = Ledger.open(run)
    numbers = _rows_where(pc.or_(pc.equal(ledger.column("url"), wanted), pc.equal(ledger.column("id"), wanted.lower())))
    if not numbers and ORIGINAL_ID.name in ledger.schema.names:
        numbers = _rows_where(pc.equal(ledger.column(ORIGINAL_ID.name), wanted))
    if not numbers:
        numbers = _rows_where(pc.equal(_bare(ledger.column("url")), _bare(pa.scalar(wanted))))
        if not numbers or not wanted.strip("/"):
            raise UserError(f"{run}: no record of {wanted}; {_near_matches(ledger, wanted)}")
        yield visible(f"{wanted}: no record of just this address; of the same but for scheme or final slash there is")
    shown = numbers[:_RECORDS]
    for number, facts in zip(shown, ledger.rows(shown), strict=True):
        if number != numbers[0]:
            yield ""
        yield from map(visible, _life(ledger, number, facts))
    if len(numbers) > _RECORDS:
        yield f"… {len(numbers) - _RECORDS:,} more records of it"


def _rows_where(mask: pa.Array) -> list[int]:
    numbers: list[int] = np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False)).tolist()
    return numbers


def _bare(urls: pa.Array | pa.Scalar) -> pa.Array | pa.Scalar:
    """Addresses without scheme and final slashes."""
    return pc.utf8_rtrim(pc.replace_substring_regex(urls, "^[A-Za-z]+://", ""), "/")


def _near_matches(ledger: Ledger, wanted: str) -> str:
    host = host_of(wanted if "//" in wanted or "." not in wanted else f"//{wanted}").removeprefix("www.")
    if not host:
        return "an id is 32 hex digits, an address begins with http:// or https://"
    urls = ledger.column("url")
    same = urls.filter(pc.match_substring(urls, host))[:_NEAR_AMONG].to_pylist()
    near = get_close_matches(
        wanted, sorted({url for url in same if host_of(url).removeprefix("www.") == host}), _NEAR, 0
    )
    return f"of this host there are {visible(' '.join(near))}" if near else f"there is none of the host {host}"


def _life(ledger: Ledger, number: int, facts: Facts) -> Iterator[str]:
    yield facts["url"] or "(no URL)"
    original = facts.get(ORIGINAL_ID.name)
    yield _line("id", facts["id"] if original is None else f"{facts['id']}, in its file {original}")
    place = f"{facts['source']}: {facts['warc_file']}, offset {facts['warc_offset']:,}"
    if facts["warc_length"] >= 0:
        place += f", {facts['warc_length']:,} bytes"
    yield _line("record", f"{place}, fetched {facts['date'] or 'at an unknown time'}")
    again = _Again()
    local = list(ledger.recipe.local_stages())
    try:
        record = _read(ledger, number, facts)
        yield from _http(record)
        again.measure(local, record, facts)
    except GristmillError as error:
        saved, place = _saved(ledger, number)
        yield _line("record", f"cannot be read again, the rest is from {place}: {error}")
        if saved is not None:
            again.measure(local[len(early_stages(ledger.recipe.passes()[0])) :], saved, facts)
    for stage in local:
        yield from _stage(stage, facts, again)
    yield from _verdict(ledger, facts, again)


def _line(name: str, value: object) -> str:
    return f"  {name:10}{value}"


def _http(record: Batch) -> Iterator[str]:
    if "payload" in record.schema.names and record["payload"][0].is_valid:
        row = record.select(["http_status", "content_type", "http_charset", "record_type"]).to_pylist()[0]
        status = "no HTTP status" if row["http_status"] is None else f"HTTP {row['http_status']}"
        charset = f", charset {row['http_charset']}" if row["http_charset"] else ""
        size = pc.binary_length(record["payload"])[0].as_py()
        kind = row["content_type"] or "no content type"
        yield _line("body", f"{row['record_type']}, {status}, {kind}{charset}, {size:,} bytes")


def _read(ledger: Ledger, number: int, facts: Facts) -> Batch:
    """The record of this ledger row, as its source gives it: one row."""
    key = ledger.key_of(number)
    source = ledger.recipe.sources[key.source]
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


def _stage(stage: StageConfig, facts: Facts, again: _Again) -> Iterator[str]:
    rules = stage.rules()
    if _is_skipped(stage, facts):
        languages = ", ".join(stage.only_languages)
        yield f"  {stage.name}: only for {languages}, and this document is in {facts['language']}"
        return
    # Places of edits are lists of offsets; the diff tells them.
    names = [field.name for field in stage.columns() if field.name != "text" and not pa.types.is_list(field.type)]
    if names and all(facts[name] is None for name in names):
        yield f"  {stage.name}: not measured"
        return
    yield f"  {stage.name}"
    ruled = {rule.metric for rule in rules}
    for name in names:
        if name not in ruled and facts[name] is not None:
            yield f"    {name.removeprefix(stage.name + '.')} = {_shown(facts[name])}{_differs(name, facts, again)}"
    for rule in rules:
        value = facts[rule.metric]
        measured = f"{rule.metric.removeprefix(stage.name + '.')} = {_shown(value)}"
        if rule.language not in (None, facts.get("language")):
            continue
        rule = rule.within([facts.get("language")])
        fails = failing(pa.array([value], stage.columns().field(rule.metric).type), rule)[0]
        columns = f"{rule.reason.removeprefix(stage.name + '.'):40}{measured:46}{_threshold(rule):14}"
        yield f"    {columns}{'FAILS' if fails else 'passes'}{_differs(rule.metric, facts, again)}"
    if stage.name in again.texts:
        yield from ("    " + line for line in _diff(*again.texts[stage.name]))


def _threshold(rule: Rule) -> str:
    thresholds = (("≥", rule.min_kept), ("≤", rule.max_kept))
    return " ".join(f"{sign} {_shown(value)}" for sign, value in thresholds if value is not None)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "none" if value is None else str(value)


def _differs(name: str, facts: Facts, again: _Again) -> str:
    if name not in again.values or again.values[name] == facts[name]:
        return ""
    return f" (measured again: {_shown(again.values[name])})"


def _diff(before: str, after: str) -> Iterator[str]:
    diff = list(unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=1))
    yield from (line[:_LINE_CHARS] for line in diff[:_DIFF_LINES])
    if len(diff) > _DIFF_LINES:
        yield f"… {len(diff) - _DIFF_LINES:,} more lines"


def _verdict(ledger: Ledger, facts: Facts, again: _Again) -> Iterator[str]:
    for stage in ledger.recipe.global_stages():
        if stage.cuts and facts.get(f"{stage.name}.spans"):
            spans, chars = facts[f"{stage.name}.spans"], facts[f"{stage.name}.removed_chars"]
            cut = f"{counted(spans, 'passage')} of {counted(chars, 'character')} that also occur elsewhere"
            yield f"  {stage.name}: cut {cut} (a run does not keep where)"
    yield from ("    - " + passage for passage in passages_cut(ledger, facts, again.text))
    if facts.get(MASKED.name):
        places = zip(facts[MASKED.name][::2], facts[MASKED.name][1::2], strict=True)
        text = (kept_text(ledger, facts) or "").encode()
        for start, end in islice(places, PASSAGES):
            passage = text[start:end].decode(errors="replace")
            yield _line("masked", f"bytes {start:,}-{end:,}: {passage[:PASSAGE_CHARS]!r}")
        if (more := len(facts[MASKED.name]) // 2 - PASSAGES) > 0:
            yield _line("masked", f"… {more:,} more passages")
    if facts["twin"] is not None:
        yield _line("twin", f"{facts['twin']} {twin_of(ledger, facts)}{_similarity(facts)}")
    copies = copies_of(ledger, facts)
    for row in ledger.rows(copies[:_COPIES], ["id", "url", "similarity", "drop_reasons"]):
        yield _line("copy", f"{row['id']} {row['url']}{_similarity(row)}, {row['drop_reasons'][0]}")
    if len(copies) > _COPIES:
        yield _line("copy", f"… {len(copies) - _COPIES:,} more: gristmill pairs {ledger.run}")
    stands = f", representative of {counted(len(copies), 'other')}" if copies else ""
    if not facts["drop_reasons"]:
        yield _line("verdict", f"kept, {facts['text_chars'] or 0:,} characters{stands}")
        return
    yield _line("verdict", f"dropped: {', '.join(facts['drop_reasons'])}{stands}")


def _similarity(row: Facts) -> str:
    return "" if row["similarity"] is None else f", similarity {row['similarity']:.3f}"
