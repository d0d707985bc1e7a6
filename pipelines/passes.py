"""Make a run: take it from wherever it stands to its end, pass after pass, then finish.

    pass 0 ──▶ its global stages ──▶ pass 1 ──▶ … ──▶ finish: shards, ledger, dropped ──▶ report.json

Every step first looks for what is there: a unit with a manifest, a global stage with its mark, a shard with its
manifest. So a rerun after a kill makes the rest and nothing else.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pyarrow as pa
import pyarrow.compute as pc

from dedup.index import write_earlier
from pipelines.executors import Counters, Executor
from pipelines.progress import Progress, Report
from pipelines.recipe import Pass
from pipelines.report.build import write_report_json
from pipelines.run.dropped import write_dropped
from pipelines.run.finish import Applied, FinishTask, finish_unit
from pipelines.run.folder import RunFolder
from pipelines.run.opening import Run, group_of_unit
from pipelines.run.unit_files import added_columns, carried_columns, ledger_schema
from pipelines.run.units import UnitTask, run_unit
from pipelines.verbs.remove import carry_over
from shards.atomic import write_json
from shards.errors import RunError
from shards.exchange import ALARMS_FILE, EDGES_FILE, VERDICTS, ExchangeUnit, GlobalStageConfig
from shards.lock import locked
from shards.manifest import Manifest, read_manifest
from shards.reader import Damage, only_error
from shards.schema import NO_COLUMNS
from shards.sink import open_arrow, read_batches
from shards.stats import Stats
from shards.unit_key import UnitKey

Verdicts = dict[str, tuple[Applied, ...]]  # by unit key


def execute(run: Run, executor: Executor, report: Report) -> None:
    """Make everything that `run` lacks. Raises RunError where it cannot go on; finished units stay."""
    folder = run.folder
    with locked(folder.root), executor:
        passes = run.recipe.passes()
        seconds = _Seconds(folder)
        units: list[ExchangeUnit] = []
        verdicts: list[Verdicts] = []
        for pass_, carried in zip(passes, carried_columns(passes), strict=True):
            manifests = _PassRun(run, pass_, carried, units).run(executor, report, seconds)
            if pass_.number == 0:
                _require_documents(folder, manifests)
            units = [
                ExchangeUnit(i, m.key, folder.path(folder.pass_file(pass_.number, UnitKey.parse(m.key), "text")))
                for i, m in enumerate(manifests)
            ]
            files = {manifest.key: manifest.file for manifest in manifests}
            verdicts.append(_resolve(run, pass_, units, files, executor, report, seconds))
            units = [_after(unit, verdicts[-1][unit.key], pass_.global_) for unit in units]
        _finish(run, passes, verdicts, executor, report)
        _keep_dedup(folder, passes)
        carry_over([one for one in (run.saved, folder) if one is not None], folder)
        if run.saved is not None:
            _take_kills(run.saved, folder)
        _sort_kills(folder)
        seconds.keep()
        write_report_json(folder.root)
        folder.delete(RunFolder.WORK)


class _PassRun:
    """The units of one pass: those that are made, and a task for each that is not.

    In the first pass a file is a chain of units: where one begins is known when the previous one is made.
    """

    def __init__(self, run: Run, pass_: Pass, carried: pa.Schema, previous: list[ExchangeUnit]) -> None:
        self._run, self._pass, self._carried = run, pass_, carried
        self._tasks: dict[UnitKey, UnitTask] = {}
        self._made: dict[UnitKey, Manifest] = {}
        if pass_.number == 0 and run.saved is not None:  # where units end is known: all can be made at once
            first = [self._task(UnitKey.parse(made.key), made.start) for made in run.saved.manifests()]
        elif pass_.number == 0:
            first = [self._task(UnitKey(name, i, 0)) for name, files in run.inputs.items() for i in range(len(files))]
        else:
            first = [self._task(UnitKey.parse(unit.key), previous=unit) for unit in previous]
        self._todo = [task for begin in first for task in self._open(begin)]

    def run(self, executor: Executor, report: Report, seconds: "_Seconds") -> list[Manifest]:
        """Every unit's manifest, in the order of source, file and part."""
        meter = _Meter(self._run, self._pass, report)
        for manifest in self._made.values():
            meter.add(manifest)
        for manifest, spent in executor.map_watched(run_unit, self._todo, self._next, meter.show):
            self._made[UnitKey.parse(manifest.key)] = manifest
            meter.add(manifest)
            seconds.add(spent)
        order = {source: number for number, source in enumerate(self._run.inputs)}
        return [self._made[key] for key in sorted(self._made, key=lambda key: (order[key.source], key))]

    def _task(self, key: UnitKey, start: int = 0, previous: ExchangeUnit | None = None) -> UnitTask:
        run = self._run
        brought = run.brought.get(key.source, NO_COLUMNS)
        return UnitTask(
            run=run.folder,
            key=key,
            pass_=self._pass,
            source=run.recipe.sources[key.source],
            file=run.inputs[key.source][key.file],
            start=start,
            carried=pa.schema([*brought, *self._carried]),
            fingerprint=run.digest,
            keep_dropped=run.recipe.output.dropped_per_rule != 0,
            keep_texts=run.recipe.output.texts,
            previous=previous,
            brought=brought,
            saved=run.saved,
            recalled=run.recalled,
        )

    def _open(self, task: UnitTask | None) -> list[UnitTask]:
        """The first unit from `task` on, along its file, that is not made."""
        while task is not None:
            self._tasks[task.key] = task
            manifest = read_manifest(task.manifest_path) if task.manifest_path.exists() else None
            if manifest is None or manifest.fingerprint != self._run.digest:
                return [task]
            self._made[task.key] = manifest
            task = self._following(task, manifest)
        return []

    def _following(self, task: UnitTask, manifest: Manifest) -> UnitTask | None:
        if manifest.next_start is None or self._run.saved is not None:
            return None
        return self._task(replace(task.key, part=task.key.part + 1), manifest.next_start)

    def _next(self, result: tuple[Manifest, dict[str, float]]) -> list[UnitTask]:
        manifest = result[0]
        return self._open(self._following(self._tasks[UnitKey.parse(manifest.key)], manifest))


def _require_documents(folder: RunFolder, manifests: list[Manifest]) -> None:
    """End a run without documents. Its folder is left as one of an untouched run, which gives way to another."""
    stats = Stats.sum(Stats.from_json(m.stats) for m in manifests)
    if stats["documents/input"]:
        return
    folder.delete(RunFolder.WORK)
    if damage := [Damage(**d) for m in manifests for d in m.damage]:
        raise only_error(damage)
    if num_excluded := stats["records/not_selected"]:
        raise RunError(f"the source's `where` excludes all {num_excluded:,} rows; check its columns and values")
    raise RunError("the inputs hold no record that could become a document; is the source's `kind` that of the files?")


def _resolve(
    run: Run,
    pass_: Pass,
    units: list[ExchangeUnit],
    files: dict[str, str],
    executor: Executor,
    report: Report,
    seconds: "_Seconds",
) -> Verdicts:
    """Run the global stages that end a pass, in order; each sees what the earlier ones left.

    `files` names the input of each unit, from which follows the part of the run in which a stage compares it.
    """
    verdicts: Verdicts = {unit.key: () for unit in units}
    for number, stage in enumerate(pass_.global_):
        folder = run.folder.path(run.folder.stage_work(pass_.number, stage.name))
        of_unit = {
            unit.key: folder / group_of_unit(run.recipe, UnitKey.parse(unit.key), files[unit.key], stage)
            for unit in units
        }
        if not (folder / RunFolder.STAGE_DONE).exists():
            report(Progress(stage.name, 0, 0, 0, 0, 0))
            began = perf_counter()
            seen = [_after(unit, verdicts[unit.key], pass_.global_[:number]) for unit in units]
            for group in dict.fromkeys(of_unit.values()):
                stage.resolve([unit for unit in seen if of_unit[unit.key] == group], group, executor)
            seconds.add({stage.name: perf_counter() - began})
            write_json(folder / RunFolder.STAGE_DONE, {"stage": stage.name})
        for unit in units:
            verdicts[unit.key] += (Applied(stage.name, stage.reason, of_unit[unit.key] / f"{unit.key}.arrow"),)
    return verdicts


def _after(unit: ExchangeUnit, verdicts: tuple[Applied, ...], stages: Sequence[GlobalStageConfig]) -> ExchangeUnit:
    """The unit as these stages left it."""
    return replace(unit, verdicts=tuple(applied.path for applied in verdicts), added=added_columns(stages))


def _finish(run: Run, passes: tuple[Pass, ...], verdicts: list[Verdicts], executor: Executor, report: Report) -> None:
    schema, recipe = ledger_schema(passes), run.recipe.to_toml(paths=False)
    tasks = [
        FinishTask(
            run=run.folder,
            key=UnitKey.parse(key),
            passes=tuple((pass_, of_pass[key]) for pass_, of_pass in zip(passes, verdicts, strict=True)),
            ledger=schema,
            fingerprint=run.digest,
            recipe=recipe,
        )
        for key in verdicts[-1]
    ]
    todo = [task for task in tasks if not run.folder.has(RunFolder.manifest(task.key))]
    report(Progress("finish", len(tasks) - len(todo), 0, 0, 0, 0))
    for _ in executor.map(finish_unit, todo):
        pass  # each result is a manifest on disk
    write_dropped(run.folder, tasks, run.recipe.output.dropped_per_rule)


def _keep_dedup(run: RunFolder, passes: tuple[Pass, ...]) -> None:
    """Keep what global stages leave for reports: edges, alarms, and the documents of an index that rows are copies of.

    A stage that compares parts of the run by themselves leaves files for each part.
    """
    for pass_ in passes:
        for stage in pass_.global_:
            made = run.path(run.stage_work(pass_.number, stage.name))
            if edges := sorted(made.glob(f"**/{EDGES_FILE}")):
                with run.sink(run.dedup(stage.name, EDGES_FILE), open_arrow(edges[0]).schema) as sink:
                    for batch in (batch for path in edges for batch in read_batches(path)):
                        sink.write(batch)
            if alarms := sorted(made.glob(f"**/{ALARMS_FILE}")):
                written = [alarm for path in alarms for alarm in json.loads(path.read_bytes())]
                run.write_json(run.dedup(stage.name, ALARMS_FILE), written)
            if stage.index_folder is not None:
                verdicts = [path for path in sorted(made.glob("**/*.arrow")) if open_arrow(path).schema == VERDICTS]
                earlier = run.path(run.dedup(stage.name, RunFolder.EARLIER))
                write_earlier(Path(stage.index_folder), verdicts, earlier)


def _take_kills(saved: RunFolder, run: RunFolder) -> None:
    """Take over the journal of pages that killed the extractor, without those that are now refused earlier."""
    if not saved.has(RunFolder.KILLS):
        return
    killed: set[str] = set()
    for path in (run.path(run.ledger(key)) for key in run.ledgers()):
        for name in (name for name in open_arrow(path).schema.names if name.endswith(".killed")):
            for batch in read_batches(path, ["id", name]):
                killed.update(batch["id"].filter(pc.fill_null(pc.equal(batch[name], 1), False)).to_pylist())
    path = saved.path(RunFolder.KILLS)
    try:
        taken = [line for line in path.read_bytes().splitlines(keepends=True) if json.loads(line)["id"] in killed]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: not what was written ({error}); delete its broken line and run again") from None
    if taken:
        run.write(RunFolder.KILLS, b"".join(taken))


def _sort_kills(run: RunFolder) -> None:
    """Each killed page once, in the order of ids: workers append as it happens."""
    if run.has(RunFolder.KILLS):
        lines = run.path(RunFolder.KILLS).read_bytes().splitlines(keepends=True)
        run.write(RunFolder.KILLS, b"".join(sorted({line for line in lines if line.endswith(b"}\n")})))


class _Seconds:
    """Seconds by stage over all attempts, for reports; they are no part of a run's bytes."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        there = run.has(RunFolder.WORK_SECONDS)
        self._spent = run.read_json(RunFolder.WORK_SECONDS, dict[str, float]) if there else {}

    def add(self, spent: dict[str, float]) -> None:
        for stage, amount in spent.items():
            self._spent[stage] = self._spent.get(stage, 0.0) + amount
        self._write(RunFolder.WORK_SECONDS)

    def keep(self) -> None:
        """Write them where a finished run has them."""
        self._write(RunFolder.SECONDS)

    def _write(self, name: str) -> None:
        self._run.write_json(name, {stage: round(amount, 3) for stage, amount in sorted(self._spent.items())})


class _Meter:
    """Adds up finished units and the batches of open ones, for progress, which never goes back.

    A unit that ends takes its part back a moment before its manifest counts.
    """

    def __init__(self, run: Run, pass_: Pass, report: Report) -> None:
        self._sizes = {(source, f.name): f.num_bytes for source, files in run.inputs.items() for f in files}
        self._phase, self._report = f"pass {pass_.number}", report
        self._total = sum(self._sizes.values())
        self._read: dict[tuple[str, str], int] = {}  # bytes by source and file
        self._units = self._documents = self._kept = 0
        self._shown = (0, 0, 0)

    def add(self, manifest: Manifest) -> None:
        name = (manifest.source, manifest.file)
        end = self._sizes[name]
        if manifest.next_start is not None:  # in inflated bytes, where the file is compressed JSON lines
            end = min(end, manifest.next_start)
        rows = {file.rsplit(".", 2)[1]: written.rows for file, written in manifest.files.items()}
        self._read[name] = max(self._read.get(name, 0), end)
        self._units += 1
        self._documents += rows["facts"]
        self._kept += rows["text"]
        self.show([0, 0, 0])

    def show(self, open_units: Counters) -> None:
        documents, kept, num_bytes = open_units
        finished = sum(self._read.values())
        done = max(finished, min(finished + num_bytes, self._total - 1))  # an open unit is not the end
        now = (self._documents + documents, self._kept + kept, done)
        documents, kept, done = (max(pair) for pair in zip(self._shown, now, strict=True))
        self._shown = documents, kept, done
        self._report(Progress(self._phase, self._units, documents, kept, done, self._total))
