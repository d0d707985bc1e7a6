"""The documents that a report shows: random ones of each fate, and those nearest to each rule's thresholds.

by first reason    the smallest ids: ids are hashes, so that is a random choice, the same for any number of workers
by rule            the smallest distances to its thresholds, of kept documents and of those that it dropped first
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core import metric_of
from pipelines.ledger.batches import LedgerBatch
from pipelines.report.sweeps import Order
from shards.stage import Rule
from shards.unit_key import UnitKey

SAMPLES = 10  # of kept documents, and of those that each rule dropped first
NEAREST = 5  # to the thresholds of each rule, of kept documents and of those that it dropped first
# Columns of the ledger that a sample shows.
SHOWN = (
    "id",
    "url",
    "source",
    "drop_reasons",
    "twin",
    "similarity",
    "text_chars",
    "language",
    "language_score",
)


@dataclass(frozen=True)
class Failure:
    """A rule that a sample fails."""

    reason: str
    value: float | None  # of the metric; None for a global stage
    rule: Rule | None  # None for a global stage


@dataclass(frozen=True)
class Sample:
    """A document that the report shows."""

    key: UnitKey  # of the unit that holds it
    id: str
    url: str
    source: str
    language: str | None
    language_score: float | None
    chars: int | None  # None where it was dropped before there was text
    drop_reasons: tuple[str, ...]
    also_fails: tuple[Failure, ...]  # rules of later stages
    failures: tuple[Failure, ...]  # the rules of `drop_reasons`
    twin: str | None
    similarity: float | None
    near: Failure | None = None  # the rule to whose threshold the document is near


class ChosenSamples:
    """Collects samples. `order` has the codes of first reasons."""

    def __init__(self, rules: Sequence[Rule], order: Order) -> None:
        self._rules, self._order = rules, order
        self.random: dict[str, list[Sample]] = defaultdict(list)  # by first reason; "" is kept
        # (distance, id, document) by reason and "kept" or "dropped".
        self.nearest: dict[tuple[str, str], list[tuple[float, str, Sample]]] = defaultdict(list)

    def add(self, part: LedgerBatch, first: np.ndarray, fails: np.ndarray, languages: pa.Array | None) -> None:
        """Hold the documents with the smallest ids of each fate, and those nearest to each rule's thresholds."""
        ids = part.rows["id"]
        ranked = pc.sort_indices(ids).to_numpy().astype(np.int64)
        rank = np.empty(len(ranked), np.int64)
        rank[ranked] = np.arange(len(ranked))
        names = [*self._order.reasons, ""]
        for code in np.unique(first[first >= 0]).tolist():
            chosen = self.random[names[code]]
            for row in ranked[first[ranked] == code][:SAMPLES].tolist():
                id = ids[row].as_py()
                if len(chosen) == SAMPLES and id >= chosen[-1].id:
                    break
                insort(chosen, self._document(part, row, fails), key=lambda sample: sample.id)
                del chosen[SAMPLES:]
        for rule in self._rules:
            self._sample_nearest(part, rule, rank, first, fails, languages)

    def _sample_nearest(
        self,
        part: LedgerBatch,
        rule: Rule,
        rank: np.ndarray,
        first: np.ndarray,
        fails: np.ndarray,
        languages: pa.Array | None,
    ) -> None:
        """Hold the documents nearest to the rule's thresholds: those that it dropped first, and kept ones.

        `rank` orders the rows by their ids, which decide between equal distances.
        """
        metric = metric_of(rule, part.rows.__getitem__)
        if metric.null_count == len(metric):
            return
        values = pc.fill_null(metric, 0).to_numpy(zero_copy_only=False).astype(np.float64)
        distances = np.full(len(values), np.inf)
        for limits in limits_of_rows(rule, languages, len(values)):
            np.fmin(distances, np.abs(values - limits), out=distances)
        valid = metric.is_valid().to_numpy(zero_copy_only=False) & np.isfinite(distances)
        order = self._order
        for fate, code in (("kept", order.kept), ("dropped", order.reasons.index(rule.reason))):
            nearest = self.nearest[rule.reason, fate]
            rows = np.flatnonzero(valid & (first == code))
            if len(nearest) == NEAREST:
                rows = rows[distances[rows] <= nearest[-1][0]]
            if len(rows) > NEAREST:
                rows = rows[distances[rows] <= np.partition(distances[rows], NEAREST - 1)[NEAREST - 1]]
            for row in rows[np.lexsort((rank[rows], distances[rows]))][:NEAREST].tolist():
                place = (float(distances[row]), part.rows["id"][row].as_py())
                if len(nearest) < NEAREST or place < nearest[-1][:2]:
                    language = None if languages is None else languages[row].as_py()
                    near = Failure(rule.reason, values[row].item(), rule.within([language]))
                    sample = replace(self._document(part, row, fails), near=near)
                    insort(nearest, (*place, sample), key=lambda item: item[:2])
                    del nearest[NEAREST:]

    def _document(self, part: LedgerBatch, row: int, all_fails: np.ndarray) -> Sample:
        batch, key, fails = part.rows, part.key_of(row), all_fails[:, row]
        values = {name: batch[name][row].as_py() for name in SHOWN if name in batch.schema.names}
        reasons = values["drop_reasons"]
        failures = [
            Failure(rule.reason, batch[rule.metric][row].as_py(), rule.within([values.get("language")]))
            for rule, failed in zip(self._rules, fails, strict=True)
            if failed
        ]
        with_metric = {failure.reason for failure in failures}
        return Sample(
            key=key,
            id=values["id"],
            url=values["url"] or "",
            source=values["source"],
            language=values.get("language"),
            language_score=values.get("language_score"),
            chars=values["text_chars"],
            drop_reasons=tuple(reasons),
            failures=(
                *(failure for failure in failures if failure.reason in reasons),
                *(Failure(reason, None, None) for reason in reasons if reason not in with_metric),
            ),
            also_fails=tuple(failure for failure in failures if failure.reason not in reasons),
            twin=values["twin"],
            similarity=values["similarity"],
        )


def limits_of_rows(rule: Rule, languages: pa.Array | None, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(smallest, largest value kept), f64[rows]; NaN where there is no limit."""
    if languages is None or not rule.by_language:
        own = [np.nan if limit is None else float(limit) for limit in rule.limits(None)]
        return np.full(num_rows, own[0]), np.full(num_rows, own[1])
    coded = languages.dictionary_encode()
    codes = pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy()
    of_languages = np.array([rule.limits(name) for name in [*coded.dictionary.to_pylist(), None]], np.float64)
    return of_languages[codes, 0], of_languages[codes, 1]
