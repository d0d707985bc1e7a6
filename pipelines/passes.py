"""Take a run from wherever it stands to its end: pass after pass, then finish.

    pass 0 ──▶ its global stages ──▶ pass 1 ──▶ … ──▶ finish: shards, ledger, dropped ──▶ report.json

Every step looks for what is there already: a unit with a manifest, a global stage with `done.json`, a shard with its
manifest. So a rerun after a kill makes the rest and nothing else.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pyarrow as pa
import pyarrow.compute as pc

from dedup.index import write_earlier
from dedup.same_record import SameRecordConfig
from pipelines.executors import InProcess, ProcessPool
from pipelines.progress import Progress, Report
from pipelines.recipe import Pass
from pipelines.report.build import write_report_json
from pipelines.run.dropped import write_dropped
from pipelines.run.finish import Applied, FinishTask, finish_unit
from pipelines.run.opening import Run
from pipelines.run.unit_files import added_columns, carried_columns, ledger_schema
from pipelines.run.units import UnitTask, run_unit
from pipelines.verbs.remove import carry_over
from shards.atomic import write_bytes, write_json
from shards.errors import RunError
from shards.exchange import VERDICTS, ExchangeUnit, GlobalStageConfig
from shards.lock import locked
from shards.manifest import Manifest, read_manifest
from shards.reader import Damage, only_error
from shards.sink import ArrowSink, open_arrow, read_batches
from shards.stats import Stats

SAME_RECORD = SameRecordConfig(name="same_record")
Verdicts = dict[str, tuple[Applied, ...]]  # by unit key


def execute(run: Run, executor: InProcess | ProcessPool, report: Report) -> None:
    """Make everything that `run` lacks. Raises RunError where it cannot go on; what is made stays."""
    with locked(run.folder), executor:
        passes = run.recipe.passes()
        seconds = _Seconds(run.folder / "work" / "seconds.json")
        units: list[ExchangeUnit] = []
        verdicts: list[Verdicts] = []
        for pass_, carried in zip(passes, carried_columns(passes), strict=True):
            manifests = _PassRun(run, pass_, carried, units).run(executor, report, seconds)
            if pass_.number == 0:
                _require_documents(manifests)
            work = run.folder / "work" / str(pass_.number)
            units = [ExchangeUnit(i, m.key, work / f"{m.key}.text.arrow") for i, m in enumerate(manifests)]
            snapshots = [run.recipe.sources[m.source].snapshot_of(m.source, m.file) for m in manifests]
            groups = {"source": [m.source for m in manifests], "snapshot": snapshots}
            verdicts.append(_resolve(work, pass_, units, groups, executor, report, seconds))
            units = [_behind(unit, verdicts[-1][unit.key], pass_.global_) for unit in units]
        _finish(run, passes, verdicts, executor, report)
        _keep_dedup(run, passes)
        carry_over([folder for folder in (run.saved, run.folder) if folder is not None], run.folder)
        if run.saved is not None:
            _take_kills(run.saved, run.folder)
        _settle_kills(run.folder / "kills.jsonl")
        seconds.write(run.folder / "seconds.json")
        write_report_json(run.folder)
        shutil.rmtree(run.folder / "work", ignore_errors=True)


class _PassRun:
    """The units of one pass: those that are made already, and a task for each that is not.

    In the first pass a file is a chain of units: where the next one begins is known when the one before is made.
    """

    def __init__(self, run: Run, pass_: Pass, carried: pa.Schema, previous: list[ExchangeUnit]) -> None:
        self._run, self._pass, self._carried = run, pass_, carried
        self._sources = list(run.inputs)
        self._tasks: dict[str, UnitTask] = {}
        self._made: dict[str, Manifest] = {}
        if pass_.number == 0 and run.saved is not None:  # where units end is known: all can be made at once
            saved = map(read_manifest, sorted(run.saved.glob("shards/*/*.json")))
            first = [self._task(*_parse_key(unit.key), unit.start) for unit in saved]
        elif pass_.number == 0:
            first = [self._task(name, i) for name, files in run.inputs.items() for i in range(len(files))]
        else:
            first = [self._task(*_parse_key(unit.key), previous=unit) for unit in previous]
        self._todo = [task for begin in first for task in self._open(begin)]

    def run(self, executor: InProcess | ProcessPool, report: Report, seconds: "_Seconds") -> list[Manifest]:
        """Every unit's manifest, in the order of source, file and part."""
        meter = _Meter(self._run, self._pass, report)
        for manifest in self._made.values():
            meter.add(manifest)
        executor.tick = meter.show
        for manifest, spent in executor.map(run_unit, self._todo, self._next):
            self._made[manifest.key] = manifest
            meter.add(manifest)
            seconds.add(spent)
        executor.tick = None
        return [self._made[key] for key in sorted(self._made, key=self._place)]

    def _task(
        self, source: str, index: int, part: int = 0, start: int = 0, previous: ExchangeUnit | None = None
    ) -> UnitTask:
        run = self._run
        return UnitTask(
            run=run.folder,
            pass_=self._pass,
            source_name=source,
            source=run.recipe.sources[source],
            file=run.inputs[source][index],
            file_index=index,
            part=part,
            start=start,
            carried=self._carried,
            fingerprint=run.digest,
            keep_dropped=run.recipe.output.dropped_per_rule != 0,
            keep_texts=run.recipe.output.texts,
            previous=previous,
            saved=run.saved if self._pass.number == 0 else None,
        )

    def _open(self, task: UnitTask | None) -> list[UnitTask]:
        """The first unit from `task` on, along its file, that is not made yet."""
        while task is not None:
            self._tasks[task.key] = task
            manifest = read_manifest(task.manifest_path) if task.manifest_path.exists() else None
            if manifest is None or manifest.fingerprint != self._run.digest:
                return [task]
            self._made[task.key] = manifest
            task = self._after(task, manifest)
        return []

    def _after(self, task: UnitTask, manifest: Manifest) -> UnitTask | None:
        if manifest.next_start is None or self._run.saved is not None:
            return None
        return self._task(task.source_name, task.file_index, task.part + 1, manifest.next_start)

    def _next(self, result: tuple[Manifest, dict[str, float]]) -> list[UnitTask]:
        manifest = result[0]
        return self._open(self._after(self._tasks[manifest.key], manifest))

    def _place(self, key: str) -> tuple[int, int, int]:
        source, index, part = _parse_key(key)
        return self._sources.index(source), index, part


def _parse_key(key: str) -> tuple[str, int, int]:
    source, index, part = key.rsplit("-", 2)
    return source, int(index), int(part)


def _require_documents(manifests: list[Manifest]) -> None:
    if any(Stats.from_json(m.stats)["documents/input"] for m in manifests):
        return
    if damage := [Damage(**d) for m in manifests for d in m.damage]:
        raise only_error(damage)
    raise RunError("the inputs hold no record that could become a document; is the source's `kind` that of the files?")


def global_stages(pass_: Pass) -> tuple[GlobalStageConfig, ...]:
    """Those of the recipe; the first pass also ends the rows of records that were given twice."""
    return (SAME_RECORD, *pass_.global_) if pass_.number == 0 else pass_.global_


def _resolve(
    work: Path,
    pass_: Pass,
    units: list[ExchangeUnit],
    groups: dict[str, list[str]],
    executor: InProcess | ProcessPool,
    report: Report,
    seconds: "_Seconds",
) -> Verdicts:
    """The global stages behind a pass, in order; each sees what those before it left.

    `groups` names, for the scopes that have several, the group of each unit: none sees the rows of another.
    """
    verdicts: Verdicts = {unit.key: () for unit in units}
    stages = global_stages(pass_)
    for number, stage in enumerate(stages):
        folder = work / stage.name
        folders = {u.key: folder for u in units}
        if stage.scope != "run":
            folders = {u.key: folder / group for u, group in zip(units, groups[stage.scope], strict=True)}
        if not (folder / "done.json").exists():
            report(Progress(stage.name, 0, 0, 0, 0, 0))
            began = perf_counter()
            seen = [_behind(unit, verdicts[unit.key], stages[:number]) for unit in units]
            for of_group in dict.fromkeys(folders.values()):
                stage.resolve([unit for unit in seen if folders[unit.key] == of_group], of_group, executor)
            seconds.add({stage.name: perf_counter() - began})
            write_json(folder / "done.json", {"stage": stage.name})
        for unit in units:
            verdicts[unit.key] += (Applied(stage.name, stage.reason, folders[unit.key] / f"{unit.key}.arrow"),)
    return verdicts


def _behind(unit: ExchangeUnit, verdicts: tuple[Applied, ...], stages: Sequence[GlobalStageConfig]) -> ExchangeUnit:
    """The unit as these stages left it."""
    return replace(unit, verdicts=tuple(applied.path for applied in verdicts), added=added_columns(stages))


def _finish(
    run: Run,
    passes: tuple[Pass, ...],
    verdicts: list[Verdicts],
    executor: InProcess | ProcessPool,
    report: Report,
) -> None:
    schema, recipe = ledger_schema(passes), run.recipe.to_toml(paths=False)
    tasks = [
        FinishTask(
            run=run.folder,
            key=key,
            source=_parse_key(key)[0],
            passes=tuple((pass_, of_pass[key]) for pass_, of_pass in zip(passes, verdicts, strict=True)),
            ledger=schema,
            fingerprint=run.digest,
            recipe=recipe,
        )
        for key in verdicts[-1]
    ]
    todo = [task for task in tasks if not task.manifest_path.exists()]
    report(Progress("finish", len(tasks) - len(todo), 0, 0, 0, 0))
    for _ in executor.map(finish_unit, todo):
        pass  # each result is a manifest on disk
    write_dropped(run.folder, tasks, run.recipe.output.dropped_per_rule)


def _keep_dedup(run: Run, passes: tuple[Pass, ...]) -> None:
    """What global stages leave for reports, of all groups that were compared by themselves: edges, alarms, and
    the twins that an index gave."""
    for pass_ in passes:
        for stage in global_stages(pass_):
            made, kept = run.folder / "work" / str(pass_.number) / stage.name, run.folder / "dedup" / stage.name
            if edges := sorted(made.glob("**/edges.arrow")):
                with ArrowSink(kept / "edges.arrow", open_arrow(edges[0]).schema) as sink:
                    for batch in (batch for path in edges for batch in read_batches(path)):
                        sink.write(batch)
            if alarms := sorted(made.glob("**/alarms.json")):
                write_json(kept / "alarms.json", [a for path in alarms for a in json.loads(path.read_bytes())])
            if index := getattr(stage, "index", None):
                verdicts = [p for p in sorted(made.glob("**/*.arrow")) if open_arrow(p).schema == VERDICTS]
                write_earlier(Path(index), verdicts, kept / "earlier.arrow")


def _take_kills(saved: Path, folder: Path) -> None:
    """The journal of pages that killed the extractor, without those that are refused before it now."""
    if not (saved / "kills.jsonl").exists():
        return
    killed: set[str] = set()
    for path in sorted((folder / "ledger").glob("*.arrow")):
        for name in (name for name in open_arrow(path).schema.names if name.endswith(".killed")):
            for batch in read_batches(path, ["id", name]):
                killed.update(batch["id"].filter(pc.fill_null(pc.equal(batch[name], 1), False)).to_pylist())
    lines = (saved / "kills.jsonl").read_bytes().splitlines(keepends=True)
    if taken := [line for line in lines if json.loads(line)["id"] in killed]:
        write_bytes(folder / "kills.jsonl", b"".join(taken))


def _settle_kills(journal: Path) -> None:
    """Each killed page once, in the order of ids: workers append as it happens."""
    if journal.exists():
        whole = {line for line in journal.read_bytes().splitlines(keepends=True) if line.endswith(b"}\n")}
        write_bytes(journal, b"".join(sorted(whole)))


class _Seconds:
    """Seconds by stage over all attempts; for reports, and no part of a run's bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._spent: dict[str, float] = json.loads(path.read_bytes()) if path.exists() else {}

    def add(self, spent: dict[str, float]) -> None:
        for stage, amount in spent.items():
            self._spent[stage] = self._spent.get(stage, 0.0) + amount
        self.write(self._path)

    def write(self, path: Path) -> None:
        write_json(path, {stage: round(amount, 3) for stage, amount in sorted(self._spent.items())})


class _Meter:
    """Adds up what finished units and the batches of open ones come to."""

    def __init__(self, run: Run, pass_: Pass, report: Report) -> None:
        self._sizes = {(source, f.name): f.num_bytes for source, files in run.inputs.items() for f in files}
        self._phase, self._report = f"pass {pass_.number}", report
        self._total = sum(self._sizes.values())
        self._at: dict[tuple[str, str], int] = {}
        self._units = self._documents = self._kept = 0

    def add(self, manifest: Manifest) -> None:
        name = (manifest.source, manifest.file)
        end = self._sizes[name] if manifest.next_start is None else manifest.next_start
        rows = {file.rsplit(".", 2)[1]: written.rows for file, written in manifest.files.items()}
        self._at[name] = max(self._at.get(name, 0), end)
        self._units += 1
        self._documents += rows["facts"]
        self._kept += rows["text"]
        self.show([0, 0, 0])

    def show(self, open_units: list[int]) -> None:
        documents, kept, num_bytes = open_units
        done = min(sum(self._at.values()) + num_bytes, self._total)
        self._report(
            Progress(self._phase, self._units, self._documents + documents, self._kept + kept, done, self._total)
        )
