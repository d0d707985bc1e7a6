"""How the blocks of work are put together for global stages.

    blocks of work    ├─a─┼──b──┼─c─┼────d────┼e┤    what one task took through a pass (`pipelines.run.blocks`)
    blocks of the     ├────────────┼───────────┤     some tens of thousands of rows or more: what a stage reads and
    exchange                                         leaves files for

What a stage leaves is a few files for each block, and later steps read a part of each. So their number must grow with
the rows and not with the units. The layout is fixed after the first pass and holds for all passes; no result depends on
it, but files of a killed stage do, so it is written down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from pipelines.recipe import Pass
from pipelines.run.folder import RunFolder
from pipelines.run.opening import Run
from shards.atomic import write_json
from shards.exchange import Block
from shards.unit_key import UnitKey

_LEAST_ROWS, _MOST_ROWS = 2_000, 1 << 20
_SHARE = 64  # a run that is large enough has so many blocks: work for as many processes
_ROW_BYTES = 512  # that a stage's task holds at most for a row of its block


class Made(NamedTuple):
    """A block of work as the driver remembers it."""

    key: UnitKey
    file: str  # of its first unit
    live_rows: int


def rows_of_block(live_rows: int, task_memory: int) -> int:
    """The most rows of a block, in a run whose first pass left `live_rows`, with tasks of `task_memory` bytes."""
    return min(_MOST_ROWS, max(_LEAST_ROWS, live_rows // _SHARE), task_memory // _ROW_BYTES)


@dataclass(frozen=True)
class Exchange:
    """The layout: blocks of work by block of the exchange, in the order of the run."""

    folder: RunFolder
    layout: tuple[tuple[UnitKey, ...], ...]
    files: dict[UnitKey, str]  # by block of work: the input of its first unit

    @classmethod
    def of(cls, run: Run, made: Sequence[Made], task_memory: int) -> Self:
        """The layout of a run whose first pass left the blocks `made`, in the order of the run.

        A block has rows of one source and snapshot, so that stages can compare those by themselves, and no more rows
        than a task of `task_memory` bytes can hold.
        """
        rows = rows_of_block(sum(one.live_rows for one in made), task_memory)
        if run.folder.has(RunFolder.EXCHANGE):
            rows = run.folder.read_json(RunFolder.EXCHANGE, dict[str, int])["rows"]
        else:
            write_json(run.folder.path(RunFolder.EXCHANGE), {"rows": rows})  # synced: stages resume by it
        layout: list[list[UnitKey]] = []
        group, held = None, 0
        for one in made:
            source = run.recipe.sources[one.key.source]
            own = one.key.source, source.snapshot_of(one.key.source, one.file)
            if own != group or held + one.live_rows > rows:
                layout.append([])
                group, held = own, 0
            layout[-1].append(one.key)
            held += one.live_rows
        return cls(run.folder, tuple(map(tuple, layout)), {one.key: one.file for one in made})

    def blocks(self, pass_: Pass) -> list[Block]:
        """The blocks as the local stages of a pass left them."""
        return [
            Block(
                number,
                str(keys[0]),
                tuple(self.folder.path(self.folder.pass_file(pass_.number, key, "text")) for key in keys),
            )
            for number, keys in enumerate(self.layout)
        ]

    def places(self, made: Iterable[Made]) -> dict[UnitKey, tuple[int, int]]:
        """Where each block of work lies after a pass: (number of its block of the exchange, its first row there)."""
        rows = {one.key: one.live_rows for one in made}
        found: dict[UnitKey, tuple[int, int]] = {}
        for number, keys in enumerate(self.layout):
            first = 0
            for key in keys:
                found[key] = number, first
                first += rows[key]
        return found
