"""What a run would come to, before it is started: which near-duplicates it compares, and time, memory and disk.

    recipe ──▶ P(match) of each MinHash stage
    inputs ──▶ a trial of a few seconds ──by bytes──▶ extraction, rules, writing; memory, disk ┐
               documents and text that reach a stage ──known rates──▶ deduplication            ┴▶ an estimate by part

Deduplication does not follow from the trial, where it takes no longer than its kernels take to load. Its own time is
linear: of 20,000 and of 80,000 documents of 2,300 characters, each stage took the same for a megabyte within 10 %.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dedup.lsh.shape import s_curve
from dedup.minhash import MinHashConfig
from pipelines.executors import machine_memory
from pipelines.lines import Line, Table
from pipelines.passes import global_stages
from pipelines.preview.probe import Trial, run_trials
from pipelines.progress import Progress
from pipelines.recipe import AnyStage, Recipe
from shards.errors import UserError
from shards.exchange import GlobalStageConfig
from shards.storage import InputFile, find_inputs

# (seconds a document, seconds a megabyte of text) of one core of the machine of docs/performance.md, by kind.
_RATES = {
    "same_record": (0.5e-6, 0.0),
    "url_dedup": (1e-6, 0.0),
    "top_share": (1e-6, 0.0),
    "exact": (0.0, 0.0166),
    "substring": (0.0, 0.0126),
    "paragraphs": (0.0, 0.0074),
    "ngram_overlap": (0.0, 0.058),
    "decontaminate": (0.0, 0.058),  # not measured: the same shingles
}
_MINHASH_PER_MB, _MINHASH_PER_MB_AND_HASH = 0.0086, 6.1e-6
_FINISH_PER_DOCUMENT = 35e-6
_MAIN_BYTES = 300_000_000  # of the process that starts the workers
_DEDUP_BYTES = {"ngram_overlap": 6, "decontaminate": 6}  # for each of text, in all processes, where memory allows
_OTHER_DEDUP_BYTES = 3
_EARLY = ("url", "page", "language_guess", "extract")  # kinds that work on the page, not on its text


@dataclass(frozen=True)
class Curve:
    """A MinHash stage: how probably it compares a pair of documents."""

    stage: str
    bands: int
    rows: int
    p_match: dict[float, float]  # by Jaccard similarity
    half_at: float  # the similarity at which it is one half


@dataclass(frozen=True)
class Part:
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
    parts: tuple[Part, ...]  # of `seconds`
    memory: Amount  # of all processes together
    disk: Amount  # in the run's folder
    kept_disk_bytes: int  # of it, when the run is done


def curves(recipe: Recipe) -> tuple[Curve, ...]:
    shapes = [(s.name, s.bands, s.rows) for _, s in recipe.stages if isinstance(s, MinHashConfig)]
    return tuple(Curve(name, b, r, s_curve(b, r), (1 - 0.5 ** (1 / b)) ** (1 / r)) for name, b, r in shapes)


def estimate(recipe: Recipe, workers: int, memory: int | None, report: Callable[[Progress], None]) -> Estimate | None:
    """Of the run of `recipe` on its sources' paths; None where they have none."""
    if not any(source.paths for source in recipe.sources.values()):
        return None
    inputs = {
        name: find_inputs(source.paths, source.suffixes, f"source.{name}.paths")
        for name, source in recipe.sources.items()
    }
    if not any(file.num_bytes for files in inputs.values() for file in files):
        raise UserError("source.paths: all files are empty; give others")
    began = time.time()
    trials = run_trials(recipe, inputs, workers, report)
    ready = sum(trial.started - began for trial in trials) / len(trials)
    return reckon(recipe, inputs, trials, workers, memory or machine_memory() // 2, ready)


def reckon(
    recipe: Recipe,
    inputs: Mapping[str, Sequence[InputFile]],
    trials: Sequence[Trial],
    workers: int,
    memory: int,
    ready: float,
) -> Estimate:
    """The whole from its trials. `ready` is how many seconds a process takes to start."""
    files = [file for of_source in inputs.values() for file in of_source]
    whole = _Whole(recipe, trials, sum(file.num_bytes for file in files))
    parts = _time(whole, min(workers, len(files)), ready)
    peak = max(trial.memory for trial in trials)
    work, at_end = whole.disk("work"), whole.disk("shards", "ledger", "dedup", "texts") + whole.dropped_disk
    return Estimate(
        sum(part.seconds for part in parts),
        parts,
        max(
            Amount(_MAIN_BYTES + workers * peak, f"{workers} workers as in the trial, {peak / 1e6:,.0f} MB each"),
            Amount(min(memory, whole.dedup_memory), "deduplication, within --memory"),
            key=lambda amount: amount.num_bytes,
        ),
        Amount(work + at_end, "as in the trial, by bytes of the inputs; work is deleted when the shards are written"),
        at_end,
    )


def curve_lines(curves: Sequence[Curve]) -> Iterator[Line]:
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


def _time(whole: "_Whole", busy: int, ready: float) -> tuple[Part, ...]:
    sample = f"{whole.drawn / whole.total:.1%} of the inputs took {{:.1f}} s on one core; {busy} at once"
    parts = [Part("start-up", 2 * ready + whole.loading, "this machine: command, workers, models and kernels")]
    for name, stages in whole.groups.items():
        spent = sum(whole.seconds(stage) for stage in stages)
        assumption = sample.format(spent / whole.scale)
        if name == "writing":
            spent += whole.documents * _FINISH_PER_DOCUMENT
            assumption += f", and {_FINISH_PER_DOCUMENT * 1e6:.0f} µs a document for ledger and shards"
        parts.append(Part(name, spent / busy, assumption))
    for stage in whole.global_stages:
        per_document, per_mb = _rates(whole.kinds[stage.name], stage)
        documents, megabytes = whole.reaching(stage.name)
        spent = whole.first_seconds(stage.name) + (per_document * documents + per_mb * megabytes) / busy
        rate = f"{per_mb * 1e3:.1f} ms a megabyte" if per_mb else f"{per_document * 1e6:.1f} µs a document"
        parts.append(Part(stage.name, spent, f"{documents:,.0f} documents, {megabytes:,.1f} MB of text; {rate}"))
    return tuple(parts)


def _rates(kind: str, stage: AnyStage) -> tuple[float, float]:
    if isinstance(stage, MinHashConfig):
        return 0.0, _MINHASH_PER_MB + _MINHASH_PER_MB_AND_HASH * stage.bands * stage.rows
    return _RATES[kind]


@dataclass(frozen=True)
class _Whole:
    """What was found in trials, multiplied to all of the inputs."""

    recipe: Recipe
    trials: Sequence[Trial]
    total: int  # bytes of the inputs

    @cached_property
    def drawn(self) -> int:
        return sum(trial.second.input_bytes for trial in self.trials)

    @property
    def scale(self) -> float:
        return self.total / self.drawn

    @cached_property
    def global_stages(self) -> tuple[GlobalStageConfig, ...]:
        return tuple(stage for pass_ in self.recipe.passes() for stage in global_stages(pass_))

    @cached_property
    def kinds(self) -> dict[str, str]:
        return {"same_record": "same_record"} | {stage.name: kind for kind, stage in self.recipe.stages}

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The local stages by part of the estimate."""
        local = [stage.name for pass_ in self.recipe.passes() for stage in pass_.local]
        early = [name for name in local if self.kinds[name] in _EARLY]
        rules = [name for name in local if name not in early]
        return {"reading and extraction": ["read", *early], "rules": rules, "writing": ["write"]}

    @property
    def documents(self) -> float:
        given: list[int] = [trial.second.report["documents"]["input"] for trial in self.trials]
        return self.scale * sum(given)

    @property
    def loading(self) -> float:
        """What local stages took longer at first, for their models and kernels."""
        names = [name for stages in self.groups.values() for name in stages]
        longer = []
        for trial in self.trials:
            part = trial.first.input_bytes / trial.second.input_bytes
            longer += [trial.first.seconds.get(n, 0.0) - part * trial.second.seconds.get(n, 0.0) for n in names]
        return sum(max(0.0, seconds) for seconds in longer) / len(self.trials)

    def seconds(self, stage: str) -> float:
        """Of one core."""
        return self.scale * sum(trial.second.seconds.get(stage, 0.0) for trial in self.trials)

    def first_seconds(self, stage: str) -> float:
        return max(trial.first.seconds.get(stage, 0.0) for trial in self.trials)

    def reaching(self, stage: str) -> tuple[float, float]:
        """(documents, megabytes of text) that a global stage has before it."""
        documents, megabytes = self.documents, 0.0
        for i, entry in enumerate(self.trials[0].second.report["funnel"]):
            if entry["stage"] == stage:
                break
            found = [trial.second.report["funnel"][i] for trial in self.trials]
            documents = self.scale * sum(e["documents"] for e in found)
            megabytes = self.scale * sum(e["bytes"] or 0 for e in found if e["bytes_are"] == "text") / 1e6
        return documents, megabytes

    @property
    def dedup_memory(self) -> int:
        needs = [
            _DEDUP_BYTES.get(self.kinds[stage.name], _OTHER_DEDUP_BYTES) * self.reaching(stage.name)[1]
            for stage in self.global_stages
            if _RATES.get(self.kinds[stage.name], (0, 1))[1]
        ]
        return _MAIN_BYTES + int(1e6 * max(needs, default=0))

    def disk(self, *folders: str) -> int:
        return int(self.scale * sum(trial.second.disk[folder] for trial in self.trials for folder in folders))

    @property
    def dropped_disk(self) -> int:
        """Of each reason so many texts are kept."""
        limit = self.recipe.output.dropped_per_rule
        counts: dict[str, int] = {}
        for trial in self.trials:
            for reason, count in trial.second.report["dropped"].items():
                counts[reason] = counts.get(reason, 0) + count
        stored = [count * self.scale if limit < 0 else min(count * self.scale, limit) for count in counts.values()]
        return int(self.disk("dropped") / self.scale * sum(stored) / max(1, sum(counts.values())))
