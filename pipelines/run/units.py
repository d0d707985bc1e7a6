"""Take one unit of work through a pass.

    input or text.arrow ──pass──▶ work/<pass>/<key>.{facts,text,dropped}.arrow   columns: `unit_files`
                                  texts/<key>.arrow       what extraction gave, in the pass that extracts
                                  work/<pass>/<key>.json  the manifest, written last

A unit exists when its manifest does. Other files of it are left by a killed attempt and are written anew.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.crawl.warc import WarcReader
from pipelines.core import measure
from pipelines.executors import Watch
from pipelines.recipe import Pass
from pipelines.run.extracted_texts import TEXTS, Keeper, Recorded, SavedReader, early_stages
from pipelines.run.folder import RunFolder
from pipelines.run.recalled import Recalled, with_saved
from pipelines.run.unit_files import DROPPED, facts_schema, text_schema
from shards.exchange import ExchangeUnit
from shards.manifest import Manifest, WrittenFile, write_manifest
from shards.reader import Damage, FaultyFile, Reader
from shards.row_reader import RowReader
from shards.schema import NO_COLUMNS
from shards.source import SourceConfig
from shards.stage import Batch, Stage, StageConfig, with_columns
from shards.stats import Stats
from shards.storage import InputFile
from shards.unit_key import UnitKey

_STAGES = 64  # that a worker holds, with their models; more than a recipe has


@dataclass(frozen=True)
class UnitTask:
    """A unit in one pass. The first pass reads `file` from `start`; later ones read the pass before."""

    run: RunFolder
    key: UnitKey
    pass_: Pass
    source: SourceConfig
    file: InputFile
    start: int
    carried: (
        pa.Schema
    )  # columns of the text file beside row, provenance and text: `brought`, and what stages added so far
    fingerprint: str
    keep_dropped: bool
    keep_texts: bool
    previous: ExchangeUnit | None = None  # the unit as the previous pass left it, with its verdicts
    brought: pa.Schema = NO_COLUMNS  # columns that the rows of a source of shards have besides
    saved: RunFolder | None = None  # a finished run: the stages up to extraction come from its ledger and texts
    recalled: frozenset[str] = frozenset()  # names of later stages that come from its ledger

    @property
    def manifest_path(self) -> Path:
        return self.run.path(self.run.pass_manifest(self.pass_.number, self.key))

    @property
    def recalled_stages(self) -> list[StageConfig]:
        return [config for config in self.pass_.local if config.name in self.recalled]


def run_unit(task: UnitTask, watch: Watch) -> tuple[Manifest, dict[str, float]]:
    """Take one unit through one pass. Returns its manifest and the seconds that each stage took."""
    stages, keeper = _stages(task)
    stats, seconds = Stats(), {"read": 0.0, "write": 0.0}
    rows = _Rows(task)
    facts, text = facts_schema(task.pass_), text_schema(task.carried)
    run, number, texts = task.run, task.pass_.number, task.run.texts(task.key)
    with ExitStack() as files:
        facts_sink = files.enter_context(run.sink(run.pass_file(number, task.key, "facts"), facts))
        text_sink = files.enter_context(run.sink(run.pass_file(number, task.key, "text"), text))
        dropped_sink = files.enter_context(run.sink(run.pass_file(number, task.key, "dropped"), DROPPED))
        if keeper is not None:
            texts_sink = files.enter_context(run.sink(texts, pa.schema([*TEXTS, *task.brought])))
        began = perf_counter()
        advanced = np.zeros(3, np.int64)
        for batch_number, batch in enumerate(rows):
            seconds["read"] += perf_counter() - began
            watch.check_stop()
            if task.previous is None:
                stats.add("documents/input", batch.num_rows)
            measured = measure(batch, stages, stats)
            for name, spent in measured.seconds.items():
                seconds[name] = seconds.get(name, 0.0) + spent
            began = perf_counter()
            parts = [_conform(_with_sizes(part), facts) for part in (measured.kept, *measured.dropped)]
            table = pa.Table.from_batches(parts).sort_by("row").combine_chunks()
            for part in table.to_batches():
                facts_sink.write(part)
            text_sink.write(_conform(measured.kept, text))
            if keeper is not None:
                texts_sink.write(keeper.kept(batch, batch_number))
            if task.keep_dropped:
                for part in measured.dropped:
                    dropped_sink.write(_conform(part.filter(pc.is_valid(part["text"])), DROPPED))
            seconds["write"] += perf_counter() - began
            amounts = (batch.num_rows, measured.kept.num_rows, _stored_bytes(batch))
            watch.advance(*amounts)
            advanced += amounts
            began = perf_counter()
    written = {s.path.name: WrittenFile.of(s) for s in (facts_sink, text_sink, dropped_sink)}
    if keeper is not None:
        written[texts] = WrittenFile.of(texts_sink)
    manifest = Manifest(
        key=str(task.key),
        source=task.key.source,
        file=task.file.name,
        start=task.start,
        next_start=rows.next_start,
        fingerprint=task.fingerprint,
        stats=(stats + rows.stats).to_json(),
        damage=[asdict(d) for d in rows.damage],
        files=written,
    )
    write_manifest(task.manifest_path, manifest)
    watch.advance(*(-int(amount) for amount in advanced))
    return manifest, seconds


def _stored_bytes(batch: Batch) -> int:
    """The bytes of the batch in its WARC file; 0 for rows of other files, whose `warc_length` is -1."""
    return pc.sum(pc.max_element_wise(batch["warc_length"], 0)).as_py() or 0


class _Rows:
    """The batches that a unit reads in this pass, numbered by `row`."""

    def __init__(self, task: UnitTask) -> None:
        self._task = task
        self.next_start: int | None = None
        self.stats, self.damage = Stats(), list[Damage]()

    def __iter__(self) -> Iterator[Batch]:
        task = self._task
        if task.saved is None:
            yield from self._batches()
        else:
            yield from with_saved(self._batches(), task.saved, task.key, task.recalled_stages)

    def _batches(self) -> Iterator[Batch]:
        task = self._task
        if task.previous is not None:
            for _, batch in task.previous.batches(task.previous.columns()):
                yield batch
            return
        if task.saved is not None:
            saved = SavedReader(task.saved, task.key, early_stages(task.pass_))
            yield from saved
            self.next_start, self.stats, self.damage = saved.next_start, saved.stats, saved.damage
            return
        reader = _reader(task)
        first = 0
        for batch in reader:
            yield with_columns(batch, {"row": pa.array(np.arange(first, first + batch.num_rows))})
            first += batch.num_rows
        self.next_start, self.stats, self.damage = reader.next_start, reader.stats, reader.damage


def _reader(task: UnitTask) -> Reader:
    if task.file.fault:
        return FaultyFile(task.file.name, task.file.fault)
    if task.source.is_crawl:
        return WarcReader(task.key.source, task.file, task.start, task.source.kind)
    return RowReader(task.source, task.key.source, task.file, task.start, task.brought)


def _stages(task: UnitTask) -> tuple[list[tuple[StageConfig, Stage]], Keeper | None]:
    """The pass's stages, and the one among them that holds the texts to be kept."""
    early, recalled = early_stages(task.pass_), task.recalled_stages
    stages: list[tuple[StageConfig, Stage]] = []
    for config in task.pass_.local:
        build = partial(_built, config, task.run)
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
def _built(config: StageConfig, run: RunFolder) -> Stage:
    """Models load once a worker, not once a unit."""
    name = config.journal()
    return config.build_in(None if name is None else run.path(name))


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
    columns = [batch[f.name].cast(f.type) if f.name in names else pa.nulls(batch.num_rows, f.type) for f in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
