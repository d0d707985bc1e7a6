"""The work of one pass: which blocks are made, and a task for each unit that is not.

    small files ──some together──▶ a task, which makes all of their units
    large file  ──▶ a task for its next unit ──▶ a task for the one after it ──▶ …

In the first pass a file is a chain of units: where one begins is known when the previous one is made. Of a large file,
`pipelines.run.splitting` finds it before. Later passes take the blocks of the pass before.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import pyarrow as pa

from pipelines.executors import Executor
from pipelines.progress import Report
from pipelines.recipe import Pass
from pipelines.run.blocks import MadeBlock, read_blocks
from pipelines.run.exchange import Made
from pipelines.run.opening import Run
from pipelines.run.splitting import OpenChain, Span, follow, starts_ahead
from pipelines.run.units import BlockTask, Ran, UnitInput, following
from shards.exchange import Block
from shards.manifest import Manifest
from shards.reader import Damage
from shards.schema import NO_COLUMNS
from shards.stats import Stats
from shards.storage import InputFile
from shards.unit_key import UnitKey

_TOGETHER_BYTES, _TOGETHER_FILES = 8 << 20, 256  # of the input files of one task, at most
_TOGETHER_ROWS = 5_000  # of the units of one task, where these are known
_SHARE = 64  # a run has so many tasks, if its files allow it: work for as many processes


class PassRun:
    """The tasks of one pass. Tell it what came of each (`add`), and it gives those that follow."""

    def __init__(self, run: Run, pass_: Pass, carried: pa.Schema, previous: Sequence[tuple[UnitKey, Block]]) -> None:
        """`previous` are the blocks of work as the pass before left them, each as a block by itself."""
        self._run, self._pass, self._carried = run, pass_, carried
        self.stats, self.damage = Stats(), list[Damage]()  # of all blocks that are made
        self._made: dict[UnitKey, Made] = {}
        self._spans: dict[UnitKey, Span] = {}  # of the units that are made
        self._begun: set[tuple[str, int]] = set()  # files that have some
        self._ahead: set[UnitKey] = set()  # units that are tasks before the one before them is made
        self._split: list[UnitInput] = []  # the first unit that was not made, of each file that was split
        self.found: list[MadeBlock] = []  # that an earlier attempt made, without their counts
        for block in read_blocks(run.folder, pass_.number):
            if block.fingerprint == run.digest:
                self._note(block)
                units = (replace(unit, stats={}, damage=[]) for unit in block.units)
                self.found.append(replace(block, units=tuple(units)))
        if pass_.number > 0:
            todo = [self._task(key, previous=block) for key, block in previous if key not in self._made]
        elif run.saved is not None:  # where units end is known: all can be made at once
            todo = [*self._saved_tasks(run.saved.manifests())]
        else:
            todo = [task for name, files in run.inputs.items() for task in self._first_tasks(name, files)]
        self.todo = todo

    @property
    def made(self) -> list[Made]:
        """The blocks that are made, in the order of the run."""
        order = {source: number for number, source in enumerate(self._run.inputs)}
        return [self._made[key] for key in sorted(self._made, key=lambda key: (order[key.source], key))]

    def add(self, ran: Ran) -> list[BlockTask]:
        """Note what a task made; returns the tasks that follow from it."""
        self._note(ran.block)
        if ran.rest:
            return [self._task(ran.rest[0].key, ran.rest, follow=len(ran.rest) > 1)]
        last = ran.block.units[-1]
        if last.next_start is None or self._run.saved is not None:
            return []
        units = self._first_open(UnitKey.parse(last.key).following, last.next_start)
        return [self._task(unit.key, (unit,)) for unit in units if unit.key not in self._ahead]

    def split(self, executor: Executor, report: Report) -> None:
        """Add the units of large files that follow the first one which is not made."""
        if self._pass.number > 0 or self._run.saved is not None:
            return
        open_units = [task.units[0] for task in self.todo if len(task.units) == 1]
        sources = self._run.recipe.sources
        chains = [OpenChain(unit.key, sources[unit.key.source], unit.file, unit.start) for unit in open_units]
        starts = starts_ahead(chains, executor, report)
        for unit in open_units:
            if unit.key in starts:
                self._split.append(unit)
                for start in starts[unit.key]:
                    unit = following(unit, start)
                    if self._spans.get(unit.key, Span(-1, None)).start != start:
                        self._ahead.add(unit.key)
                        self.todo.append(self._task(unit.key, (unit,)))

    def unlinked(self) -> list[BlockTask]:
        """The first unit of each split file that does not begin where the one before it ends.

        What was made of the file after that place is forgotten, and the file goes on as a chain.
        """
        todo: list[BlockTask] = []
        for first in self._split:
            linked, missing = follow(first.key, first.start, self._spans)
            after = {key for key in self._spans if key.chain == first.key.chain and key.part >= first.key.part}
            for key in after - linked:
                del self._spans[key]
                self._made.pop(key, None)
                self._run.folder.delete_block(self._pass.number, key)
            if missing is not None:
                self._ahead = {key for key in self._ahead if key.chain != first.key.chain}
                unit = replace(first, key=missing[0], start=missing[1])
                todo.append(self._task(unit.key, (unit,)))
        return todo

    def _note(self, block: MadeBlock) -> None:
        self._made[block.key] = Made(block.key, block.units[0].file, block.live_rows)
        self.stats += Stats.sum(Stats.from_json(unit.stats) for unit in block.units)
        self.damage += (Damage(**place) for unit in block.units for place in unit.damage)
        for unit in block.units:
            key = UnitKey.parse(unit.key)
            self._spans[key] = Span(unit.start, unit.next_start)
            self._begun.add(key.chain)

    def _first_tasks(self, source: str, files: Sequence[InputFile]) -> Iterator[BlockTask]:
        """The tasks of a source's files, of which some units may be made."""
        total = sum(file.num_bytes for of_source in self._run.inputs.values() for file in of_source)
        most = min(_TOGETHER_BYTES, total // _SHARE)
        config = self._run.recipe.sources[source]
        together: list[UnitInput] = []
        num_bytes = 0
        snapshot = None
        for number, file in enumerate(files):
            is_new = (source, number) not in self._begun
            of_file = config.snapshot_of(source, file.name)
            fits = num_bytes + file.num_bytes <= most and len(together) < _TOGETHER_FILES and of_file == snapshot
            if together and not (is_new and fits):
                yield self._task(together[0].key, together, follow=len(together) > 1)
                together, num_bytes = [], 0
            if is_new:
                together.append(UnitInput(UnitKey(source, number, 0), file))
                num_bytes, snapshot = num_bytes + file.num_bytes, of_file
            else:
                yield from (self._task(unit.key, (unit,)) for unit in self._first_open(UnitKey(source, number, 0), 0))
        if together:
            yield self._task(together[0].key, together, follow=len(together) > 1)

    def _first_open(self, key: UnitKey, start: int) -> Iterator[UnitInput]:
        """The first unit that is not made, from the one that begins at `start` along its file; none where all are."""
        _, missing = follow(key, start, self._spans)
        if missing is not None:
            yield UnitInput(missing[0], self._run.inputs[key.source][key.file], missing[1])

    def _saved_tasks(self, manifests: Iterable[Manifest]) -> Iterator[BlockTask]:
        """Tasks for the units of a finished run, of which some may be made."""

        rows = 0

        def group(manifest: Manifest) -> tuple[bool, str, str, int]:
            nonlocal rows
            key = UnitKey.parse(manifest.key)
            rows += manifest.stats.get("documents/input", 0)
            snapshot = self._run.recipe.sources[key.source].snapshot_of(key.source, manifest.file)
            return key in self._spans, key.source, snapshot, rows // _TOGETHER_ROWS

        for (is_made, *_), units in groupby(manifests, group):
            if not is_made:
                keyed = ((UnitKey.parse(unit.key), unit.start) for unit in units)
                inputs = [UnitInput(key, self._run.inputs[key.source][key.file], start) for key, start in keyed]
                yield self._task(inputs[0].key, inputs)

    def _task(
        self, key: UnitKey, units: Sequence[UnitInput] = (), *, follow: bool = False, previous: Block | None = None
    ) -> BlockTask:
        run = self._run
        brought = run.brought.get(key.source, NO_COLUMNS)
        return BlockTask(
            run=run.folder,
            key=key,
            units=tuple(units),
            follow=follow,
            pass_=self._pass,
            source=run.recipe.sources[key.source],
            carried=pa.schema([*brought, *self._carried]),
            fingerprint=run.digest,
            keep_dropped=run.recipe.output.dropped_per_rule != 0,
            keep_texts=run.recipe.output.texts,
            previous=previous,
            brought=brought,
            saved=run.saved,
            recalled=run.recalled,
        )
