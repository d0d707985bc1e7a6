"""One pass over the ledger: everything that a report tells beyond the sums of the manifests.

    ledger/*.arrow, in name order ──batch──▶ Tally: rules, metrics, languages, sources, domains, losses, samples

Memory does not grow with the run but for groups of duplicates. Distributions are sketches, counts of hosts are pruned,
samples are the documents with the smallest ids: ids are hashes, so that is a random choice, and the same one for any
number of workers.
"""

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.assets.domains import host_of
from pipelines.core import failing, metric_of
from pipelines.ledger.clusters import Groups, Shown, first_reasons, reasons_of_groups
from pipelines.ledger.rules import joined, rules_of, stages_of
from pipelines.ledger.sketch import Outcome, Sketch, TopCounter
from pipelines.ledger.table import word_counts, words_of_rows
from pipelines.recipe import Recipe
from pipelines.report.losses import Losses
from shards.exchange import GlobalStageConfig
from shards.schema import LANGUAGE
from shards.sink import open_arrow, read_batches
from shards.stage import Rule

SAMPLES = 10  # of the kept, and of those that each rule dropped first
LARGEST = 20  # groups of duplicates that are shown
_ROW = ("id", "url", "source", "drop_reasons", "twin", "similarity", "text_chars", "language", "language_score")


@dataclass(frozen=True)
class Failure:
    """A rule that a sample fails, and by which value."""

    reason: str
    value: float | None  # None where the rule has no metric: duplicates
    rule: Rule | None


@dataclass(frozen=True)
class Sample:
    key: str  # of the unit whose shard or ledger holds the row
    id: str
    url: str
    source: str
    language: str | None
    language_score: float | None
    chars: int | None  # None: dropped before there was text
    drop_reasons: tuple[str, ...]
    also_fails: tuple[Failure, ...]  # rules of later stages
    failures: tuple[Failure, ...]  # the rules of `drop_reasons`
    twin: str | None
    similarity: float | None


@dataclass
class Group:
    """A language or a source."""

    documents: int = 0
    kept: int = 0
    kept_chars: int = 0
    score_sum: float = 0.0


@dataclass
class RuleCount:
    failed: int = 0
    alone: int = 0  # failed by documents that fail no other rule that was measured


@dataclass
class Tally:
    rules: tuple[tuple[str, Rule], ...]  # (stage name, rule), one for each reason and metric, in recipe order
    metrics: dict[str, Rule]  # by metric: all bounds on it as one rule
    counts: dict[str, RuleCount] = field(default_factory=lambda: defaultdict(RuleCount))  # by reason
    sketches: dict[str, Sketch] = field(default_factory=lambda: defaultdict(Sketch))  # by metric
    integers: set[str] = field(default_factory=set)  # metrics that are counts
    languages: dict[str, Group] = field(default_factory=lambda: defaultdict(Group))
    sources: dict[str, Group] = field(default_factory=lambda: defaultdict(Group))
    kept_hosts: TopCounter = field(default_factory=TopCounter)
    dropped_hosts: TopCounter = field(default_factory=TopCounter)
    groups: Groups = field(default_factory=lambda: Groups(()))
    largest: list[Shown] = field(default_factory=list)
    lost_by_source: Losses = field(default_factory=lambda: Losses(()))
    lost_by_host: Losses = field(default_factory=lambda: Losses(()))
    cuts: dict[str, str] = field(default_factory=dict)  # by column of cut characters: the reason of its stage
    similarities: dict[str, Sketch] = field(default_factory=lambda: defaultdict(Sketch))  # by reason
    kept_words: int | None = None
    fates: Counter[str] = field(default_factory=Counter)  # documents by first reason; "" is kept
    chars: Counter[str] = field(default_factory=Counter)  # their characters
    samples: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))  # by first reason; "" is kept

    @classmethod
    def of_run(cls, run: Path, recipe: Recipe) -> "Tally":
        tally = cls.of_recipe(recipe)
        for path in sorted((run / "ledger").glob("*.arrow")):
            names = open_arrow(path).schema.names
            wanted = [*_ROW, *tally.metrics, *tally.cuts, *word_counts(names)]
            for batch in read_batches(
                path, [n for n in dict.fromkeys(wanted) if n in names or n not in LANGUAGE.names]
            ):
                tally.add(batch, path.stem)
        tally.groups.close(run)
        tally.largest = tally.groups.show(run, tally.groups.largest(LARGEST))
        return tally

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> "Tally":
        """Of no row yet."""
        tally = cls(rules_of(recipe), {})
        reasons = [reason for _, _, reason in stages_of(recipe) if reason and reason.startswith("dedup.")]
        tally.groups = Groups(reasons_of_groups(reasons))
        tally.lost_by_source, tally.lost_by_host = (Losses(tuple(dict.fromkeys(reasons))) for _ in range(2))
        for _, stage in recipe.stages:
            if isinstance(stage, GlobalStageConfig) and stage.cuts:
                tally.cuts[f"{stage.name}.removed_chars"] = stage.reason
        for _, rule in tally.rules:
            tally.metrics[rule.metric] = joined(tally.metrics.get(rule.metric, rule), rule)
        return tally

    def add(self, batch: pa.RecordBatch, key: str) -> None:
        live = pc.equal(pc.list_value_length(batch["drop_reasons"]), 0).to_numpy(zero_copy_only=False)
        fails = np.array([failing(metric_of(rule, batch.__getitem__), rule) for _, rule in self.rules], np.bool_)
        fails = fails.reshape(len(self.rules), batch.num_rows)
        reasons = batch["drop_reasons"].to_pylist()
        fates = [given[0] if given else "" for given in reasons]
        self.fates.update(fates)
        for fate, chars in zip(fates, pc.fill_null(batch["text_chars"], 0).to_pylist(), strict=True):
            self.chars[fate] += chars
        self._count_rules(fails, reasons)
        self._count_metrics(batch, live)
        self._count_groups(batch, live)
        hosts = [host_of(url or "").removeprefix("www.") for url in batch["url"].to_pylist()]
        self.kept_hosts.update(host for host, is_live in zip(hosts, live, strict=True) if is_live and host)
        self.dropped_hosts.update(host for host, is_live in zip(hosts, live, strict=True) if not is_live and host)
        self._count_similarities(batch, reasons)
        self.groups.add(batch)
        self._count_losses(batch, live, hosts)
        for row, (name, given) in enumerate(zip(batch["id"].to_pylist(), reasons, strict=True)):
            best = self.samples[given[0] if given else ""]
            if len(best) < SAMPLES or name < best[-1].id:
                insort(best, self._sample(batch, row, key, given, fails[:, row]), key=lambda sample: sample.id)
                del best[SAMPLES:]

    def _count_rules(self, fails: np.ndarray, reasons: Sequence[list[str]]) -> None:
        measured = {rule.reason for _, rule in self.rules}
        num_failed = fails.sum(axis=0)
        for row, given in enumerate(reasons):
            for reason in given:
                if reason not in measured:  # a global stage's verdict
                    self.counts[reason].failed += 1
                    self.counts[reason].alone += int(num_failed[row] == 0)
                    num_failed[row] += 1
        for (_, rule), mask in zip(self.rules, fails, strict=True):
            count = self.counts[rule.reason]
            count.failed += int(mask.sum())
            count.alone += int((mask & (num_failed == 1)).sum())

    def _count_metrics(self, batch: pa.RecordBatch, live: np.ndarray) -> None:
        for name, rule in self.metrics.items():
            column = batch[name]
            if pa.types.is_integer(column.type):
                self.integers.add(name)
            groups = np.where(live, Outcome.KEPT, Outcome.OTHER)
            if rule.min_kept is not None:
                groups[failing(column, replace(rule, max_kept=None))] = Outcome.BELOW
            if rule.max_kept is not None:
                groups[failing(column, replace(rule, min_kept=None))] = Outcome.ABOVE
            valid = column.is_valid().to_numpy(zero_copy_only=False)
            values = column.drop_null().to_numpy(zero_copy_only=False)
            self.sketches[name].add(values, groups[valid])
        words = words_of_rows(batch.schema.names, batch.__getitem__)
        if words is not None:
            kept = pc.sum(words.filter(pa.array(live))).as_py() or 0
            self.kept_words = (self.kept_words or 0) + kept

    def _count_groups(self, batch: pa.RecordBatch, live: np.ndarray) -> None:
        chars = pc.fill_null(batch["text_chars"], 0).to_numpy() * live
        scores = np.zeros(batch.num_rows)
        if "language_score" in batch.schema.names:
            scores = pc.fill_null(batch["language_score"], 0.0).to_numpy()
        for column, groups in (("language", self.languages), ("source", self.sources)):
            if column not in batch.schema.names:
                continue
            encoded = batch[column].dictionary_encode()
            index = pc.fill_null(encoded.indices, -1).to_numpy()
            for number, name in enumerate(encoded.dictionary.to_pylist()):
                here = index == number
                group = groups[name]
                group.documents += int(here.sum())
                group.kept += int(live[here].sum())
                group.kept_chars += int(chars[here].sum())
                group.score_sum += float(scores[here].sum())

    def _count_losses(self, batch: pa.RecordBatch, live: np.ndarray, hosts: Sequence[str]) -> None:
        reasons = self.lost_by_source.reasons
        lost = first_reasons(batch["drop_reasons"], reasons)
        chars = pc.fill_null(batch["text_chars"], 0).to_numpy()
        rows = np.flatnonzero(live | (lost >= 0))
        cut = {
            reasons.index(reason): pc.fill_null(batch[name], 0).to_numpy()[rows] for name, reason in self.cuts.items()
        }
        sources = batch["source"].take(pa.array(rows)).to_pylist()
        self.lost_by_source.add(sources, lost[rows], chars[rows], cut)
        named = np.array([bool(hosts[row]) for row in rows.tolist()], np.bool_)
        cut = {reason: removed[named] for reason, removed in cut.items()}
        rows = rows[named]
        self.lost_by_host.add([hosts[row] for row in rows.tolist()], lost[rows], chars[rows], cut)

    def _count_similarities(self, batch: pa.RecordBatch, reasons: Sequence[list[str]]) -> None:
        rows = np.flatnonzero(batch["twin"].is_valid().to_numpy(zero_copy_only=False)).tolist()
        if not rows:
            return
        similarities = batch["similarity"].to_numpy(zero_copy_only=False)
        for reason in {reasons[row][0] for row in rows}:
            values = np.array([similarities[row] for row in rows if reasons[row][0] == reason])
            self.similarities[reason].add(values)

    def _sample(self, batch: pa.RecordBatch, row: int, key: str, reasons: Sequence[str], fails: np.ndarray) -> Sample:
        values = {name: batch[name][row].as_py() for name in _ROW if name in batch.schema.names}
        failures = [
            Failure(rule.reason, batch[rule.metric][row].as_py(), rule)
            for (_, rule), failed in zip(self.rules, fails, strict=True)
            if failed
        ]
        known = {failure.reason for failure in failures}
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
                *(f for f in failures if f.reason in reasons),
                *(Failure(reason, None, None) for reason in reasons if reason not in known),
            ),
            also_fails=tuple(f for f in failures if f.reason not in reasons),
            twin=values["twin"],
            similarity=values["similarity"],
        )
