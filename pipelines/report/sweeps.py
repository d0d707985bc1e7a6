"""What each threshold decides: documents by the value of its metric, and by their fate if the rule did not exist.

    rows that reach the rule ──▶ bin of the value × fate without the rule ──▶ documents, characters
                                  move the threshold: bins that fail are dropped by the rule, others have that fate

So one table answers every position of the threshold, as `whatif` would (`pipelines.report.moved`). Bins lie below,
*at* and above each edge in turn, so that a minimum and a maximum may both stand on it:

    bin   0   1   2   3   4        value < e0, = e0, between, = e1, > e1
    edge     e0      e1

Edges are numbers of two significant digits, chosen before any value is seen: one pass is enough, and settings moved to
them read well.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core import metric_of
from pipelines.ledger.rules import RunStage, rules_of, stages_of
from pipelines.recipe import Recipe
from pipelines.report.model import Number, Sweep
from pipelines.report.movable import Movable, movable_rules, thresholds_of
from shards.schema import KEPT
from shards.stage import Column, Limits, Rule

_DECADES = range(-4, 8)  # edges are 0, 0.001, 0.0011, … 0.0099, 0.01, 0.011, … 990,000,000, 10⁹
_MOST_EDGES = 80  # that a report holds of a rule
_ROWS_PENDING = 1 << 19  # before they are added up


@dataclass(frozen=True)
class Order:
    """The drop reasons of a run in the order in which they decide, each with the number of its stage."""

    stages: tuple[RunStage, ...] = ()
    reasons: tuple[str, ...] = ()
    stage_of: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # i64[reasons]
    # i64[stages]: the last stage that measures what the stage drops.
    measured_until: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        stages, rules = stages_of(recipe), rules_of(recipe)
        local = {stage.name: stage for stage in recipe.local_stages()}
        passes = [pass_.number for pass_ in recipe.passes() for _ in (*pass_.local, *pass_.global_)]
        reasons: dict[str, int] = {}
        for number, stage in enumerate(stages):
            of_stage = [rule.reason for name, rule in rules if name == stage.name]
            reasons |= dict.fromkeys([stage.reason] if stage.reason is not None else of_stage, number)
        until = np.arange(len(stages))
        for number in reversed(range(len(stages) - 1)):
            config = local.get(stages[number].name)
            later = local.get(stages[number + 1].name)
            if config is not None and not config.stops and later is not None and passes[number] == passes[number + 1]:
                until[number] = until[number + 1]
        return cls(tuple(stages), tuple(reasons), np.array([*reasons.values()], np.int64), until)

    @property
    def kept(self) -> int:
        """The code of kept documents; after it come codes of documents that nobody knows from a stage on."""
        return len(self.reasons)

    def name(self, code: int) -> str:
        """The fate of a code: a drop reason, "kept", or "?stage" where that stage has not seen the document."""
        if code < self.kept:
            return self.reasons[code]
        return KEPT if code == self.kept else f"?{self.stages[code - self.kept - 1].name}"


@dataclass
class _Table:
    """The sparse table of one rule: (bin × codes + fate, documents, characters), added up now and then."""

    of: Movable
    position: int  # of its reason
    limits: set[Limits] = field(default_factory=set)  # that documents were seen to have
    edges: np.ndarray = field(default_factory=lambda: np.zeros(0))
    is_integer: bool = False
    keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: np.ndarray = field(default_factory=lambda: np.zeros((2, 0), np.int64))
    pending: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    num_pending: int = 0

    def add(self, keys: np.ndarray, chars: np.ndarray) -> None:
        self.pending.append((keys, chars))
        self.num_pending += len(keys)
        if self.num_pending > _ROWS_PENDING:
            self.add_up()

    def add_up(self) -> None:
        new = np.concatenate([np.zeros(0, np.int64), *(keys for keys, _ in self.pending)])
        chars = np.concatenate([np.zeros(0, np.int64), *(chars for _, chars in self.pending)])
        counts = np.concatenate([self.counts, np.stack([np.ones_like(new), chars])], axis=1)
        self.keys, place = np.unique(np.concatenate([self.keys, new]), return_inverse=True)
        sums = [np.bincount(place, of, len(self.keys)) for of in counts]  # exact: below 2**53
        self.counts = np.stack(sums).astype(np.int64)
        self.pending, self.num_pending = [], 0


class Sweeps:
    """Collects the tables of all rules whose thresholds `whatif` can move."""

    def __init__(self, order: Order, rules: Sequence[Rule] = (), movable: Sequence[Movable] = ()) -> None:
        self.order = order
        self._rules = [(order.reasons.index(rule.reason), rule) for rule in rules]
        self._tables = {one.rule.reason: _Table(one, order.reasons.index(one.rule.reason)) for one in movable}

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        rules = [rule for _, rule in rules_of(recipe)]
        return cls(Order.of(recipe), rules, tuple(movable_rules(recipe)))

    def add(
        self, column: Column, languages: pa.Array | None, fails: np.ndarray, first: np.ndarray, chars: np.ndarray
    ) -> None:
        """Count a batch: bool[rules, rows] `fails`, i64[rows] the position of each first reason or `order.kept`.

        Rows removed on request have the position -1.
        """
        order = self.order
        num_codes = order.kept + 1 + len(order.stages)
        stage_of = np.append(order.stage_of, len(order.stages))  # of kept rows, and of -1, which are left out below
        recorded = np.where(first < 0, -1, stage_of[first])
        unknown = np.append(order.kept + 2 + order.measured_until, 0)[recorded]
        unknown[unknown == num_codes] = order.kept  # no stage is left
        later = np.full(len(first), -1, np.int64)  # the first rule that fails after the one at hand
        failed_by_stage = self._failed_before(fails)
        for number in reversed(range(len(self._rules))):
            position, rule = self._rules[number]
            table = self._tables.get(rule.reason)
            if table is not None:
                stage = order.stage_of[position]
                values = metric_of(rule, column)
                reached = (recorded >= stage) & ~failed_by_stage[number]
                reached &= values.is_valid().to_numpy(zero_copy_only=False)
                reached &= self._applies(table, languages, reached)
                rows = np.flatnonzero(reached)
                if len(rows):
                    here = recorded[rows] == stage
                    without = np.where(later[rows] >= 0, later[rows], unknown[rows])
                    fate = np.where(here, without, first[rows])
                    bins = self._bins(table, values.take(pa.array(rows)).to_numpy(zero_copy_only=False))
                    table.add(bins * num_codes + fate, chars[rows])
            later[fails[number]] = position

    def _failed_before(self, fails: np.ndarray) -> np.ndarray:
        """bool[rules, rows]: whether the row fails an earlier rule of the same stage under another reason."""
        before = np.zeros_like(fails)
        for number, (position, _) in enumerate(self._rules):
            if number and self.order.stage_of[self._rules[number - 1][0]] == self.order.stage_of[position]:
                before[number] = before[number - 1] | fails[number - 1]
        return before

    @staticmethod
    def _applies(table: _Table, languages: pa.Array | None, reached: np.ndarray) -> np.ndarray:
        """bool[rows]: whether the language of the row has a threshold. Notes those of the rows `reached`."""
        if not table.of.rule.by_language or languages is None:
            table.limits.add(table.of.rule.limits(None))
            return np.ones_like(reached)
        coded = languages.dictionary_encode()
        codes = pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy()
        limits = [table.of.limits(language) for language in [*coded.dictionary.to_pylist(), None]]
        table.limits |= {limit for code in set(codes[reached].tolist()) if (limit := limits[code]) is not None}
        applies: np.ndarray = np.array([limit is not None for limit in limits])[codes]
        return applies

    @staticmethod
    def _bins(table: _Table, values: np.ndarray) -> np.ndarray:
        if not len(table.edges):
            table.is_integer = np.issubdtype(values.dtype, np.integer)
            table.edges = grid(table.of.rule, integers=table.is_integer)
        edges = table.edges.astype(values.dtype)
        bins: np.ndarray = np.searchsorted(edges, values, "left") + np.searchsorted(edges, values, "right")
        return bins

    def rows(self) -> Iterator[Sweep]:
        """The table of each rule that has seen a value, in the order in which rules decide."""
        num_codes = self.order.kept + 1 + len(self.order.stages)
        for table in self._tables.values():
            table.add_up()
            if not len(table.keys) or len(table.limits) != 1:
                continue  # no document, or thresholds that differ by language
            (limits,) = table.limits
            bins, codes = np.divmod(table.keys, num_codes)
            edges, numbered = _fewer(table.edges.tolist(), limits, bins, table.counts[0])
            cells: Counter[tuple[int, int]] = Counter()
            chars: Counter[tuple[int, int]] = Counter()
            fates = sorted(set(codes.tolist()))
            for bin, code, documents, characters in zip(numbered, codes.tolist(), *table.counts.tolist(), strict=True):
                cells[bin, fates.index(code)] += documents
                chars[bin, fates.index(code)] += characters
            low, high = (_plain(limit, table.is_integer) for limit in limits)
            yield Sweep(
                reason=table.of.rule.reason,
                stage=self.order.stages[self.order.stage_of[table.position]].name,
                min_setting=table.of.min_setting,
                max_setting=table.of.max_setting,
                min_kept=low,
                max_kept=high,
                edges=tuple(edge for value in edges if (edge := _plain(value, table.is_integer)) is not None),
                fates=tuple(map(self.order.name, fates)),
                cells=tuple(number for key in sorted(cells) for number in (*key, cells[key], chars[key])),
            )


def grid(rule: Rule, *, integers: bool) -> np.ndarray:
    """Edges for the values of a rule's metric, ascending; its thresholds are among them."""
    edges = {0.0, *(float(f"{n}e{k}") for k in _DECADES for n in range(10, 100)), 10.0 ** (_DECADES.stop + 1)}
    thresholds = thresholds_of(rule)
    if any(limit < 0 for limit in thresholds):
        edges |= {-edge for edge in edges}
    edges |= thresholds
    return np.array(sorted(edge for edge in edges if not integers or edge == int(edge)))


def _fewer(
    edges: list[float], limits: Limits, bins: np.ndarray, documents: np.ndarray
) -> tuple[list[float], list[int]]:
    """(edges that are kept, the bins numbered by them): those around the values, and no more than a person tells apart.

    An edge is left out where few documents lie between it and the last one; thresholds never are.
    """
    thresholds = {limit for limit in limits if limit is not None}
    first = max(0, (int(bins.min()) - 1) // 2)
    last = min(len(edges) - 1, int(bins.max()) // 2)
    first = min([first, *(edges.index(limit) for limit in thresholds)])
    last = max([last, *(edges.index(limit) for limit in thresholds)])
    upto = np.zeros(2 * len(edges) + 2, np.int64)
    np.add.at(upto, bins + 1, documents)
    upto = np.cumsum(upto)
    step = int(documents.sum()) / _MOST_EDGES
    chosen, seen = list[int](), -1.0
    for number in range(first, last + 1):
        below = float(upto[2 * number + 1])
        if number in (first, last) or edges[number] in thresholds or below - seen > step:
            chosen.append(number)
            seen = below
    left = np.searchsorted(chosen, np.arange(len(edges)), "left")
    renumbered = [
        2 * int(left[bin // 2]) + 1
        if bin % 2 and bin // 2 in chosen
        else 2 * int(np.searchsorted(chosen, (bin - 1) // 2, "right"))
        if bin
        else 0
        for bin in bins.tolist()
    ]
    return [edges[number] for number in chosen], renumbered


def _plain(value: float | None, integers: bool) -> Number | None:
    return None if value is None else int(value) if integers and float(value).is_integer() else float(value)
