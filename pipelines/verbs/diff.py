"""`gristmill diff`: compare two runs: which documents changed their fate, and why.

    ledger A ─┐                 ┌─▶ in both: reason in A -> reason in B, counted, with the values that decided
              ├─ by record id ──┤
    ledger B ─┘                 └─▶ in one only

The same record given twice counts once, as its kept copy if there is one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.rules import rules_of
from pipelines.ledger.table import NOT_DROPPED, Ledger
from pipelines.ledger.values import shown_value
from pipelines.numbers import counted
from pipelines.report.samples import visible
from pipelines.report.several.settings import differing_settings
from shards.schema import KEPT

_FATES = 5  # that are named of the documents in one run only
_SETTINGS = 3  # that are named unless all are asked for


@dataclass(frozen=True)
class Example:
    id: str
    url: str
    values: tuple[tuple[str, Any, Any], ...]  # (metric of a rule that dropped it in A or B, value in A, value in B)


@dataclass(frozen=True)
class FateChange:
    before: str  # the first drop reason in A, or "kept"
    after: str
    documents: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Comparison:
    a: Path
    b: Path
    settings: tuple[tuple[str, Any, Any], ...]  # that differ: name, value in A, value in B; None where there is none
    kept_a: int  # documents
    kept_b: int
    both: int  # documents in both runs
    changes: tuple[FateChange, ...]  # most documents first
    only_a: dict[str, int]  # by fate, most documents first
    only_b: dict[str, int]

    def gained(self) -> int:
        """Documents of both runs that B keeps and A does not."""
        return sum(change.documents for change in self.changes if change.after == KEPT)

    def lost(self) -> int:
        return sum(change.documents for change in self.changes if change.before == KEPT)


def compare(a: Path, b: Path, *, examples: int = 3) -> Comparison:
    """The documents of two finished runs, matched by id; `examples` of each change, in the order of A."""
    ledgers = Ledger.open(a), Ledger.open(b)
    (rows_a, ids_a, fates_a), (rows_b, ids_b, fates_b) = map(_documents, ledgers)
    place = pc.fill_null(pc.index_in(ids_a, value_set=ids_b), -1).to_numpy()
    both = place >= 0
    only_b = np.ones(len(rows_b), np.bool_)
    only_b[place[both]] = False
    pairs = [rows_a[both], rows_b[place[both]], fates_a[both], fates_b[place[both]]]
    changed = pairs[2] != pairs[3]
    return Comparison(
        a,
        b,
        tuple((one.name, *one.values) for one in differing_settings([ledger.recipe for ledger in ledgers])),
        int((fates_a == KEPT).sum()),
        int((fates_b == KEPT).sum()),
        int(both.sum()),
        tuple(_changes(ledgers, [part[changed] for part in pairs], examples)),
        _counted(fates_a[~both]),
        _counted(fates_b[only_b]),
    )


def lines(comparison: Comparison, *, all_settings: bool = False) -> Iterator[str]:
    """The comparison as a page of text: totals, changes by reason, and settings, of which few unless all are wanted."""
    a, b, changes = comparison.a, comparison.b, comparison.changes
    difference = comparison.kept_b - comparison.kept_a
    yield f"kept: {comparison.kept_a:,} in {a}, {comparison.kept_b:,} in {b} ({difference:+,})"
    changed = sum(change.documents for change in changes)
    others = changed - comparison.gained() - comparison.lost()
    parts = f": {comparison.gained():,} gained, {comparison.lost():,} lost, {others:,} dropped for another reason"
    yield f"{counted(comparison.both, 'document')} in both, {changed:,} with another fate{parts if changed else ''}"
    for run, only in ((a, comparison.only_a), (b, comparison.only_b)):
        if not only:
            continue
        most = "".join(f"; {number:,} {fate}" for fate, number in list(only.items())[:_FATES])
        yield f"{counted(sum(only.values()), 'document')} only in {run}{most}{'; …' * (len(only) > _FATES)}"
    if not comparison.both:
        yield "no document is in both: these runs did not read the same records"
    for change in changes:
        yield f"{change.documents:>12,}  {change.before} -> {change.after}"
        for example in change.examples:
            values = ", ".join(_value(*value) for value in example.values)
            yield f"{'':14}{visible(example.url) or example.id}  {values}"
    settings = [f"{name} {_shown(before)} -> {_shown(after)}" for name, before, after in comparison.settings]
    if all_settings:
        yield from settings
    elif settings:
        more = f" and {len(settings) - _SETTINGS:,} more: --settings" if len(settings) > _SETTINGS else ""
        yield f"{counted(len(settings), 'setting')} changed: {', '.join(settings[:_SETTINGS])}{more}"


def _documents(ledger: Ledger) -> tuple[np.ndarray, pa.Array, np.ndarray]:
    """(rows, ids, fates as names) of the distinct records, in the order of the ledger."""
    ledger.load(["id", "drop_reasons"])
    fates, reasons = ledger.fates()
    kept_first = np.argsort(fates != NOT_DROPPED, kind="stable")
    ids = ledger.column("id").dictionary_encode().indices.to_numpy()
    rows = np.sort(kept_first[np.unique(ids[kept_first], return_index=True)[1]])
    names = np.array([*reasons, KEPT], np.dtypes.StringDType())
    return rows, ledger.column("id").take(pa.array(rows)), names[fates[rows]]


def _changes(ledgers: tuple[Ledger, Ledger], parts: list[np.ndarray], examples: int) -> Iterator[FateChange]:
    rows_a, rows_b, fates_a, fates_b = parts
    pairs = np.strings.add(np.strings.add(fates_a, "\n"), fates_b)
    kinds, kind_of, counts = np.unique(pairs, return_inverse=True, return_counts=True)
    for kind in np.lexsort((kinds, -counts)).tolist():
        before, after = str(kinds[kind]).split("\n")
        first = np.flatnonzero(kind_of == kind)[:examples]
        metrics = _metrics(ledgers, {before, after})
        given = [led.rows(rows[first].tolist()) for led, rows in zip(ledgers, (rows_a, rows_b), strict=True)]
        shown = tuple(
            Example(was["id"], was["url"] or "", tuple((name, was.get(name), now.get(name)) for name in metrics))
            for was, now in zip(*given, strict=True)
        )
        yield FateChange(before, after, int(counts[kind]), shown)


def _metrics(ledgers: tuple[Ledger, Ledger], reasons: set[str]) -> list[str]:
    """The columns by which these reasons decide; a twin is what deduplication decides by."""
    ruled = {rule.reason: rule.metric for ledger in ledgers for _, rule in rules_of(ledger.recipe)}
    names = [ruled.get(reason, "twin") for reason in sorted(reasons - {KEPT})]
    return list(dict.fromkeys(names))


def _counted(fates: np.ndarray) -> dict[str, int]:
    names, counts = np.unique(fates, return_counts=True)
    ranked = sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda item: (-item[1], item[0]))
    return dict(ranked)


def _value(name: str, was: Any, now: Any) -> str:
    """ "word_count 56", or "word_count 56 -> 58" where the runs measured it otherwise."""
    changed = "" if was == now else f" -> {_shown(now)}"
    return f"{name.rpartition('.')[2]} {_shown(was)}{changed}"


def _shown(value: Any) -> str:
    text = shown_value(value)
    return text if len(text) <= 60 else text[:57] + "..."
