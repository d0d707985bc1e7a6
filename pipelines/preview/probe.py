"""A random part of a run's inputs through its recipe, timed: what `plan` reckons with.

    places in the inputs, drawn by bytes ──records as they are stored──▶ a small crawl ──recipe──▶ seconds, memory, disk

The records keep their compression, so that bytes of the part stand to bytes of the whole as their costs do. As many
workers try as the run will have, each on records of its own: so they share cores, caches and memory bandwidth as they
will. Each does a first, smaller part before: the difference is what models and kernels take to load.
"""

import json
import os
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cleaners.crawl.records import next_record, read_records
from pipelines.executors import InProcess, ProcessPool
from pipelines.passes import execute
from pipelines.progress import Progress
from pipelines.recipe import Recipe
from pipelines.report.model import Summary, read_report_file
from pipelines.run.folder import RunFolder
from pipelines.run.opening import open_run
from shards.errors import RunError, UserError
from shards.source import SourceConfig
from shards.storage import InputFile, open_input

_PLACES = 40
_FIRST = 60  # documents of the first part
_SECONDS = 4.0  # that the second part takes, about
_MOST = 4000
_DOCUMENTS = ("response", "resource", "conversion", "revisit")
_RESULTS = ("shards", "ledger", "dropped", "dedup")

Inputs = Mapping[str, Sequence[InputFile]]  # by source


@dataclass(frozen=True)
class Measured:
    """One run of a part."""

    input_bytes: int  # of the inputs, as stored
    seconds: dict[str, float]  # by stage
    report: Summary  # of its report.json
    disk: dict[str, int]  # bytes at the end by folder, and `work` and `texts` when they are largest


@dataclass(frozen=True)
class Trial:
    first: Measured
    second: Measured
    started: float  # time at which the worker was ready, since the epoch
    memory: int  # bytes that its process, and those that extract for it, took at most


@dataclass(frozen=True)
class _Task:
    recipe: Recipe
    inputs: Inputs
    seed: int


def run_trials(recipe: Recipe, inputs: Inputs, workers: int, report: Callable[[Progress], None]) -> list[Trial]:
    """A trial for each of `workers`, all at the same time."""
    pool = ProcessPool(workers)
    pool.tick = lambda counters: report(Progress("trial", 0, counters[0], counters[1], 0, 0))
    report(Progress("trial", 0, 0, 0, 0, 0))
    with pool:
        return list(pool.map(_try, [_Task(recipe, inputs, seed) for seed in range(workers)]))


def _try(task: _Task) -> Trial:
    started = time.time()
    first = _measure(task, _FIRST)
    documents = max(1, first.report.documents.input)
    per_second = documents / max(1e-3, sum(first.seconds.values()))
    second = _measure(task, min(_MOST, max(2 * _FIRST, int(_SECONDS * per_second))))
    return Trial(first, second, started, _peak_memory(os.getpid()))


class _Here(InProcess):
    """Leaves the pool's flag and counters alone, which `InProcess` would take for its own."""

    def map(
        self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Callable[[Any], Sequence[Any]] = lambda _: ()
    ) -> Iterator[Any]:
        todo = list(tasks)
        while todo:
            result = fn(todo.pop(0))
            todo = [*then(result), *todo]
            yield result


def _measure(task: _Task, number: int) -> Measured:
    draw = random.Random(f"{task.seed} {number}")
    total = sum(file.num_bytes for files in task.inputs.values() for file in files)
    with tempfile.TemporaryDirectory(prefix="gristmill-plan-") as temporary:
        sources, input_bytes = {}, 0
        for name, files in task.inputs.items():
            config, folder = task.recipe.sources[name], Path(temporary) / name
            folder.mkdir()
            share = sum(file.num_bytes for file in files) / total
            input_bytes += draw_part(config, name, files, max(1, round(share * number)), draw, folder)
            sources[name] = config.model_copy(update={"paths": (str(folder),)})
        run = open_run(replace(task.recipe, sources=sources), Path(temporary) / "run")
        disk: dict[str, int] = {}

        def look(progress: Progress) -> None:
            if progress.phase == "finish":  # all work is done, and none of it is deleted yet
                disk.update({name: _size(run.folder / name) for name in ("work", "texts")})

        execute(run, _Here(), look)
        return Measured(
            input_bytes,
            json.loads((run.folder / "seconds.json").read_bytes()),
            read_report_file(RunFolder(run.folder)),
            disk | {name: _size(run.folder / name) for name in _RESULTS},
        )


def draw_part(
    config: SourceConfig, name: str, files: Sequence[InputFile], number: int, draw: random.Random, folder: Path
) -> int:
    """Write about `number` documents of `files`, drawn from many places, into `folder`; their bytes in the inputs."""
    suffix_of = {file.path: next(s for s in (*config.suffixes, "") if file.path.endswith(s)) for file in files}
    if config.kind not in ("warc", "wet") and {*suffix_of.values()} != {".jsonl"}:
        raise UserError(
            f"source.{name}: no estimate for files of kind {config.kind}, compressed JSON lines among them; plan draws "
            "from WARC, WET and plain JSON lines"
        )
    records = _lines if config.kind == "jsonl" else _records
    total = sum(file.num_bytes for file in files)
    seen: set[tuple[str, int]] = set()
    num_documents = num_bytes = 0
    for _ in range(10 * _PLACES):  # a place near the end of a file, or of damage, gives few records or none
        at = draw.randrange(max(total, 1))
        for file in files:
            if at < file.num_bytes:
                break
            at -= file.num_bytes
        wanted = min(-(-number // _PLACES), number - num_documents)
        with (folder / f"part{suffix_of[file.path]}").open("ab") as out:
            for offset, is_document, data in records(file, at) if wanted > 0 else ():
                if (file.path, offset) in seen:
                    break
                seen.add((file.path, offset))
                out.write(data)
                num_bytes += len(data)
                num_documents += is_document
                wanted -= is_document
                if wanted == 0:
                    break
    if not num_documents:
        raise RunError(f"source.{name}: no record was found in {len(files)} files; is `kind` that of the files?")
    return num_bytes


def _records(file: InputFile, at: int) -> Iterator[tuple[int, bool, bytes]]:
    """(offset, is it a document, stored bytes) of the records behind byte `at`."""
    begin = next_record(file, at)
    with open_input(file) as stream:
        for record in read_records(file, begin, lambda offset, cause: None) if begin is not None else ():
            if record.length < 0 or file.path.endswith((".zst", ".lz4")):
                raise UserError(
                    f"{file.path}: not stored so that one record can be read without those before it, which an "
                    "estimate needs; compress each record by itself, with gzip"
                )
            stream.seek(record.offset)
            kind = record.headers.get("warc-type", "").lower()
            yield record.offset, kind in _DOCUMENTS, stream.read(record.length)


def _lines(file: InputFile, at: int) -> Iterator[tuple[int, bool, bytes]]:
    with open_input(file, max(0, at - 1)) as stream:
        at = max(0, at - 1) + len(stream.readline()) if at else 0
        for line in stream:
            yield at, True, line if line.endswith(b"\n") else line + b"\n"
            at += len(line)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


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
