"""Run a random part of a run's inputs through its recipe and time it: what `plan` reckons with.

    positions in the inputs, drawn by bytes ──records as stored──▶ a small crawl ──recipe──▶ seconds, memory, disk

Records keep their compression, so the bytes of the part are to those of the whole as their costs are (nearly so where
all records of a file are compressed together: each is then compressed by itself). As many workers
run a probe as the run will have, each on records of its own, so they share cores, caches and memory bandwidth as they
will then. Each runs a first, smaller part before: the difference is the time that models and kernels take to load.
"""

import json
import os
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipelines.executors import InProcess, ProcessPool, Watch
from pipelines.passes import execute
from pipelines.preview.draw import draw, lines_from, nothing_drawn, stored_records_from
from pipelines.progress import Progress
from pipelines.recipe import Recipe
from pipelines.report.model import Summary, read_report_file
from pipelines.run.folder import RunFolder
from pipelines.run.opening import open_run
from shards.errors import RunError, UserError
from shards.source import SourceConfig
from shards.storage import InputFile

STAGES = "stages"  # among the sizes of a `ProbeRun`: the part of `work` that global stages wrote

_POSITIONS = 40
_KEPT_FOLDERS = (RunFolder.SHARDS, RunFolder.LEDGER, RunFolder.DROPPED, RunFolder.DEDUP)
_FIRST = 60  # documents of the first part
_SECONDS = 4.0  # that the second part takes, about
_MOST = 4000  # documents of the second part

Inputs = Mapping[str, Sequence[InputFile]]  # by source


@dataclass(frozen=True)
class ProbeRun:
    """One run of a part."""

    input_bytes: int  # of the inputs, as stored
    seconds: dict[str, float]  # by stage
    report: Summary  # of its report.json
    disk: dict[str, int]  # bytes at the end by folder; of `work` and `texts` when they are largest
    cpu_share: float = 1.0  # of its time, what it computed: the rest it waited, mostly for cores that others had


@dataclass(frozen=True)
class Probe:
    """What one worker measured."""

    first: ProbeRun
    second: ProbeRun
    started: float  # time at which the worker was ready, since the epoch
    memory: int  # bytes that its process and those that extract for it took at most


@dataclass(frozen=True)
class _Task:
    recipe: Recipe
    inputs: Inputs
    seed: int


def run_probes(recipe: Recipe, inputs: Inputs, workers: int, report: Callable[[Progress], None]) -> list[Probe]:
    """A probe for each of `workers`, all at the same time."""
    report(Progress("probe", 0, 0, 0, 0, 0))
    with ProcessPool(workers) as pool:
        tasks = [_Task(recipe, inputs, seed) for seed in range(workers)]
        return list(
            pool.map_watched(_probe, tasks, tick=lambda count: report(Progress("probe", 0, count[0], count[1], 0, 0)))
        )


def _probe(task: _Task, watch: Watch) -> Probe:
    started = time.time()
    first = _run(task, _FIRST, watch)
    documents = max(1, first.report.documents.input)
    per_second = documents / max(1e-3, sum(first.seconds.values()))
    second = _run(task, min(_MOST, max(2 * _FIRST, int(_SECONDS * per_second))), watch)
    return Probe(first, second, started, _peak_memory(os.getpid()))


def _run(task: _Task, number: int, watch: Watch) -> ProbeRun:
    source = random.Random(f"{task.seed} {number}")
    total = sum(file.num_bytes for files in task.inputs.values() for file in files)
    with tempfile.TemporaryDirectory(prefix="gristmill-plan-") as temporary:
        sources, input_bytes = {}, 0
        for name, files in task.inputs.items():
            config, part = task.recipe.sources[name], Path(temporary) / name
            part.mkdir()
            share = sum(file.num_bytes for file in files) / total
            input_bytes += draw_part(config, name, files, max(1, round(share * number)), source, part)
            sources[name] = config.model_copy(update={"paths": (str(part),)})
        run = open_run(replace(task.recipe, sources=sources), Path(temporary) / "run")
        disk: dict[str, int] = {}

        def look(progress: Progress) -> None:
            if progress.phase == "finish":  # all work is done, and none of it is deleted yet
                disk.update({name: run.folder.num_bytes(name) for name in (RunFolder.WORK, RunFolder.TEXTS)})
                disk[STAGES] = sum(
                    run.folder.num_bytes(run.folder.stage_work(pass_.number, stage.name))
                    for pass_ in run.recipe.passes()
                    for stage in pass_.global_
                )

        began, cpu_before = time.perf_counter(), _cpu_seconds(os.getpid())
        execute(run, InProcess(watch=watch), look)
        took = time.perf_counter() - began
        return ProbeRun(
            input_bytes,
            json.loads(run.folder.path(RunFolder.SECONDS).read_bytes())["stages"],
            read_report_file(run.folder),
            disk | {name: run.folder.num_bytes(name) for name in _KEPT_FOLDERS},
            min(1.0, (_cpu_seconds(os.getpid()) - cpu_before) / took),
        )


def draw_part(
    config: SourceConfig, name: str, files: Sequence[InputFile], number: int, source: random.Random, folder: Path
) -> int:
    """Write about `number` documents from many positions of `files` into `folder`. Returns their stored size."""
    suffix_of = {file.path: next(s for s in (*config.suffixes, "") if file.name.endswith(s)) for file in files}
    if config.kind not in ("warc", "wet", "jsonl"):
        raise UserError(
            f"source.{name}: no estimate for files of kind {config.kind}; plan draws from WARC, WET and plain JSON "
            "lines"
        )
    records_from = lines_from if config.kind == "jsonl" else partial(stored_records_from, kind=config.kind)
    num_documents = num_bytes = 0
    for file, record in draw(files, number, _POSITIONS, source, records_from):
        # A file without one of the endings may be compressed or not, and is not mixed with others.
        name_of_part = (
            f"part{suffix_of[file.path]}" if suffix_of[file.path] else f"{files.index(file)}{config.suffixes[0]}"
        )
        with (folder / name_of_part).open("ab") as out:
            out.write(record.data)
        num_bytes += len(record.data)
        num_documents += record.is_document
    if not num_documents and config.is_crawl:
        raise nothing_drawn(name, config.kind, files)
    if not num_documents:
        raise RunError(f"source.{name}: no record was found in {len(files)} files; is `kind` that of the files?")
    return num_bytes


def _cpu_seconds(process: int) -> float:
    """What the process has computed, with its children."""
    if sys.platform != "linux":
        return time.process_time()
    folder = Path("/proc") / str(process)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        children = (folder / "task" / str(process) / "children").read_text().split()
    except OSError:
        return 0.0  # it has just ended
    # utime, stime, cutime and cstime, in ticks (proc(5)); the last two are of children that have ended
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + sum(map(_cpu_seconds, map(int, children)))


def _peak_memory(process: int) -> int:
    """Bytes, with its children."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    folder = Path("/proc") / str(process)
    try:
        status, children = (folder / "status").read_text(), (folder / "task" / str(process) / "children").read_text()
    except OSError:
        return 0  # it has just ended
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return (int(found[1]) << 10 if found else 0) + sum(_peak_memory(int(child)) for child in children.split())
