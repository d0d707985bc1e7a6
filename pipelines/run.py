"""A run: a recipe applied to its inputs, in one folder, resumable at any moment.

    run/run.json          fingerprint and what it is made of: written first, compared on every rerun
    run/recipe.toml       the resolved recipe
    run/work/             passes under way; removed when the run is done
    run/shards/<source>/  kept documents and, beside each shard, its manifest
    run/ledger/           a row for every record
    run/dropped/          texts of dropped rows
    run/dedup/            verified edges and alarms of global stages
    run/kills.jsonl       pages that killed the extractor
    run/report.json       written last: the run is done

Resume is: make what has no manifest. Units already made are never made again, and a folder of another recipe, other
inputs or another version is refused, the differing keys named.
"""

import fcntl
import hashlib
import json
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dedup.same_record import SameRecordConfig
from pipelines.dropped import write_dropped
from pipelines.executors import InProcess, ProcessPool
from pipelines.recipe import Pass, Recipe
from pipelines.units import (
    Applied,
    FinishTask,
    UnitTask,
    carried_columns,
    finish_unit,
    ledger_schema,
    run_unit,
)
from shards.atomic import disk_error, write_bytes, write_json
from shards.errors import RunError, UserError
from shards.exchange import ExchangeUnit, GlobalStageConfig
from shards.manifest import Manifest, read_manifest
from shards.source import Damage, only_error
from shards.stage import StageConfig
from shards.stats import Stats
from shards.storage import InputFile, find_inputs

# Libraries whose version changes what comes out, for the fingerprint.
_LIBRARIES = ("trafilatura", "resiliparse", "fastwarc", "lxml", "fasttext-community")
_DISK_SHARE = 0.6  # of the inputs' bytes: work, shards and ledger took .38 of gzip WARC on 3,013 real pages
_DISK_LEAST = 200 << 20


@dataclass(frozen=True)
class Progress:
    """What the caller shows while a run goes on."""

    phase: str  # "pass 0", "dedup.near", "finish"
    units_done: int
    documents: int
    kept: int
    bytes_done: int
    bytes_total: int


Report = Callable[[Progress], None]


@dataclass
class Run:
    """One run folder and what belongs in it."""

    folder: Path
    recipe: Recipe
    inputs: dict[str, list[InputFile]]  # by source
    fingerprint: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.fingerprint = fingerprint(self.recipe, self.inputs)

    @property
    def digest(self) -> str:
        return str(self.fingerprint["digest"])


def open_run(recipe: Recipe, folder: Path, *, overwrite: bool = False) -> Run:
    """The run of `recipe` in `folder`, new or to be resumed. Everything that can be refused is refused here."""
    inputs = {
        name: find_inputs(source.paths, source.suffixes, f"source.{name}.paths")
        for name, source in recipe.sources.items()
    }
    run = Run(folder, recipe, inputs)
    made_of = folder / "run.json"
    if made_of.exists():
        found = _read_json(made_of)
        if found["digest"] != run.digest:
            if not overwrite:
                raise UserError(
                    f"{folder}: holds another run; different: {', '.join(_differences(found, run.fingerprint))}; "
                    "choose another --out, or --overwrite to redo it"
                )
            _clear(folder)
        elif overwrite and (folder / "report.json").exists():
            _clear(folder)
    elif folder.exists() and any(p.name not in ("run.json.part", ".lock") for p in folder.iterdir()):
        raise UserError(f"{folder}: is not empty and is no run of gristmill; choose another --out")
    _look_at_disk(run)
    if not made_of.exists():
        write_json(made_of, run.fingerprint)
    if not (folder / "recipe.toml").exists():
        write_bytes(folder / "recipe.toml", recipe.to_toml().encode())
    return run


def is_done(folder: Path) -> bool:
    return (folder / "report.json").exists()


def execute(run: Run, executor: InProcess | ProcessPool, report: Report) -> None:
    """Take the run from wherever it stands to its end."""
    from pipelines.report import write_report_json

    with _locked(run.folder), executor:
        seconds: dict[str, float] = _read_json(run.folder / "work" / "seconds.json", default={})
        passes = run.recipe.passes()
        carried = carried_columns(passes)
        units: list[ExchangeUnit] = []
        applied: list[tuple[Pass, dict[str, tuple[Applied, ...]]]] = []
        for pass_, columns in zip(passes, carried, strict=True):
            manifests = _run_pass(run, pass_, columns, units, executor, report, seconds)
            units = _exchange_units(run, pass_, manifests)
            if pass_.number == 0 and not any(Stats.from_json(m.stats)["documents/input"] for m in manifests):
                _nothing_read(manifests)
            verdicts = _resolve(run, pass_, units, executor, report, seconds)
            applied.append((pass_, verdicts))
            units = [ExchangeUnit(u.number, u.key, u.text, tuple(a.path for a in verdicts[u.key])) for u in units]
        _finish(run, applied, units, executor, report)
        _keep_dedup(run, passes)
        write_json(run.folder / "seconds.json", {k: round(v, 3) for k, v in sorted(seconds.items())})
        write_report_json(run.folder)
        shutil.rmtree(run.folder / "work", ignore_errors=True)


def _run_pass(
    run: Run,
    pass_: Pass,
    carried: tuple[str, ...],
    previous: list[ExchangeUnit],
    executor: InProcess | ProcessPool,
    report: Report,
    seconds: dict[str, float],
) -> list[Manifest]:
    """Every unit's manifest, in the order of source, file and part."""
    digest = run.digest

    def task(source: str, index: int, part: int, start: int, before: ExchangeUnit | None = None) -> UnitTask:
        return UnitTask(
            run.folder, pass_, source, run.recipe.sources[source], run.inputs[source][index], index, part, start,
            carried, digest, run.recipe.output.dropped_per_rule != 0, before,
        )  # fmt: skip

    done: dict[str, Manifest] = {}
    order: dict[str, tuple[int, int, int]] = {}
    sources = list(run.inputs)

    def known(task: UnitTask) -> Manifest | None:
        path = task.stem.with_name(task.key + ".json")
        manifest = read_manifest(path) if path.exists() else None
        return manifest if manifest is not None and manifest.fingerprint == digest else None

    def open_tasks(task: UnitTask) -> list[UnitTask]:
        """The first unit from `task` on, along its file, that is not made yet."""
        while True:
            order[task.key] = (sources.index(task.source_name), task.file_index, task.part)
            manifest = known(task)
            if manifest is None:
                return [task]
            done[task.key] = manifest
            if manifest.next_start is None:
                return []
            task = next_task(task, manifest)

    def next_task(before: UnitTask, manifest: Manifest) -> UnitTask:
        assert manifest.next_start is not None
        return task(before.source_name, before.file_index, before.part + 1, manifest.next_start)

    if pass_.number == 0:
        first = [task(name, i, 0, 0) for name, files in run.inputs.items() for i in range(len(files))]
    else:
        first = [task(*_parse_key(u.key), 0, u) for u in previous]
    by_key = {t.key: t for t in first}
    todo = [t for f in first for t in open_tasks(f)]
    by_key |= {t.key: t for t in todo}
    progress = _Meter(run, pass_, report)
    for manifest in done.values():
        progress.add(manifest)

    def then(result: tuple[Manifest, dict[str, float]]) -> list[UnitTask]:
        manifest = result[0]
        if manifest.next_start is None:
            return []
        after = open_tasks(next_task(by_key[manifest.key], manifest))
        by_key.update({t.key: t for t in after})
        return after

    executor.tick = progress.show
    for manifest, spent in executor.map(run_unit, todo, then):
        done[manifest.key] = manifest
        progress.add(manifest)
        for stage, amount in spent.items():
            seconds[stage] = seconds.get(stage, 0.0) + amount
        write_json(run.folder / "work" / "seconds.json", seconds)
    executor.tick = None
    return [done[key] for key in sorted(done, key=order.__getitem__)]


def _parse_key(key: str) -> tuple[str, int, int]:
    source, index, part = key.rsplit("-", 2)
    return source, int(index), int(part)


def _exchange_units(run: Run, pass_: Pass, manifests: list[Manifest]) -> list[ExchangeUnit]:
    work = run.folder / "work" / str(pass_.number)
    return [ExchangeUnit(number, m.key, work / f"{m.key}.text.arrow") for number, m in enumerate(manifests)]


def _resolve(
    run: Run, pass_: Pass, units: list[ExchangeUnit], executor: InProcess | ProcessPool, report: Report,
    seconds: dict[str, float],
) -> dict[str, tuple[Applied, ...]]:  # fmt: skip
    """The global stages behind a pass, in order; each sees what those before it left. By unit, their verdicts."""
    from time import perf_counter

    verdicts: dict[str, tuple[Applied, ...]] = {unit.key: () for unit in units}
    for stage in _global_stages(pass_):
        folder = run.folder / "work" / str(pass_.number) / stage.name
        done = folder / "done.json"
        if not done.exists():
            report(Progress(stage.name, 0, 0, 0, 0, 0))
            began = perf_counter()
            stage.resolve(units, folder, executor)
            seconds[stage.name] = seconds.get(stage.name, 0.0) + perf_counter() - began
            write_json(done, {"stage": stage.name})
        for unit in units:
            verdicts[unit.key] += (Applied(stage.name, stage.reason, folder / f"{unit.key}.arrow"),)
        units = [ExchangeUnit(u.number, u.key, u.text, (*u.verdicts, folder / f"{u.key}.arrow")) for u in units]
    return verdicts


def _global_stages(pass_: Pass) -> tuple[GlobalStageConfig, ...]:
    """Those of the recipe; the first pass also ends the rows of records that were given twice."""
    same = (SameRecordConfig(name="same_record"),) if pass_.number == 0 else ()
    return (*same, *pass_.global_)


def _finish(
    run: Run,
    applied: list[tuple[Pass, dict[str, tuple[Applied, ...]]]],
    units: list[ExchangeUnit],
    executor: InProcess | ProcessPool,
    report: Report,
) -> None:
    passes = tuple(pass_ for pass_, _ in applied)
    schema, recipe = ledger_schema(passes), run.recipe.to_toml()
    tasks = [
        FinishTask(
            run.folder, u.key, _parse_key(u.key)[0], tuple((p, verdicts[u.key]) for p, verdicts in applied),
            schema, run.digest, recipe,
        )
        for u in units
    ]  # fmt: skip
    todo = [t for t in tasks if not t.manifest_path.exists()]
    report(Progress("finish", len(tasks) - len(todo), 0, 0, 0, 0))
    for _ in executor.map(finish_unit, todo):
        pass  # each result is a manifest on disk
    write_dropped(run.folder, tasks, run.recipe.output.dropped_per_rule)


def _keep_dedup(run: Run, passes: tuple[Pass, ...]) -> None:
    """What global stages leave for reports: edges and alarms."""
    for pass_ in passes:
        for stage in _global_stages(pass_):
            for name in ("edges.arrow", "alarms.json"):
                made = run.folder / "work" / str(pass_.number) / stage.name / name
                if made.exists():
                    target = run.folder / "dedup" / stage.name / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    write_bytes(target, made.read_bytes())


def _nothing_read(manifests: list[Manifest]) -> None:
    damage = [Damage(**d) for m in manifests for d in m.damage]
    if damage:
        raise only_error(damage)
    raise RunError(
        "the inputs hold no record that could become a document; see `gristmill run --help` for source kinds"
    )


class _Meter:
    def __init__(self, run: Run, pass_: Pass, report: Report) -> None:
        files = {(s, f.name): f for s, fs in run.inputs.items() for f in fs}
        self._files, self._pass, self._report = files, pass_, report
        self._total = sum(f.num_bytes for f in files.values())
        self._at: dict[tuple[str, str], int] = {}
        self._units = self._documents = self._kept = 0

    def add(self, manifest: Manifest) -> None:
        name = (manifest.source, manifest.file)
        size = self._files[name].num_bytes
        self._at[name] = max(self._at.get(name, 0), size if manifest.next_start is None else manifest.next_start)
        rows = {name.rsplit(".", 2)[1]: written.rows for name, written in manifest.files.items()}
        self._units += 1
        self._documents += rows["facts"]
        self._kept += rows["text"]
        self.show([0, 0, 0])

    def show(self, open_units: list[int]) -> None:
        """What finished units and the batches of open ones come to."""
        documents, kept, num_bytes = open_units
        self._report(
            Progress(
                f"pass {self._pass.number}",
                self._units,
                self._documents + documents,
                self._kept + kept,
                min(sum(self._at.values()) + num_bytes, self._total),
                self._total,
            )
        )


def fingerprint(recipe: Recipe, inputs: dict[str, list[InputFile]]) -> dict[str, Any]:
    """Everything that the run's bytes depend on, and its digest. No paths, workers, memory or output folder."""
    resolved = recipe.resolved()
    sources = {n: {k: v for k, v in s.items() if k != "paths"} for n, s in resolved["source"].items()}
    stages = [stage for _, stage in recipe.stages]
    parts: dict[str, Any] = {
        "version": version("gristmill"),
        "source": sources,
        "stage": {s["name"]: s for s in resolved["stage"]},
        "stage order": [s["name"] for s in resolved["stage"]],
        "stage version": {s.name: s.version for s in stages},
        "output": resolved["output"],
        "digest of": {k: v for s in stages if isinstance(s, StageConfig) for k, v in s.digests().items()},
        "library": {name: version(name) for name in _LIBRARIES},
        "unicode": unicodedata.unidata_version,
        "input": {
            f"{name}/{i:05d}/{f.name}": [f.num_bytes, f.etag or _sample_digest(f)]
            for name, fs in inputs.items()
            for i, f in enumerate(fs)
        },
    }
    data = json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()
    return {"digest": hashlib.sha256(data).hexdigest(), **parts}


def _sample_digest(file: InputFile) -> str:
    """sha256 of a local file's first and last MiB: tells files apart without reading a dump twice."""
    digest = hashlib.sha256()
    with Path(file.path).open("rb") as stream:
        digest.update(stream.read(1 << 20))
        if file.num_bytes > 2 << 20:
            stream.seek(file.num_bytes - (1 << 20))
            digest.update(stream.read())
    return digest.hexdigest()


def _differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = [k for k in {**found, **wanted} if k != "digest"]
        return [d for k in keys for d in _differences(found.get(k), wanted.get(k), f"{path}.{k}" if path else str(k))]
    if found == wanted:
        return []
    return [f"{path} ({_short(found)} there, {_short(wanted)} here)"]


def _short(value: Any) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _clear(folder: Path) -> None:
    """Remove a run's own files, and nothing else that may lie in the folder."""
    with _locked(folder):
        for name in ("work", "shards", "ledger", "dropped", "dedup"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("report.json", "report.html", "kills.jsonl", "seconds.json", "recipe.toml", "run.json"):
            (folder / name).unlink(missing_ok=True)


def _look_at_disk(run: Run) -> None:
    need = max(_DISK_LEAST, int(_DISK_SHARE * sum(f.num_bytes for fs in run.inputs.values() for f in fs)))
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(run.folder).free
    except OSError as error:
        raise disk_error(run.folder, error) from None
    if free < need and not is_done(run.folder):
        raise UserError(
            f"{run.folder}: the run needs about {need / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free; "
            "free some, or choose an --out on another disk"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time works in a run folder; the lock ends with the process, however it ends."""
    try:
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise disk_error(folder, error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{folder}: another gristmill works in this folder; wait for it or choose another --out"
        ) from None
    try:
        yield
    finally:
        handle.close()


def _read_json(path: Path, default: Any = None) -> Any:
    if default is not None and not path.exists():
        return default
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: not readable ({error}); delete the folder and run again") from None
