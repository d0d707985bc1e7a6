"""`gristmill plan`: which near-duplicates a run compares, and the time, memory and disk that it takes.

    recipe ──▶ P(match) of each MinHash stage
    inputs ──▶ a probe of a few seconds ──by bytes──▶ extraction, rules, writing; memory, disk ┐
               documents and text that reach a stage ──its cost──▶ deduplication               ┴▶ an estimate by part

Deduplication does not follow from the probe, where it takes no longer than its kernels take to load. Its own time is
linear: of 20,000 and of 80,000 documents of 2,300 characters, each stage took the same for a megabyte within 10 %.
Stages state their cost themselves (`GlobalStageConfig.cost`).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines.executors import machine_memory
from pipelines.lines import Line, Table
from pipelines.preview.probe import Probe, run_probes
from pipelines.progress import Progress
from pipelines.recipe import Recipe
from pipelines.run.folder import RunFolder
from shards.cores import usable_cores
from shards.errors import UserError
from shards.exchange import GlobalStageConfig
from shards.storage import InputFile, find_inputs

_FINISH_PER_DOCUMENT = 35e-6
_KEPT_FOLDERS = (RunFolder.SHARDS, RunFolder.LEDGER, RunFolder.DEDUP, RunFolder.TEXTS)  # whole, whatever is dropped
_UNIT_BYTES = 100_000_000  # of a file, about what a unit of Common Crawl's takes
_MAIN_BYTES = 300_000_000  # of the process that starts the workers


@dataclass(frozen=True)
class StageCurve:
    """How probably a stage compares a pair of documents."""

    stage: str
    bands: int
    rows: int
    p_match: dict[float, float]  # by Jaccard similarity
    half_at: float  # the similarity at which the probability is one half


@dataclass(frozen=True)
class EstimatedPart:
    name: str
    seconds: float
    assumption: str


@dataclass(frozen=True)
class Amount:
    """Bytes at their peak."""

    num_bytes: int
    assumption: str


@dataclass(frozen=True)
class Estimate:
    seconds: float
    parts: tuple[EstimatedPart, ...]  # of `seconds`
    memory: Amount  # of all processes together
    disk: Amount  # in the run's folder
    kept_disk_bytes: int  # of it, when the run is done


def curves(recipe: Recipe) -> tuple[StageCurve, ...]:
    found = ((stage.name, stage.curve()) for stage in recipe.global_stages())
    return tuple(StageCurve(name, c.bands, c.rows, c.p_match, c.half_at) for name, c in found if c is not None)


def estimate(recipe: Recipe, workers: int, memory: int | None, report: Callable[[Progress], None]) -> Estimate | None:
    """Of the run of `recipe` on its sources' paths; None where they have none.

    No more workers are measured than there are cores. Where `workers` are more, the estimate is of a machine with a
    core for each, at the rates of this one.
    """
    if not any(source.paths for source in recipe.sources.values()):
        return None
    inputs = {
        name: find_inputs(source.paths, source.suffixes, f"source.{name}.paths")
        for name, source in recipe.sources.items()
    }
    if not any(file.num_bytes for files in inputs.values() for file in files):
        raise UserError("source.paths: all files are empty; give others")
    began = time.time()
    probes = run_probes(recipe, inputs, min(workers, usable_cores()), report)
    ready = sum(probe.started - began for probe in probes) / len(probes)
    return reckon(recipe, inputs, probes, workers, memory or machine_memory() // 2, ready)


def reckon(
    recipe: Recipe,
    inputs: Mapping[str, Sequence[InputFile]],
    probes: Sequence[Probe],
    workers: int,
    memory: int,
    ready: float,
) -> Estimate:
    """The whole from its probes. `ready` is how many seconds a process takes to start."""
    files = [file for of_source in inputs.values() for file in of_source]
    whole = _Whole(recipe, probes, sum(file.num_bytes for file in files))
    busy = min(workers, sum(max(1, file.num_bytes // _UNIT_BYTES) for file in files))  # a large file is split
    parts = _time(whole, busy, ready)
    peak = max(probe.memory for probe in probes)
    work, at_end = whole.disk(RunFolder.WORK), whole.disk(*_KEPT_FOLDERS) + whole.dropped_disk
    return Estimate(
        sum(part.seconds for part in parts),
        parts,
        max(
            Amount(_MAIN_BYTES + workers * peak, f"{workers} workers as in the probe, {peak / 1e6:,.0f} MB each"),
            Amount(min(memory, whole.dedup_memory), "deduplication, within --memory"),
            key=lambda amount: amount.num_bytes,
        ),
        Amount(work + at_end, "as in the probe, by bytes of the inputs; work is deleted when the shards are written"),
        at_end,
    )


def curve_lines(curves: Sequence[StageCurve]) -> Iterator[Line]:
    """The S-curve of each MinHash stage."""
    for curve in curves:
        yield f"{curve.stage}: {curve.bands} bands of {curve.rows} rows, half of the pairs at {curve.half_at:.3f}"
        yield Table(
            ("similarity", *(f"{similarity:.2f}" for similarity in curve.p_match)),
            (("P(match)", *(f"{p:.3f}" for p in curve.p_match.values())),),
        )


def lines(estimate: Estimate) -> Iterator[Line]:
    """The estimate: time by part, then the whole of time, memory and disk."""
    yield Table(
        ("part", "time", "assumption"),
        tuple((part.name, _duration(part.seconds), part.assumption) for part in estimate.parts),
    )
    yield f"time: about {_duration(estimate.seconds)}"
    yield f"memory: about {estimate.memory.num_bytes / 1e9:.2f} GB at the peak: {estimate.memory.assumption}"
    disk = f"{estimate.disk.num_bytes / 1e6:,.0f} MB at the peak, {estimate.kept_disk_bytes / 1e6:,.0f} MB when done"
    yield f"disk: about {disk}: {estimate.disk.assumption}"


def _duration(seconds: float) -> str:
    unit, name = next((u, n) for u, n in ((86_400, "days"), (3600, "h"), (60, "min"), (0, "s")) if seconds >= 2 * u)
    return f"{seconds / (unit or 1):.1f} {name}"


def _time(whole: "_Whole", busy: int, ready: float) -> tuple[EstimatedPart, ...]:
    sample = f"{whole.drawn / whole.total:.1%} of the inputs took {{:.1f}} s on one core; {busy} at once"
    if busy > len(whole.probes):
        sample += f" on that many cores, at the rate of {len(whole.probes)} here"
    parts = [EstimatedPart("start-up", 2 * ready + whole.loading, "this machine: command, workers, models and kernels")]
    for name, stages in whole.groups.items():
        spent = sum(whole.seconds(stage) for stage in stages)
        assumption = sample.format(spent / whole.scale)
        if name == "writing":
            spent += whole.documents * _FINISH_PER_DOCUMENT
            assumption += f", and {_FINISH_PER_DOCUMENT * 1e6:.0f} µs a document for ledger and shards"
        parts.append(EstimatedPart(name, spent / busy, assumption))
    for stage in whole.global_stages:
        per_document, per_mb = stage.cost.seconds_per_document, stage.cost.seconds_per_mb
        documents, megabytes = whole.reaching(stage.name)
        spent = whole.first_seconds(stage.name) + (per_document * documents + per_mb * megabytes) / busy
        rate = f"{per_mb * 1e3:.1f} ms a megabyte" if per_mb else f"{per_document * 1e6:.1f} µs a document"
        text = f"{documents:,.0f} documents, {megabytes:,.1f} MB of text"
        parts.append(EstimatedPart(stage.name, spent, f"{text}; {rate}"))
    return tuple(parts)


@dataclass(frozen=True)
class _Whole:
    """What was found in probes, multiplied to all of the inputs."""

    recipe: Recipe
    probes: Sequence[Probe]
    total: int  # bytes of the inputs

    @cached_property
    def drawn(self) -> int:
        return sum(probe.second.input_bytes for probe in self.probes)

    @property
    def scale(self) -> float:
        return self.total / self.drawn

    @cached_property
    def global_stages(self) -> tuple[GlobalStageConfig, ...]:
        return tuple(stage for pass_ in self.recipe.passes() for stage in pass_.global_)

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The local stages by part of the estimate."""
        local = list(self.recipe.local_stages())
        last = max((i for i, stage in enumerate(local) if stage.reads_pages), default=-1)
        early, rules = ([stage.name for stage in part] for part in (local[: last + 1], local[last + 1 :]))
        return {"reading and extraction": ["read", *early], "rules": rules, "writing": ["write"]}

    @property
    def documents(self) -> float:
        return self.scale * sum(probe.second.report.documents.input for probe in self.probes)

    @property
    def loading(self) -> float:
        """What local stages took longer at first, for their models and kernels."""
        names = [name for stages in self.groups.values() for name in stages]
        longer = []
        for probe in self.probes:
            part = probe.first.input_bytes / probe.second.input_bytes
            longer += [probe.first.seconds.get(n, 0.0) - part * probe.second.seconds.get(n, 0.0) for n in names]
        return sum(max(0.0, seconds) for seconds in longer) / len(self.probes)

    def seconds(self, stage: str) -> float:
        """Of one core."""
        return self.scale * sum(probe.second.seconds.get(stage, 0.0) for probe in self.probes)

    def first_seconds(self, stage: str) -> float:
        return max(probe.first.seconds.get(stage, 0.0) for probe in self.probes)

    def reaching(self, stage: str) -> tuple[float, float]:
        """(documents, megabytes of text) that a global stage has before it."""
        documents, megabytes = self.documents, 0.0
        for i, entry in enumerate(self.probes[0].second.report.funnel):
            if entry.stage == stage:
                break
            found = [probe.second.report.funnel[i] for probe in self.probes]
            documents = self.scale * sum(e.documents for e in found)
            megabytes = self.scale * sum(e.bytes for e in found if e.bytes_are == "text") / 1e6
        return documents, megabytes

    @property
    def dedup_memory(self) -> int:
        needs = [stage.cost.bytes_per_text_byte * self.reaching(stage.name)[1] for stage in self.global_stages]
        return _MAIN_BYTES + int(1e6 * max(needs, default=0))

    def disk(self, *folders: str) -> int:
        return int(self.scale * sum(probe.second.disk[folder] for probe in self.probes for folder in folders))

    @property
    def dropped_disk(self) -> int:
        """Of each reason so many texts are kept."""
        limit = self.recipe.output.dropped_per_rule
        counts: dict[str, int] = {}
        for probe in self.probes:
            for reason, count in probe.second.report.dropped.items():
                counts[reason] = counts.get(reason, 0) + count
        stored = [count * self.scale if limit < 0 else min(count * self.scale, limit) for count in counts.values()]
        return int(self.disk(RunFolder.DROPPED) / self.scale * sum(stored) / max(1, sum(counts.values())))
