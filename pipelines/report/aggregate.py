"""One pass over the ledger: everything that a report tells beyond the sums of the manifests.

    ledger/*.arrow, in name order ──batch──▶ Tally: rules, metrics, languages, sources, domains, losses, samples

Memory does not grow with the run but for groups of duplicates. Distributions are sketches, counts of hosts are pruned,
samples are the documents with the smallest ids: ids are hashes, so that is a random choice, and the same one for any
number of workers.
"""

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.assets.domains import host_of
from dedup.same_record import SAME_RECORD
from pipelines.core import failing, metric_of
from pipelines.ledger.clusters import Clusters, ShownCluster, cluster_reasons, first_reasons
from pipelines.ledger.table import word_counts, words_of_rows
from pipelines.recipe import Recipe
from pipelines.report.losses import Losses
from pipelines.run.folder import RunFolder
from shards.exchange import GlobalStageConfig
from shards.schema import LANGUAGE
from shards.sink import open_arrow, read_batches
from shards.stage import Rule, StageConfig

SAMPLES = 10  # of the kept, and of those that each rule dropped first
LARGEST = 20  # groups of duplicates that are shown
KEPT, OTHER, BELOW, ABOVE = range(4)  # groups of a metric's values; OTHER passes its rules and was dropped by others
_MANTISSA_BITS = 10
_COUNTED = 1 << 18  # names that a `TopCounter` holds before it forgets the rare half
_ROW = ("id", "url", "source", "drop_reasons", "twin", "similarity", "text_chars", "language", "language_score")


class Sketch:
    """How often each value occurs, by group; values are rounded down to 10 binary places, at most 0.1 %.

    Integers up to 2,048 are exact. A sketch holds 1,024 counts for each factor of two that the values span.
    """

    _SHIFT = 52 - _MANTISSA_BITS

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, values: np.ndarray, groups: np.ndarray) -> None:
        real = ~np.isnan(values)
        bits = _ordered((values[real].astype(np.float64) + 0.0).view(np.int64))  # + 0.0: there is one zero
        keys, counts = np.unique((bits >> self._SHIFT) * 4 + groups[real], return_counts=True)
        self._counts.update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))

    def values(self, *groups: int) -> tuple[np.ndarray, np.ndarray]:
        """(values ascending, how often each) of these groups; of all if none is given."""
        chosen = sorted((k // 4, n) for k, n in self._counts.items() if not groups or k % 4 in groups)
        keys, counts = np.array(chosen, np.int64).reshape(-1, 2).T
        distinct, first = np.unique(keys, return_index=True)
        sums = np.add.reduceat(counts, first) if len(first) else counts
        return _ordered(distinct << self._SHIFT).view(np.float64), sums

    def count(self, *groups: int) -> int:
        return int(self.values(*groups)[1].sum())

    def quantile(self, share: float) -> float:
        """The least value that at least `share` of all values do not exceed."""
        values, counts = self.values()
        at = np.searchsorted(np.cumsum(counts), share * counts.sum(), side="left")
        return float(values[min(int(at), len(values) - 1)])


def _ordered(bits: np.ndarray) -> np.ndarray:
    """Bits of float64 as integers in the order of the numbers; its own inverse."""
    ordered: np.ndarray = bits ^ ((bits >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))
    return ordered


class TopCounter:
    """The most frequent names. Beyond 2^18 distinct ones the rarer half is forgotten.

    `missed` is the largest number by which a count can then be too small.
    """

    def __init__(self, limit: int = _COUNTED) -> None:
        self._limit, self._counts = limit, Counter[str]()
        self.missed = 0

    def update(self, names: Iterable[str]) -> None:
        self._counts.update(names)
        if len(self._counts) > self._limit:
            ranked = sorted(self._counts.items(), key=_rank)
            self.missed += ranked[self._limit // 2][1]
            self._counts = Counter(dict(ranked[: self._limit // 2]))

    def top(self, number: int) -> list[tuple[str, int]]:
        return sorted(self._counts.items(), key=_rank)[:number]

    def __len__(self) -> int:
        return len(self._counts)


def _rank(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


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
    groups: Clusters = field(default_factory=lambda: Clusters(()))
    largest: list[ShownCluster] = field(default_factory=list)
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
        tally.groups.close(RunFolder(run))
        tally.largest = tally.groups.show(RunFolder(run), tally.groups.largest(LARGEST))
        return tally

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> "Tally":
        """Of no row yet."""
        tally = cls(rules_of(recipe), {})
        reasons = [reason for _, _, reason in stages_of(recipe) if reason and reason.startswith("dedup.")]
        tally.groups = Clusters(cluster_reasons(recipe))
        tally.lost_by_source, tally.lost_by_host = (Losses(tuple(dict.fromkeys(reasons))) for _ in range(2))
        for _, stage in recipe.stages:
            if isinstance(stage, GlobalStageConfig) and stage.cuts:
                tally.cuts[f"{stage.name}.removed_chars"] = stage.reason
        for _, rule in tally.rules:
            tally.metrics[rule.metric] = _both(tally.metrics.get(rule.metric, rule), rule)
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
            groups = np.where(live, KEPT, OTHER)
            if rule.min_kept is not None:
                groups[failing(column, replace(rule, max_kept=None))] = BELOW
            if rule.max_kept is not None:
                groups[failing(column, replace(rule, min_kept=None))] = ABOVE
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
            self.similarities[reason].add(values, np.full(len(values), OTHER))

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


def rules_of(recipe: Recipe) -> tuple[tuple[str, Rule], ...]:
    """(stage, rule) of all local stages, in order; rules with one reason and one metric are made one."""
    merged: dict[tuple[str, str], tuple[str, Rule]] = {}
    for _, stage in recipe.stages:
        if isinstance(stage, StageConfig):
            for rule in stage.rules():
                key = (rule.reason, rule.metric)
                merged[key] = (stage.name, _both(merged[key][1], rule) if key in merged else rule)
    return tuple(merged.values())


def stages_of(recipe: Recipe) -> list[tuple[str, str, str | None]]:
    """(stage, kind, reason of a global stage) in the order in which a run applies them."""
    kinds = {SAME_RECORD.name: "same_record"} | {stage.name: kind for kind, stage in recipe.stages}
    stages: list[tuple[str, str, str | None]] = []
    for pass_ in recipe.passes():
        stages += [(stage.name, kinds[stage.name], None) for stage in pass_.local]
        stages += [(stage.name, kinds[stage.name], stage.reason) for stage in pass_.global_]
    return stages


def _both(a: Rule, b: Rule) -> Rule:
    """One rule with the bounds of both."""
    if a == b:
        return a
    return replace(
        a,
        setting=", ".join(dict.fromkeys([a.setting, b.setting])),
        min_kept=a.min_kept if b.min_kept is None else b.min_kept,
        max_kept=a.max_kept if b.max_kept is None else b.max_kept,
    )
