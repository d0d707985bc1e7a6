"""Take units of work through a pass, a block of them at a time.

    input or text.arrow ──pass──▶ work/<pass>/<block>.{facts,text,dropped}.arrow   columns: `unit_files`
                                  texts/<key>.arrow         what extraction gave, in the pass that extracts
                                  work/<pass>/<block>.json  the manifest, written last

A block exists when its manifest does. Other files of it are left by a killed attempt and are written anew.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.crawl.indexed import IndexedReader
from cleaners.crawl.warc import WarcReader
from pipelines.core import measure
from pipelines.executors import Watch
from pipelines.recipe import Pass
from pipelines.run.blocks import MadeBlock, MadeUnit, UnitBatches, read_block, write_block
from pipelines.run.extracted_texts import TEXTS, Keeper, Recorded, SavedReader, early_stages
from pipelines.run.folder import RunFolder
from pipelines.run.recalled import Recalled, with_saved
from pipelines.run.unit_files import DROPPED, facts_schema, text_schema
from shards.exchange import Block
from shards.manifest import WrittenFile
from shards.reader import Damage, FaultyFile, Reader
from shards.row_reader import RowReader
from shards.schema import NO_COLUMNS
from shards.selection import read_places
from shards.sink import ArrowSink
from shards.source import SourceConfig
from shards.stage import Batch, Stage, StageConfig, with_columns
from shards.stats import Stats
from shards.storage import InputFile
from shards.unit_key import UnitKey

_STAGES = 64  # that a worker holds, with their models; more than a recipe has
_LOSSES = 2  # of a task with its worker, after which its stages look which page it is that kills
_SMALL_BYTES = 1 << 20  # of texts, which share a record batch with those of the next unit
_FULL_ROWS, _FULL_BYTES = 20_000, 64 << 20  # a block with so many rows or bytes takes no further unit


@dataclass(frozen=True)
class UnitInput:
    """Where a unit begins."""

    key: UnitKey
    file: InputFile
    start: int = 0
    live_rows: int = 0  # that the pass before left of it


@dataclass(frozen=True)
class BlockTask:
    """Units of one source in one pass. The first pass reads their files; later ones read the pass before."""

    run: RunFolder
    key: UnitKey  # of the block: that of its first unit
    pass_: Pass
    source: SourceConfig
    carried: (
        pa.Schema
    )  # columns of the text file beside row, provenance and text: `brought`, and what stages added so far
    fingerprint: str
    keep_dropped: bool
    keep_texts: bool
    units: tuple[UnitInput, ...] = ()  # of the first pass; later ones take those of the pass before
    follow: bool = False  # whether the next units of the files are made in this block too
    previous: Block | None = None  # the block as the previous pass left it, with its verdicts
    brought: pa.Schema = NO_COLUMNS  # columns that the rows of a source of shards have besides
    saved: RunFolder | None = None  # a finished run: the stages up to extraction come from its ledger and texts
    recalled: frozenset[str] = frozenset()  # names of later stages that come from its ledger

    @property
    def recalled_stages(self) -> list[StageConfig]:
        return [config for config in self.pass_.local if config.name in self.recalled]


@dataclass(frozen=True)
class Ran:
    """What came of a task."""

    block: MadeBlock
    seconds: dict[str, float]  # by stage
    rest: tuple[UnitInput, ...]  # units of the task that the block has no room for


def run_block(task: BlockTask, watch: Watch) -> Ran:
    """Take the units of one block through one pass."""
    run, number = task.run, task.pass_.number
    todo = deque(task.units or _units_before(task))
    made: list[MadeUnit] = []
    with ExitStack() as files:
        block = _OpenBlock(task, watch, files)
        while todo and not block.is_full():
            unit = todo.popleft()
            made.append(block.add(unit))
            if task.follow and (next_start := made[-1].next_start) is not None:
                todo.appendleft(following(unit, next_start))
    written = {name: WrittenFile.of(sink) for name, sink in block.sinks.items()}
    whole = MadeBlock(task.fingerprint, tuple(made), written)
    write_block(run.path(run.pass_manifest(number, task.key)), whole)
    watch.advance(*(-int(amount) for amount in block.advanced))
    return Ran(whole, block.seconds, tuple(todo))


def following(unit: UnitInput, start: int) -> UnitInput:
    """The next unit of the file, which begins at `start`."""
    return replace(unit, key=unit.key.following, start=start)


def _units_before(task: BlockTask) -> Iterator[UnitInput]:
    """The units of the block, as the pass before made them."""
    for unit in read_block(task.run.path(task.run.pass_manifest(task.pass_.number - 1, task.key))).units:
        yield UnitInput(UnitKey.parse(unit.key), InputFile("", unit.file, 0), live_rows=unit.live_rows)


class _OpenBlock:
    """The files of a block that is being written."""

    def __init__(self, task: BlockTask, watch: Watch, files: ExitStack) -> None:
        self._task, self._watch = task, watch
        self._stages, self._keeper = _stages(task, careful=watch.losses >= _LOSSES)
        self._facts, self._text = facts_schema(task.pass_), text_schema(task.carried)
        self.sinks: dict[str, ArrowSink] = {}

        def sink(what: Literal["facts", "text", "dropped"], schema: pa.Schema) -> ArrowSink:
            name = task.run.pass_file(task.pass_.number, task.key, what)
            self.sinks[name] = files.enter_context(task.run.sink(name, schema))
            return self.sinks[name]

        self.facts, self.text = sink("facts", self._facts), sink("text", self._text)
        self.dropped = sink("dropped", DROPPED)
        previous = task.previous
        self._before = None if previous is None else UnitBatches(previous, previous.columns())
        self.seconds = {"read": 0.0, "write": 0.0}
        self.advanced = np.zeros(3, np.int64)

    def is_full(self) -> bool:
        return self._num_rows()[0] >= _FULL_ROWS or self.text.num_bytes >= _FULL_BYTES

    def add(self, unit: UnitInput) -> MadeUnit:
        """Take a unit through the pass."""
        task, stats, read = self._task, Stats(), _Rows(self._task, unit, self._before)
        before = self._num_rows()
        with ExitStack() as files:
            texts = None
            if self._keeper is not None:
                schema = pa.schema([*TEXTS, *task.brought])
                texts = files.enter_context(task.run.sink(task.run.texts(unit.key), schema))
            began = perf_counter()
            for number, batch in enumerate(read):
                self.seconds["read"] += perf_counter() - began
                self._watch.check_stop()
                self._add_batch(number, batch, stats, texts)
                began = perf_counter()
        if self.text.num_pending[1] > _SMALL_BYTES:
            self.text.end_batch()  # so that the batches of a large unit do not depend on those before it
        rows, live_rows, dropped_rows = (now - earlier for now, earlier in zip(self._num_rows(), before, strict=True))
        return MadeUnit(
            key=str(unit.key),
            file=unit.file.name,
            start=unit.start,
            next_start=read.next_start,
            stats=(stats + read.stats).to_json(),
            damage=[asdict(d) for d in read.damage],
            failed=tuple(read.failed),
            rows=rows,
            live_rows=live_rows,
            dropped_rows=dropped_rows,
            texts=None if texts is None else WrittenFile.of(texts),
        )

    def _num_rows(self) -> list[int]:
        return [sink.num_rows + sink.num_pending[0] for sink in self.sinks.values()]

    def _add_batch(self, number: int, batch: Batch, stats: Stats, texts: ArrowSink | None) -> None:
        """Take a batch through the stages, the unit's number `number`, and write what comes of it."""
        if self._task.previous is None:
            stats.add("documents/input", batch.num_rows)
        measured = measure(batch, self._stages, stats)
        for name, spent in measured.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
        began = perf_counter()
        parts = [_conform(_with_sizes(part), self._facts) for part in (measured.kept, *measured.dropped)]
        table = pa.Table.from_batches(parts).sort_by("row").combine_chunks()
        for part in table.to_batches():
            self.facts.write(part)
        self.text.write(_conform(measured.kept, self._text))
        if texts is not None and self._keeper is not None:
            texts.write(self._keeper.kept(batch, number))
        if self._task.keep_dropped:
            for part in measured.dropped:
                self.dropped.write(_conform(part.filter(pc.is_valid(part["text"])), DROPPED))
        self.seconds["write"] += perf_counter() - began
        amounts = (batch.num_rows, measured.kept.num_rows, _stored_bytes(batch))
        self._watch.advance(*amounts)
        self.advanced += amounts


def _stored_bytes(batch: Batch) -> int:
    """The bytes of the batch in its WARC file; 0 for rows of other files, whose `warc_length` is -1."""
    return pc.sum(pc.max_element_wise(batch["warc_length"], 0)).as_py() or 0


class _Rows:
    """The batches that a unit reads in this pass, numbered by `row`."""

    def __init__(self, task: BlockTask, unit: UnitInput, before: UnitBatches | None) -> None:
        self._task, self._unit, self._before = task, unit, before
        self.next_start: int | None = None
        self.stats, self.damage = Stats(), list[Damage]()
        self.failed: list[dict[str, Any]] = []

    def __iter__(self) -> Iterator[Batch]:
        task = self._task
        if task.saved is None:
            yield from self._batches()
        else:
            yield from with_saved(self._batches(), task.saved, self._unit.key, task.recalled_stages)

    def _batches(self) -> Iterator[Batch]:
        task = self._task
        if self._before is not None:
            yield from self._before.of_next(self._unit.live_rows)
            return
        if task.saved is not None:
            saved = SavedReader(task.saved, self._unit.key, early_stages(task.pass_))
            yield from saved
            self.next_start, self.stats, self.damage = saved.next_start, saved.stats, saved.damage
            return
        reader = _reader(task, self._unit)
        first = 0
        for batch in reader:
            yield with_columns(batch, {"row": pa.array(np.arange(first, first + batch.num_rows))})
            first += batch.num_rows
        self.next_start, self.stats, self.damage = reader.next_start, reader.stats, reader.damage
        if isinstance(reader, IndexedReader):
            self.failed = reader.failed


def _reader(task: BlockTask, unit: UnitInput) -> Reader:
    if unit.file.fault:
        return FaultyFile(unit.file.name, unit.file.fault)
    if unit.file.chosen is not None:
        places = read_places(task.run.path(task.run.selection(unit.key.source)), unit.file.chosen)
        return IndexedReader(unit.key.source, unit.file, places, unit.start, task.source.requests_per_second)
    if task.source.is_crawl:
        return WarcReader(unit.key.source, unit.file, unit.start, task.source.kind)
    return RowReader(task.source, unit.key.source, unit.file, unit.start, task.brought)


def _stages(task: BlockTask, *, careful: bool) -> tuple[list[tuple[StageConfig, Stage]], Keeper | None]:
    """The pass's stages, and the one among them that holds the texts to be kept."""
    early, recalled = early_stages(task.pass_), task.recalled_stages
    stages: list[tuple[StageConfig, Stage]] = []
    for config in task.pass_.local:
        build = partial(_built, config, task.run, careful=careful)
        if task.saved is not None and config in early:
            stages.append((config, Recorded(config)))
            continue
        if config not in recalled or config.journal() is not None:
            build()  # a journal is written where its stage is built
        stages.append((config, Recalled(config, build) if config in recalled else build()))
    if not (task.keep_texts and early):
        return stages, None
    config, stage = stages[len(early) - 1]
    keeper = Keeper(stage, task.brought)
    stages[len(early) - 1] = (config, keeper)
    return stages, keeper


@lru_cache(maxsize=_STAGES)
def _built(config: StageConfig, run: RunFolder, *, careful: bool) -> Stage:
    """Models load once a worker, not once a unit."""
    name = config.journal()
    return config.build_in(None if name is None else run.path(name), careful=careful)


def _with_sizes(batch: Batch) -> Batch:
    return with_columns(
        batch,
        {
            "text_chars": pc.cast(pc.utf8_length(batch["text"]), pa.int64()),
            "text_bytes": pc.cast(pc.binary_length(batch["text"]), pa.int64()),
        },
    )


def _conform(batch: Batch, schema: pa.Schema) -> Batch:
    """The columns of `schema`, in its order; null where the batch has none."""
    names = set(batch.schema.names)
    columns = [batch[f.name] if f.name in names else pa.nulls(batch.num_rows, f.type) for f in schema]
    typed = [c if c.type == f.type else c.cast(f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(typed, schema=schema)
