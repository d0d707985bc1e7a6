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

from pipelines.executors import machine_memory
from pipelines.lines import Line, Table
from pipelines.preview.probe import Probe, run_probes
from pipelines.preview.whole import MAIN_BYTES, Whole
from pipelines.progress import Progress
from pipelines.recipe import Recipe
from pipelines.run.folder import RunFolder
from shards.cores import usable_cores
from shards.errors import UserError
from shards.storage import InputFile, find_inputs

_FINISH_PER_DOCUMENT = 35e-6
_UNIT_BYTES = 100_000_000  # of a file, about what a unit of Common Crawl's takes


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
    if (tried := try_out(recipe, workers, report)) is None:
        return None
    return reckon(recipe, tried.inputs, tried.probes, workers, memory or machine_memory() // 2, tried.ready)


@dataclass(frozen=True)
class Tried:
    """What was measured of a recipe's inputs."""

    inputs: Mapping[str, Sequence[InputFile]]  # by source
    probes: Sequence[Probe]
    ready: float  # seconds that a process takes to start


def try_out(recipe: Recipe, workers: int, report: Callable[[Progress], None]) -> Tried | None:
    """Run a part of the inputs of `recipe` on as many cores as there are, `workers` at most; None without inputs."""
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
    return Tried(inputs, probes, sum(probe.started - began for probe in probes) / len(probes))


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
    whole = Whole(recipe, probes, sum(file.num_bytes for file in files))
    busy = min(workers, sum(max(1, file.num_bytes // _UNIT_BYTES) for file in files))  # a large file is split
    parts = _time(whole, busy, ready)
    peak = max(probe.memory for probe in probes)
    work, at_end = whole.disk(RunFolder.WORK), whole.kept_disk
    return Estimate(
        sum(part.seconds for part in parts),
        parts,
        max(
            Amount(MAIN_BYTES + workers * peak, f"{workers} workers as in the probe, {peak / 1e6:,.0f} MB each"),
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
        tuple((part.name, duration(part.seconds), part.assumption) for part in estimate.parts),
    )
    yield f"time: about {duration(estimate.seconds)}"
    yield f"memory: about {estimate.memory.num_bytes / 1e9:.2f} GB at the peak: {estimate.memory.assumption}"
    disk = f"{estimate.disk.num_bytes / 1e6:,.0f} MB at the peak, {estimate.kept_disk_bytes / 1e6:,.0f} MB when done"
    yield f"disk: about {disk}: {estimate.disk.assumption}"


def duration(seconds: float) -> str:
    unit, name = next((u, n) for u, n in ((86_400, "days"), (3600, "h"), (60, "min"), (0, "s")) if seconds >= 2 * u)
    return f"{seconds / (unit or 1):.1f} {name}"


def _time(whole: "Whole", busy: int, ready: float) -> tuple[EstimatedPart, ...]:
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
