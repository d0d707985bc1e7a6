"""One pass over the ledger: everything in a report that is no sum over the manifests.

    ledger/*.arrow, unit by unit ──batch──▶ Aggregates: rules, metrics, languages, sources, domains, losses, samples

Memory does not grow with the run, but for clusters of duplicates. Distributions are sketches, counts of hosts are
pruned, and of documents only samples are held.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.assets.domain_lines import host_of
from pipelines.core import failing, languages_of, metric_of, outside
from pipelines.ledger.batches import LedgerBatch, ledger_batches
from pipelines.ledger.clusters import Clusters, ShownCluster, cluster_reasons, first_reasons
from pipelines.ledger.rules import joined, rules_of, stages_of
from pipelines.ledger.sketch import Outcome, Sketch, TopCounter
from pipelines.ledger.table import word_counts, words_of_rows
from pipelines.recipe import Recipe
from pipelines.report.chosen_samples import SHOWN, ChosenSamples
from pipelines.report.dedup_losses import Losses
from pipelines.report.rule_losses import RuleLosses
from pipelines.report.splits import Overlaps, Splits
from pipelines.report.sweeps import Order, Sweeps
from pipelines.run.folder import RunFolder
from pipelines.run.unit_files import ledger_schema
from shards.schema import LANGUAGE
from shards.stage import Rule

LARGEST = 20  # clusters that are shown
_ROWS = 1 << 16  # of a batch: 40 MB of 80 metrics, and passes over columns outweigh calls


_host = lru_cache(1 << 18)(lambda url: host_of(url).removeprefix("www."))


@dataclass
class Subtotal:
    """The documents in a language or of a source."""

    documents: int = 0
    kept: int = 0
    kept_chars: int = 0
    score_sum: float = 0.0  # of language identification, 0 to 1 a document


@dataclass
class RuleCount:
    """The documents that fail a rule."""

    failed: int = 0
    alone: int = 0  # of them, documents that fail no other rule that was measured


@dataclass
class Aggregates:
    """What `add` has seen of a ledger."""

    rules: tuple[tuple[str, Rule], ...]  # (stage name, rule), one for each reason and metric, in recipe order
    metrics: dict[str, Rule]  # by metric: all thresholds on it as one rule
    counts: dict[str, RuleCount] = field(default_factory=lambda: defaultdict(RuleCount))  # by reason
    sketches: dict[str, Sketch] = field(default_factory=lambda: defaultdict(Sketch))  # by metric
    integers: set[str] = field(default_factory=set)  # metrics that are counts
    # Languages in which a metric was measured whose limits depend on the language.
    measured_in: dict[str, set[str | None]] = field(default_factory=lambda: defaultdict(set))
    languages: dict[str, Subtotal] = field(default_factory=lambda: defaultdict(Subtotal))
    sources: dict[str, Subtotal] = field(default_factory=lambda: defaultdict(Subtotal))
    kept_hosts: TopCounter = field(default_factory=TopCounter)
    dropped_hosts: TopCounter = field(default_factory=TopCounter)
    clusters: Clusters = field(default_factory=lambda: Clusters(()))
    largest: list[ShownCluster] = field(default_factory=list)
    lost_by_source: Losses = field(default_factory=lambda: Losses(()))
    lost_by_host: Losses = field(default_factory=lambda: Losses(()))
    lost_to_rules: RuleLosses = field(default_factory=lambda: RuleLosses({}, {}))
    sweeps: Sweeps = field(default_factory=lambda: Sweeps(Order()))
    overlaps: Overlaps = field(default_factory=lambda: Overlaps(()))
    by_language: Splits = field(default_factory=Splits)
    by_host: Splits = field(default_factory=Splits)
    by_suffix: Splits = field(default_factory=Splits)
    cuts: dict[str, str] = field(default_factory=dict)  # drop reason of a stage by its column of cut characters
    similarities: dict[str, Sketch] = field(default_factory=lambda: defaultdict(Sketch))  # by reason
    kept_words: int | None = None
    fates: Counter[str] = field(default_factory=Counter)  # documents by first reason; "" is kept
    chars: Counter[str] = field(default_factory=Counter)  # their characters
    chosen: ChosenSamples = field(default_factory=lambda: ChosenSamples((), Order()))

    @classmethod
    def of_run(cls, run: RunFolder, recipe: Recipe) -> Self:
        """The whole ledger of a run, which need not be finished."""
        aggregates = cls.of_recipe(recipe)
        words = word_counts(ledger_schema(recipe.passes()).names)
        names = dict.fromkeys([*SHOWN, *aggregates.metrics, *aggregates.cuts, *words])
        for batch in ledger_batches(run, [n for n in names if n not in LANGUAGE.names], LANGUAGE.names, _ROWS):
            aggregates.add(batch)
        aggregates.clusters.close(run)
        aggregates.largest = aggregates.clusters.show(run, aggregates.clusters.largest(LARGEST))
        return aggregates

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> Self:
        """The aggregates of no row yet."""
        aggregates = cls(rules_of(recipe), {})
        reasons = [stage.reason for stage in stages_of(recipe) if stage.reason and stage.reason.startswith("dedup.")]
        aggregates.clusters = Clusters(cluster_reasons(recipe))
        aggregates.lost_to_rules = RuleLosses.of(recipe)
        aggregates.sweeps = Sweeps.of(recipe)
        aggregates.chosen = ChosenSamples([rule for _, rule in aggregates.rules], aggregates.sweeps.order)
        aggregates.overlaps = Overlaps([rule.reason for _, rule in aggregates.rules])
        aggregates.lost_by_source, aggregates.lost_by_host = (Losses(tuple(dict.fromkeys(reasons))) for _ in range(2))
        for stage in recipe.global_stages():
            if stage.cuts:
                aggregates.cuts[f"{stage.name}.removed_chars"] = stage.reason
        for _, rule in aggregates.rules:
            aggregates.metrics[rule.metric] = joined(aggregates.metrics.get(rule.metric, rule), rule)
        return aggregates

    def shown_rule(self, metric: str) -> Rule:
        """All thresholds on the metric; where they depend on the language, the loosest of the documents' languages."""
        return self.metrics[metric].within(self.measured_in[metric])

    def is_strict(self, metric: str) -> bool:
        """Whether `shown_rule` holds for all documents: their languages have the same thresholds."""
        return len({self.metrics[metric].limits(language) for language in self.measured_in[metric]}) <= 1

    def add(self, part: LedgerBatch) -> None:
        """Count a batch of the ledger."""
        batch = part.rows
        live = pc.equal(pc.list_value_length(batch["drop_reasons"]), 0).to_numpy(zero_copy_only=False)
        languages = languages_of(batch.schema.names, batch.__getitem__)
        fails = np.array(
            [failing(metric_of(rule, batch.__getitem__), rule, languages) for _, rule in self.rules], np.bool_
        )
        fails = fails.reshape(len(self.rules), batch.num_rows)
        order = self.sweeps.order
        first = first_reasons(batch["drop_reasons"], order.reasons)
        first[live] = order.kept
        hosts, suffixes = self._hosts(batch["url"])
        chars = pc.fill_null(batch["text_chars"], 0).to_numpy()
        self._count_fates(batch["drop_reasons"], first, chars)
        self._count_rules(fails, batch["drop_reasons"])
        without = pa.nulls(batch.num_rows, pa.string())
        self.lost_to_rules.add(without if languages is None else languages, batch["drop_reasons"])
        self._count_metrics(batch, live, languages)
        self.overlaps.add(fails)
        self._count_splits(languages, hosts, suffixes, first)
        self.sweeps.add(batch.__getitem__, languages, fails, first, chars)
        self._count_words(batch, live)
        self._count_subtotals(batch, live)
        named = hosts != ""
        self.kept_hosts.update(hosts[live & named].tolist())
        self.dropped_hosts.update(hosts[~live & named].tolist())
        self._count_similarities(batch, first)
        self.clusters.add(batch)
        self._count_losses(batch, live, hosts)
        self.chosen.add(part, first, fails, languages)

    def _hosts(self, urls: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """(host of each URL without "www.", its last label), object[rows]; "" where there is none."""
        # Hosts repeat and paths do not. What ends before the third slash decides the host.
        ends = pc.replace_substring_regex(pc.fill_null(urls, ""), "^([^/]*//[^/]*).*", "\\1").dictionary_encode()
        hosts = [_host(url) for url in ends.dictionary.to_pylist()]
        suffixes = [host.rpartition(".")[2] for host in hosts]
        codes = ends.indices.to_numpy()
        return np.array([*hosts, ""], object)[codes], np.array([*suffixes, ""], object)[codes]

    def _count_splits(
        self, languages: pa.Array | None, hosts: np.ndarray, suffixes: np.ndarray, first: np.ndarray
    ) -> None:
        kept = self.sweeps.order.kept
        if languages is not None:
            names = pc.fill_null(languages, "").to_numpy(zero_copy_only=False)
            self.by_language.add(names.astype(object), first, kept)
        self.by_host.add(hosts, first, kept)
        self.by_suffix.add(suffixes, first, kept)

    def _count_fates(self, reasons: pa.ListArray, first: np.ndarray, chars: np.ndarray) -> None:
        order = self.sweeps.order
        names = [*order.reasons, ""]
        counts = np.bincount(first[first >= 0], minlength=len(names)).tolist()
        sums = np.bincount(first[first >= 0], chars[first >= 0], len(names)).tolist()
        for name, count, num_chars in zip(names, counts, sums, strict=True):
            if count:
                self.fates[name] += count
                self.chars[name] += int(num_chars)
        for row in np.flatnonzero(first < 0).tolist():  # removed on request: few
            self.fates[reasons[row][0].as_py()] += 1
            self.chars[reasons[row][0].as_py()] += int(chars[row])

    def _count_rules(self, fails: np.ndarray, reasons: pa.ListArray) -> None:
        measured = {rule.reason for _, rule in self.rules}
        num_failed = fails.sum(axis=0)
        of_rows = reasons.flatten().dictionary_encode()
        codes = of_rows.indices.to_numpy(zero_copy_only=False)
        row_of = np.repeat(np.arange(len(reasons)), np.diff(reasons.offsets.to_numpy()))
        for code, reason in enumerate(of_rows.dictionary.to_pylist()):
            if reason not in measured:  # a verdict of a global stage
                rows = row_of[codes == code]
                self.counts[reason].failed += len(rows)
                self.counts[reason].alone += int((num_failed[rows] == 0).sum())
                num_failed[rows] += 1
        for (_, rule), mask in zip(self.rules, fails, strict=True):
            count = self.counts[rule.reason]
            count.failed += int(mask.sum())
            count.alone += int((mask & (num_failed == 1)).sum())

    def _count_metrics(self, batch: pa.RecordBatch, live: np.ndarray, languages: pa.Array | None) -> None:
        for name, rule in self.metrics.items():
            column = batch[name]
            if pa.types.is_integer(column.type):
                self.integers.add(name)
            outcomes = np.where(live, Outcome.KEPT, Outcome.OTHER)
            below, above = outside(column, rule, languages)
            outcomes[below], outcomes[above] = Outcome.BELOW, Outcome.ABOVE
            valid = column.is_valid().to_numpy(zero_copy_only=False)
            if rule.by_language and languages is not None:
                self.measured_in[name].update(languages.filter(column.is_valid()).unique().to_pylist())
            values = column.drop_null().to_numpy(zero_copy_only=False)
            self.sketches[name].add(values, outcomes[valid])

    def _count_words(self, batch: pa.RecordBatch, live: np.ndarray) -> None:
        words = words_of_rows(batch.schema.names, batch.__getitem__)
        if words is not None:
            kept = pc.sum(words.filter(pa.array(live))).as_py() or 0
            self.kept_words = (self.kept_words or 0) + kept

    def _count_subtotals(self, batch: pa.RecordBatch, live: np.ndarray) -> None:
        chars = pc.fill_null(batch["text_chars"], 0).to_numpy() * live
        scores = np.zeros(batch.num_rows)
        if "language_score" in batch.schema.names:
            scores = pc.fill_null(batch["language_score"], 0.0).to_numpy()
        for column, subtotals in (("language", self.languages), ("source", self.sources)):
            if column not in batch.schema.names:
                continue
            encoded = batch[column].dictionary_encode()
            index = pc.fill_null(encoded.indices, -1).to_numpy()
            for number, name in enumerate(encoded.dictionary.to_pylist()):
                here = index == number
                subtotal = subtotals[name]
                subtotal.documents += int(here.sum())
                subtotal.kept += int(live[here].sum())
                subtotal.kept_chars += int(chars[here].sum())
                subtotal.score_sum += float(scores[here].sum())

    def _count_losses(self, batch: pa.RecordBatch, live: np.ndarray, hosts: np.ndarray) -> None:
        reasons = self.lost_by_source.reasons
        lost_to = first_reasons(batch["drop_reasons"], reasons)
        chars = pc.fill_null(batch["text_chars"], 0).to_numpy()
        rows = np.flatnonzero(live | (lost_to >= 0))
        cut = {
            reasons.index(reason): pc.fill_null(batch[name], 0).to_numpy()[rows] for name, reason in self.cuts.items()
        }
        sources = batch["source"].take(pa.array(rows)).to_pylist()
        self.lost_by_source.add(sources, lost_to[rows], chars[rows], cut)
        named = hosts[rows] != ""
        cut = {reason: chars_cut[named] for reason, chars_cut in cut.items()}
        rows = rows[named]
        self.lost_by_host.add(hosts[rows].tolist(), lost_to[rows], chars[rows], cut)

    def _count_similarities(self, batch: pa.RecordBatch, first: np.ndarray) -> None:
        has_twin = batch["twin"].is_valid().to_numpy(zero_copy_only=False)
        if not has_twin.any():
            return
        similarities = batch["similarity"].to_numpy(zero_copy_only=False)
        reasons = self.sweeps.order.reasons
        for code in np.unique(first[has_twin]).tolist():
            if 0 <= code < len(reasons):
                self.similarities[reasons[code]].add(similarities[has_twin & (first == code)])
