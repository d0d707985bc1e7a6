"""The manifests of a run's finished units: read from summaries where these know them, else each from its file.

    listing of shards/ ──▶ units and stamps ──▶ summaries/*.arrow ──▶ manifests, or their sums
                                                └─ unknown, changed ──▶ shards/<source>/<key>.json

Summaries are written while a run finishes its units, and by its report. Nothing depends on them but time.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from pipelines.run.summaries import Stamp, Summary
from shards import mirror
from shards.errors import GristmillError, RunError
from shards.manifest import Link, Manifest, read_manifest
from shards.reader import Damage, add_damage
from shards.stats import Stats
from shards.unit_key import UnitKey

if TYPE_CHECKING:
    from pipelines.run.folder import RunFolder

UNITS = 500  # of a summary. With 100 counts a unit it has 380 KB and loads in 2 ms; its manifests have 6.5 MB


@dataclass(frozen=True)
class Sums:
    """What the manifests of a run say together."""

    stats: Stats
    links: list[Link]  # one a unit, in the order of units
    damage: list[Damage]  # a few places of each kind in each input file, however many units the file has


class Manifests:
    """The manifests of the finished units of `run`, in their order, as they are listed now.

    Iterated, they are read some hundreds at a time. RunError where one cannot be read. With `summed` false each comes
    from its own file.
    """

    def __init__(self, run: "RunFolder", *, summed: bool = True) -> None:
        self._run = run
        self._stamps = run.manifest_stamps()
        self.units = tuple(self._stamps)
        self._summaries = run.listing(run.SUMMARIES, ".arrow") if summed else {}

    def __iter__(self) -> Iterator[Manifest]:
        return (manifest for part in self._parts() for manifest in part.manifests())

    def sums(self) -> Sums:
        stats, links, damage = Stats(), list[Link](), dict[str, list[Damage]]()
        for part in self._parts():
            stats += part.stats()
            links += part.links()
            for manifest in part.damaged():
                of_file = damage.setdefault(manifest.key.rpartition("-")[0], [])
                for place in manifest.damage:
                    add_damage(of_file, Damage(**place))
        return Sums(stats, links, [place for of_file in damage.values() for place in of_file])

    def sum_up(self) -> None:
        """Write the summaries that are missing, and those of which a manifest has changed."""
        whole = range(0, len(self.units) - UNITS + 1, UNITS)
        blocks = [self.units[first : first + UNITS] for first in whole]
        for block, summary in zip(blocks, self._read_summaries([block[0] for block in blocks]), strict=True):
            if len(self._unchanged(summary, block).keys()) < len(block):
                _write(self._run, block, list(self._each(block)), [self._stamps[key] for key in block])

    def _parts(self) -> Iterator["_Part"]:
        """The manifests of consecutive units, `UNITS` at most that no summary knows."""
        groups: list[list[UnitKey]] = []  # each begins with the first unit of a summary
        for key in self.units:
            if not groups or self._run.summary(key) in self._summaries:
                groups.append([])
            groups[-1].append(key)
        for group, summary in zip(groups, self._read_summaries([group[0] for group in groups]), strict=True):
            known = self._unchanged(summary, group)
            if known.keys() == [*map(str, group)]:
                yield known
                continue
            by_key = {manifest.key: manifest for manifest in known.manifests()}
            for i in range(0, len(group), UNITS):
                some = group[i : i + UNITS]
                read = self._each([key for key in some if str(key) not in by_key])
                yield _Read([by_key[str(key)] if str(key) in by_key else next(read) for key in some])

    def _read_summaries(self, firsts: Sequence[UnitKey]) -> Iterator[Summary]:
        """The summary that begins with each of these units; where there is none, one of no manifests."""
        names = [self._run.summary(key) for key in firsts]
        paths = self._run.paths([name for name in names if name in self._summaries])
        for name in names:
            data = b""
            if name in self._summaries:
                path = next(paths)
                with suppress(OSError, RunError):  # the manifests say the same
                    data = mirror.read_bytes(path)
            yield Summary.parse(data)

    def _unchanged(self, summary: Summary, keys: Sequence[UnitKey]) -> Summary:
        return summary.unchanged({str(key): self._stamps[key] for key in keys})

    def _each(self, keys: Sequence[UnitKey]) -> Iterator[Manifest]:
        return map(read_manifest, self._run.paths([self._run.manifest(key) for key in keys]))


class SummaryWriter:
    """Writes a summary when the last of its units is finished; `keys` are all units of the run, in their order.

    It holds the manifests of summaries that are under way. Units that were finished before it was made leave gaps,
    which a report fills.
    """

    def __init__(self, run: "RunFolder", keys: Sequence[UnitKey]) -> None:
        self._run, self._keys = run, keys
        self._first = {str(key): number // UNITS * UNITS for number, key in enumerate(keys)}
        self._held: dict[int, dict[str, Manifest]] = {}  # by key, by the number of their summary's first unit

    def add(self, manifest: Manifest) -> None:
        """Take the manifest of a unit that was finished, in any order."""
        first = self._first[manifest.key]
        held = self._held.setdefault(first, {})
        # A manifest that came from a worker has texts of its own, which all manifests share.
        stats = {sys.intern(name): count for name, count in manifest.stats.items()}
        held[manifest.key] = replace(manifest, stats=stats, recipe=sys.intern(manifest.recipe))
        if len(held) == UNITS:
            del self._held[first]
            block = self._keys[first : first + UNITS]
            stamps = self._run.stamps([self._run.manifest(key) for key in block])
            if len(stamps) == UNITS:
                _write(self._run, block, [held[str(key)] for key in block], [*stamps.values()])


class _Part(Protocol):
    """Manifests of consecutive units."""

    def stats(self) -> Stats: ...
    def links(self) -> Iterator[Link]: ...
    def damaged(self) -> Iterator[Manifest]: ...
    def manifests(self) -> Iterator[Manifest]: ...


class _Read:
    """Manifests that were read from their own files."""

    def __init__(self, manifests: list[Manifest]) -> None:
        self._manifests = manifests

    def stats(self) -> Stats:
        return Stats.sum(Stats.from_json(manifest.stats) for manifest in self._manifests)

    def links(self) -> Iterator[Link]:
        return (Link(m.key, m.source, m.file, m.start, m.next_start) for m in self._manifests)

    def damaged(self) -> Iterator[Manifest]:
        return (manifest for manifest in self._manifests if manifest.damage)

    def manifests(self) -> Iterator[Manifest]:
        return iter(self._manifests)


def _write(run: "RunFolder", keys: Sequence[UnitKey], manifests: Sequence[Manifest], stamps: Sequence[Stamp]) -> None:
    """Write the summary of these units, unless that cannot be done: a run goes on without."""
    if [manifest.key for manifest in manifests] == [*map(str, keys)]:  # no manifest lies under another unit's name
        with suppress(GristmillError, OverflowError, pa.ArrowException):
            run.write(run.summary(keys[0]), Summary.of(manifests, stamps).to_bytes())
