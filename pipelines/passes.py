"""Make a run: take it from wherever it stands to its end, pass after pass, then finish.

    pass 0 ──▶ its global stages ──▶ pass 1 ──▶ … ──▶ finish: shards, ledger, dropped ──▶ report.json

Every step first looks for what is there: a block with a manifest, a global stage with its mark, a shard with its
manifest. So a rerun after a kill makes the rest and nothing else.
"""

import json
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Self

import pyarrow.compute as pc

from cleaners.crawl.indexed import failed_lines
from dedup.index import write_earlier
from pipelines.executors import Counters, Executor, Job
from pipelines.numbers import counted
from pipelines.progress import Progress, Report
from pipelines.recipe import Pass
from pipelines.report.build import write_report_json
from pipelines.report.partial import LiveReport
from pipelines.run.blocks import MadeBlock, read_blocks
from pipelines.run.dropped import Candidates, Removal, candidates, chosen_ids, write_dropped
from pipelines.run.exchange import Exchange
from pipelines.run.finish import Applied, Decided, FinishTask, finish_block
from pipelines.run.folder import RunFolder
from pipelines.run.manifests import SummaryWriter
from pipelines.run.opening import Run, group_of_unit
from pipelines.run.pass_run import PassRun
from pipelines.run.restart import trust_work
from pipelines.run.unit_files import added_columns, carried_columns, ledger_schema
from pipelines.run.units import Ran, run_block
from pipelines.verbs.remove import carry_over
from shards import mirror
from shards.atomic import write_json
from shards.cores import usable_cores
from shards.errors import RunError
from shards.exchange import ALARMS_FILE, EDGES_FILE, VERDICTS, Block, GlobalStageConfig
from shards.lease import Lease
from shards.lock import locked
from shards.reader import Damage, only_error
from shards.sink import open_arrow, read_batches, read_table
from shards.stats import Stats
from shards.unit_key import UnitKey

_SECONDS_S = 5.0  # between two writes of `_Seconds`: a kill loses what was spent since the last


def execute(run: Run, executor: Executor, report: Report, *, until_global: bool = False) -> None:
    """Make everything that `run` lacks, or, with `until_global`, what comes before the first global stage.

    Raises RunError where it cannot go on; finished units stay.
    """
    folder = run.folder
    with locked(folder.root) as lease, executor, _Seconds(folder) as seconds:
        executor.begin(Job(folder.root, lease.owner.token, run.recipe.files()))
        live = LiveReport(folder, run.recipe, run.digest)
        report = _both(lease.checked(report), live)  # before each step, and now and then in it
        trust_work(folder)
        passes = run.recipe.passes()
        exchange: Exchange | None = None
        blocks: list[Block] = []
        work: dict[UnitKey, tuple[Decided, ...]] = {}  # by block of work
        for pass_, carried in zip(passes, carried_columns(passes), strict=True):
            previous = [(key, _by_itself(decided, key, folder)) for key, decided in work.items()]
            passing = PassRun(run, pass_, carried, previous)
            live.follow(passing)
            _run_pass(run, passing, pass_, executor, report, seconds)
            if until_global:
                return
            if pass_.number == 0:
                _require_documents(run.folder, passing.stats, passing.damage)
            if exchange is None:
                exchange = Exchange.of(run, passing.made, executor.task_memory)
                work = dict.fromkeys((one.key for one in passing.made), ())
            blocks = exchange.blocks(pass_)
            verdicts = _resolve(run, pass_, exchange, blocks, executor, report, seconds)
            for key, (number, first) in exchange.places(passing.made).items():
                work[key] += (Decided(pass_, verdicts[number], first),)
        _finish(run, passes, work, executor, report, lease)
        _keep_dedup(folder, passes)
        if carry_over([one for one in (run.saved, folder) if one is not None], folder):
            folder.delete(RunFolder.BLOCK_LEDGERS)  # which still have what was removed
        if run.saved is not None:
            _take_kills(run.saved, folder)
        _sort_kills(folder)
        _write_failed(folder)
        lease.check()
        seconds.keep(executor.workers)
        folder.remove_parts()
        folder.sync()
        live.remove()
        write_report_json(folder.root)
        folder.sync()
        folder.delete(RunFolder.WORK)


def _both(first: Report, second: Report) -> Report:
    def report(progress: Progress) -> None:
        first(progress)
        second(progress)

    return report


def _by_itself(decided: Sequence[Decided], key: UnitKey, folder: RunFolder) -> Block:
    """A block of work as the last of its passes left it."""
    last = decided[-1]
    text = folder.path(folder.pass_file(last.pass_.number, key, "text"))
    return _after(Block(0, str(key), (text,), first=last.first), last.verdicts, last.pass_.global_)


def _run_pass(run: Run, passing: PassRun, pass_: Pass, executor: Executor, report: Report, seconds: "_Seconds") -> None:
    """Make the blocks that are missing."""
    passing.split(executor, report)
    meter = _Meter(run, pass_, report)
    for block in passing.found:
        meter.add(block)
    todo = passing.todo
    ran: Ran
    while todo:
        for ran in executor.map_watched(run_block, todo, passing.add, meter.show):
            meter.add(ran.block)
            seconds.add(ran.seconds)
        todo = passing.unlinked()
    run.folder.sync()


def _require_documents(folder: RunFolder, stats: Stats, damage: list[Damage]) -> None:
    """End a run without documents. Its folder is left as one of an untouched run, which gives way to another."""
    if stats["documents/input"]:
        return
    folder.delete(RunFolder.WORK)
    if damage:
        raise only_error(damage)
    if num_excluded := stats["records/not_selected"]:
        raise RunError(f"the source's `where` excludes all {num_excluded:,} rows; check its columns and values")
    raise RunError("the inputs hold no record that could become a document; is the source's `kind` that of the files?")


def _resolve(
    run: Run,
    pass_: Pass,
    exchange: Exchange,
    blocks: Sequence[Block],
    executor: Executor,
    report: Report,
    seconds: "_Seconds",
) -> list[tuple[Applied, ...]]:
    """Run the global stages that end a pass, in order; each sees what the earlier ones left. Returns what they decided
    of each block."""
    verdicts: list[tuple[Applied, ...]] = [() for _ in blocks]
    keys = [of_block[0] for of_block in exchange.layout]
    for number, stage in enumerate(pass_.global_):
        folder = run.folder.path(run.folder.stage_work(pass_.number, stage.name))
        groups = [folder / group_of_unit(run.recipe, key, exchange.files[key], stage) for key in keys]
        if not _is_resolved(folder):
            report(Progress(stage.name, 0, 0, 0, 0, 0))
            began = perf_counter()
            seen = [_after(block, verdicts[block.number], pass_.global_[:number]) for block in blocks]
            for group in dict.fromkeys(groups):
                stage.resolve([block for block in seen if groups[block.number] == group], group, executor)
            seconds.add({stage.name: perf_counter() - began})
            run.folder.sync()
            left = [path.relative_to(folder).as_posix() for path in mirror.glob(folder, "**/*.arrow")]
            write_json(folder / RunFolder.STAGE_DONE, {"stage": stage.name, "files": left})
        for block in blocks:
            applied = Applied(stage.name, stage.reason, groups[block.number] / f"{block.key}.arrow")
            verdicts[block.number] += (applied,)
    return verdicts


def _is_resolved(folder: Path) -> bool:
    """Whether a global stage has ended, and all that it left is there: a missing file of verdicts would say that
    nothing was removed."""
    try:
        wanted = json.loads(mirror.read_bytes(folder / RunFolder.STAGE_DONE))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return {*wanted} <= {path.relative_to(folder).as_posix() for path in mirror.glob(folder, "**/*.arrow")}


def _after(block: Block, verdicts: tuple[Applied, ...], stages: Sequence[GlobalStageConfig]) -> Block:
    """The block as these stages left it."""
    return replace(block, verdicts=tuple(applied.path for applied in verdicts), added=added_columns(stages))


def _finish(
    run: Run,
    passes: tuple[Pass, ...],
    work: Mapping[UnitKey, tuple[Decided, ...]],
    executor: Executor,
    report: Report,
    lease: Lease,
) -> None:
    schema, recipe = ledger_schema(passes), run.recipe.to_toml(paths=False)
    per_rule = run.recipe.output.dropped_per_rule
    blocks = read_blocks(run.folder, 0)
    units = {block.key: [UnitKey.parse(unit.key) for unit in block.units] for block in blocks if block.key in work}
    there = run.folder.listing(RunFolder.SHARDS, ".json")
    finished = {key for key in work if all(RunFolder.manifest(unit) in there for unit in units[key])}
    tasks = [
        FinishTask(
            run=run.folder,
            key=key,
            passes=decided,
            ledger=schema,
            fingerprint=run.digest,
            recipe=recipe,
            dropped_per_rule=per_rule,
        )
        for key, decided in work.items()
        if key not in finished
    ]
    report(Progress("finish", len(finished), 0, 0, 0, 0))
    summaries = SummaryWriter(run.folder, [unit for of_block in units.values() for unit in of_block])

    def dropped() -> Iterator[Candidates]:
        yield from (_candidates(run.folder, unit, per_rule) for key in finished for unit in units[key])
        for done in executor.map(finish_block, tasks):
            lease.check()
            for manifest in done.manifests:
                summaries.add(manifest)
            yield done.dropped

    chosen = chosen_ids(dropped(), per_rule)  # which finishes all blocks on its way
    if per_rule != 0 and not run.folder.has(RunFolder.DROPPED_TEXTS):
        removals = (
            (key, [[Removal(a.reason, a.path, one.first) for a in one.verdicts] for one in decided])
            for key, decided in work.items()
        )
        write_dropped(run.folder, removals, None if per_rule < 0 else chosen)


def _candidates(run: RunFolder, key: UnitKey, per_rule: int) -> Candidates:
    """The candidates of a unit that an earlier attempt finished."""
    ledger = read_table(run.path(run.ledger(key)), ["id", "drop_reasons"])
    return candidates(ledger["id"], ledger["drop_reasons"], per_rule)


def _keep_dedup(run: RunFolder, passes: tuple[Pass, ...]) -> None:
    """Keep what global stages leave for reports: edges, alarms, and the documents of an index that rows are copies of.

    A stage that compares parts of the run by themselves leaves files for each part.
    """
    for pass_ in passes:
        for stage in pass_.global_:
            made = run.path(run.stage_work(pass_.number, stage.name))
            if edges := mirror.glob(made, f"**/{EDGES_FILE}"):
                with run.sink(run.dedup(stage.name, EDGES_FILE), open_arrow(edges[0]).schema) as sink:
                    for batch in (batch for path in edges for batch in read_batches(path)):
                        sink.write(batch)
            if alarms := mirror.glob(made, f"**/{ALARMS_FILE}"):
                written = [alarm for path in alarms for alarm in json.loads(mirror.read_bytes(path))]
                run.write_json(run.dedup(stage.name, ALARMS_FILE), written)
            if stage.index_folder is not None:
                verdicts = [path for path in mirror.glob(made, "**/*.arrow") if open_arrow(path).schema == VERDICTS]
                earlier = run.path(run.dedup(stage.name, RunFolder.EARLIER))
                write_earlier(Path(stage.index_folder), verdicts, earlier)


def _take_kills(saved: RunFolder, run: RunFolder) -> None:
    """Take over the journal of pages that killed the extractor, without those that are now refused earlier."""
    if not (lines := saved.journal(RunFolder.KILLS).splitlines(keepends=True)):
        return
    killed: set[str] = set()
    for path in (run.path(run.ledger(key)) for key in run.ledgers()):
        for name in (name for name in open_arrow(path).schema.names if name.endswith(".killed")):
            for batch in read_batches(path, ["id", name]):
                killed.update(batch["id"].filter(pc.fill_null(pc.equal(batch[name], 1), False)).to_pylist())
    path = saved.path(RunFolder.KILLS)
    try:
        taken = [line for line in lines if json.loads(line)["id"] in killed]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: not what was written ({error}); delete its broken line and run again") from None
    if taken:
        run.write(RunFolder.KILLS, b"".join(taken))


def _sort_kills(run: RunFolder) -> None:
    """Each killed page once, in the order of ids: workers append as it happens."""
    if lines := run.journal(RunFolder.KILLS).splitlines(keepends=True):
        run.set_journal(RunFolder.KILLS, b"".join(sorted({line for line in lines if line.endswith(b"}\n")})))


def _write_failed(run: RunFolder) -> None:
    """The records of indexes that could not be had, as rows of an index, in the order of the run."""
    units = (unit for block in read_blocks(run, 0) for unit in block.units)
    if lines := b"".join(failed_lines(unit.failed) for unit in units):
        run.write(RunFolder.FAILED, lines)


class _Seconds:
    """Seconds by stage over all attempts, and what ran them, for reports; they are no part of a run's bytes."""

    def __init__(self, run: RunFolder) -> None:
        self._run, self._began = run, perf_counter()
        self._spent: dict[str, float] = {}
        if run.has(RunFolder.WORK_SECONDS):
            with suppress(RunError):  # emptied by a restart of the machine: times are all that is lost
                self._spent = run.read_json(RunFolder.WORK_SECONDS, dict[str, float])
        self._written = perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._write(RunFolder.WORK_SECONDS)

    def add(self, spent: dict[str, float]) -> None:
        for stage, amount in spent.items():
            self._spent[stage] = self._spent.get(stage, 0.0) + amount
        if perf_counter() - self._written > _SECONDS_S:
            self._written = perf_counter()
            self._write(RunFolder.WORK_SECONDS)

    def keep(self, workers: int) -> None:
        """Write them where a finished run has them, with the time of this attempt, the machine and the command."""
        name, *arguments = sys.argv
        facts = {
            "stages": self._rounded(),
            "wall_s": round(perf_counter() - self._began, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00"),
            "workers": workers,
            "machine": f"{platform.node()}, {platform.machine()}, {counted(usable_cores(), 'core')}",
            "command": shlex.join([Path(name).name, *arguments]),
        }
        self._run.write_json(RunFolder.SECONDS, facts)

    def _write(self, name: str) -> None:
        self._run.write_json(name, self._rounded())

    def _rounded(self) -> dict[str, float]:
        return {stage: round(amount, 3) for stage, amount in sorted(self._spent.items())}


class _Meter:
    """Adds up finished units and the batches of open ones, for progress, which never goes back.

    A unit that ends takes its part back a moment before its manifest counts.
    """

    def __init__(self, run: Run, pass_: Pass, report: Report) -> None:
        self._sizes = {(source, f.name): f.num_bytes for source, files in run.inputs.items() for f in files}
        self._phase, self._report = f"pass {pass_.number}", report
        self._total = sum(self._sizes.values())
        self._read: dict[tuple[str, str], int] = {}  # bytes by source and file
        self._finished = 0  # their sum
        self._units = self._documents = self._kept = 0
        self._shown = (0, 0, 0)

    def add(self, block: MadeBlock) -> None:
        for unit in block.units:
            name = (block.key.source, unit.file)
            size, before = self._sizes[name], self._read.get(name, 0)
            # Places are in inflated bytes, where the file is compressed JSON lines.
            start, end = (min(size, place) for place in (unit.start, unit.next_start or size))
            self._read[name] = min(size, before + end - start)
            self._finished += self._read[name] - before
            self._documents += unit.rows
            self._kept += unit.live_rows
        self._units += len(block.units)
        self.show([0, 0, 0])

    def show(self, open_units: Counters) -> None:
        documents, kept, num_bytes = open_units
        done = max(self._finished, min(self._finished + num_bytes, self._total - 1))  # an open unit is not the end
        now = (self._documents + documents, self._kept + kept, done)
        documents, kept, done = (max(pair) for pair in zip(self._shown, now, strict=True))
        self._shown = documents, kept, done
        self._report(Progress(self._phase, self._units, documents, kept, done, self._total))
