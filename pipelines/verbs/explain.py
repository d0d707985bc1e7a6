"""`gristmill explain`: a document's whole life, from its record in the crawl to its verdict, the verdict first.

URL or id ──▶ rows of the ledger ──▶ `Life` of each (`pipelines.verbs.life`) ──▶ lines for people, or JSON
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.assets.domain_lines import host_of
from pipelines.ledger.table import Ledger
from pipelines.ledger.values import shown_value
from pipelines.numbers import counted
from pipelines.report.samples import visible
from pipelines.verbs.explain_duplicates import PASSAGE_CHARS, PASSAGES, Related
from pipelines.verbs.life import Life, StageLife, life
from shards.errors import UserError
from shards.schema import KEPT, ORIGINAL_ID

_DIFF_LINES, _DIFF_LINES_SHORT = 40, 8
_LINE_CHARS = 160
_RECORDS = 20  # of one address or id that are shown: ids of rows may begin again in each file
_NEAR = 3  # addresses that are named when one is unknown
_NEAR_AMONG = 10_000


@dataclass(frozen=True)
class Explanation:
    """The records of an address or an id."""

    wanted: str
    is_exact: bool  # False: their address differs in scheme or final slash
    records: int
    lives: tuple[Life, ...]  # the first of them


def explain(run: Path, wanted: str, *, with_text: bool = False) -> Explanation:
    """The records whose URL, id or original id is `wanted`; UserError where there is none."""
    ledger = Ledger.open(run)
    numbers = _rows_where(pc.or_(pc.equal(ledger.column("url"), wanted), pc.equal(ledger.column("id"), wanted.lower())))
    if not numbers and ORIGINAL_ID.name in ledger.schema.names:
        numbers = _rows_where(pc.equal(ledger.column(ORIGINAL_ID.name), wanted))
    is_exact = bool(numbers)
    if not numbers:
        numbers = _rows_where(pc.equal(_bare(ledger.column("url")), _bare(pa.scalar(wanted))))
        if not numbers or not wanted.strip("/"):
            raise UserError(f"{run}: no record of {wanted}; {_near_matches(ledger, wanted)}")
    shown = numbers[:_RECORDS]
    lives = (
        life(ledger, row, facts, with_text=with_text) for row, facts in zip(shown, ledger.rows(shown), strict=True)
    )
    return Explanation(wanted, is_exact, len(numbers), tuple(lives))


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


def lines(found: Explanation, run: Path, *, everything: bool = False) -> Iterator[str]:
    """Each record's verdict, the rules that it fails, its edits and its cluster; `everything` has the rest, too."""
    if not found.is_exact:
        yield visible(
            f"{found.wanted}: no record of just this address; of the same but for scheme or final slash there is"
        )
    for number, one in enumerate(found.lives):
        if number:
            yield ""
        yield from map(visible, _all_lines(one, run) if everything else _short_lines(one, run))
    if found.records > len(found.lives):
        yield f"… {found.records - len(found.lives):,} more records of it"


def _short_lines(one: Life, run: Path) -> Iterator[str]:
    yield from _head(one, most_reasons=1)
    measured = [f"{rule.metric.rpartition('.')[2]} = {shown_value(rule.value)}" for rule in one.failing]
    width = max(map(len, measured), default=0)
    longest = max((len(rule.reason) for rule in one.failing), default=0)
    for rule, column in zip(one.failing, measured, strict=True):
        columns = f"{rule.reason:{longest}}  {column:{width}}  {rule.threshold}"
        yield _line("fails", f"{columns}{_differs(rule.metric, one)}")
    if one.unreadable is not None:
        yield _line("record", one.unreadable)
    failing = {rule.metric for rule in one.failing}
    for metric, value in (pair for stage in one.stages for pair in _values(stage)):
        if metric in one.measured_again and metric not in failing:
            yield _line("differs", f"{metric} = {shown_value(value)}{_differs(metric, one)}")
    for stage in one.stages:
        if stage.edits:
            yield _line("edited", f"by {stage.stage}")
            yield from ("    " + line for line in _diff(stage.edits[2:], _DIFF_LINES_SHORT))
    yield from _cuts(one)
    yield from _cluster(one, run)
    num_passed = sum(not rule.fails and rule.value is not None for stage in one.stages for rule in stage.rules)
    yield _line("more", f"--all: its record and {counted(num_passed, 'rule')} that it passes; --text: its text")
    yield from _text(one)


def _all_lines(one: Life, run: Path) -> Iterator[str]:
    yield from _head(one, most_reasons=len(one.drop_reasons))
    yield _line("id", one.id if one.original_id is None else f"{one.id}, in its file {one.original_id}")
    size = "" if one.num_bytes is None else f", {one.num_bytes:,} bytes"
    fetched = f"fetched {one.date or 'at an unknown time'}"
    yield _line("record", f"{one.source}: {one.file}, offset {one.offset:,}{size}, {fetched}")
    if one.body is not None:
        body = one.body
        status = "no HTTP status" if body["http_status"] is None else f"HTTP {body['http_status']}"
        charset = f", charset {body['http_charset']}" if body["http_charset"] else ""
        kind = body["content_type"] or "no content type"
        yield _line("body", f"{body['record_type']}, {status}, {kind}{charset}, {body['bytes']:,} bytes")
    if one.unreadable is not None:
        yield _line("record", one.unreadable)
    for stage in one.stages:
        yield from _stage_lines(stage, one)
    yield from _cuts(one)
    yield from _cluster(one, run)
    yield from _text(one)


def _head(one: Life, *, most_reasons: int) -> Iterator[str]:
    yield one.url or "(no URL)"
    stands = f", representative of {counted(one.num_copies, 'other')}" if one.num_copies else ""
    if one.drop_reasons:
        more = len(one.drop_reasons) - most_reasons
        reasons = ", ".join(one.drop_reasons[:most_reasons]) + (f" and {counted(more, 'more rule')}" if more else "")
        yield _line("verdict", f"dropped: {reasons}{stands}")
    else:
        yield _line("verdict", f"kept, {one.characters or 0:,} characters{stands}")


def _line(name: str, value: object) -> str:
    return f"  {name:10}{value}"


def _stage_lines(stage: StageLife, one: Life) -> Iterator[str]:
    if stage.state == "for other languages":
        yield f"  {stage.stage}: only for {', '.join(stage.languages)}, and this document is in {one.language}"
    elif stage.state == "not measured":
        yield f"  {stage.stage}: not measured"
    else:
        yield f"  {stage.stage}"
        prefix = stage.stage + "."
        for name, value in stage.values.items():
            yield f"    {name.removeprefix(prefix)} = {shown_value(value)}{_differs(name, one)}"
        for rule in stage.rules:
            measured = f"{rule.metric.removeprefix(prefix)} = {shown_value(rule.value)}"
            columns = f"{rule.reason.removeprefix(prefix):40}{measured:46}{rule.threshold:14}"
            yield f"    {columns}{'FAILS' if rule.fails else 'passes'}{_differs(rule.metric, one)}"
        yield from ("    " + line for line in _diff(stage.edits, _DIFF_LINES))


def _differs(metric: str, one: Life) -> str:
    if metric not in one.measured_again:
        return ""
    return f" (measured again: {shown_value(one.measured_again[metric])})"


def _values(stage: StageLife) -> Iterator[tuple[str, object]]:
    yield from stage.values.items()
    yield from ((rule.metric, rule.value) for rule in stage.rules)


def _diff(edits: Sequence[str], most: int) -> Iterator[str]:
    yield from (line[:_LINE_CHARS] for line in edits[:most])
    if len(edits) > most:
        yield f"… {len(edits) - most:,} more lines"


def _cuts(one: Life) -> Iterator[str]:
    for cut in one.cut:
        passages = f"{counted(cut.passages, 'passage')} of {counted(cut.characters, 'character')}"
        yield f"  {cut.stage}: cut {passages} that also occur elsewhere (a run does not keep where)"
    yield from ("    - " + passage for passage in one.cut_passages)
    for masked in one.masked[:PASSAGES]:
        yield _line("masked", f"bytes {masked.start:,}-{masked.end:,}: {masked.text[:PASSAGE_CHARS]!r}")
    if len(one.masked) > PASSAGES:
        yield _line("masked", f"… {len(one.masked) - PASSAGES:,} more passages")


def _cluster(one: Life, run: Path) -> Iterator[str]:
    if (twin := one.twin) is not None:
        dropped = twin.url and twin.fate != KEPT and not twin.fate.startswith("in ")
        fate = f", itself dropped: {twin.fate}" if dropped else "" if twin.fate == KEPT else f" {twin.fate}"
        yield _line("twin", f"{twin.id} {twin.url}{fate}{_similarity(twin)}")
    for copy in one.copies:
        yield _line("copy", f"{copy.id} {copy.url}{_similarity(copy)}, {copy.fate}")
    if one.num_copies > len(one.copies):
        yield _line("copy", f"… {one.num_copies - len(one.copies):,} more: gristmill pairs {run}")


def _similarity(document: Related) -> str:
    return "" if document.similarity is None else f", similarity {document.similarity:.3f}"


def _text(one: Life) -> Iterator[str]:
    if one.text is not None:
        yield ""
        yield from one.text.splitlines()
