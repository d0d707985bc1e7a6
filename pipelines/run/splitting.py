"""Splits large crawl files into their units before any of them is made, so that one file keeps all workers busy.

    chain     unit ──▶ unit ──▶ unit ──▶ …          where a unit begins is known when the one before it is made
    split     pieces of the file ──▶ starts of all its units ──▶ all units at the same time

To find the starts, the file is inflated and its records are counted, which takes a small part of the time of cleaning
it. So only files are split that would otherwise keep one worker busy after the others have nothing left to do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from cleaners.crawl.openings import has_openings, read_openings
from cleaners.crawl.warc import is_full
from pipelines.executors import Executor, Watch
from pipelines.progress import Progress, Report
from shards.source import SourceConfig
from shards.storage import InputFile, can_seek
from shards.unit_key import UnitKey
from shards.unit_starts import Openings, Piece, UnitStarts, tile

PHASE = "split"  # as progress shows it
_LEAST_BYTES = 32 << 20  # left of a file; less is a unit or two
_SHARES = 2  # of a worker: a file is large if it has more bytes than one of them
_PIECES = 4  # a worker
_LEAST_PIECE, _MOST_PIECE = 1 << 20, 128 << 20  # bytes; the openings of a piece are held in memory


class Span(NamedTuple):
    """What a unit has of its file."""

    start: int
    next_start: int | None  # where the next unit begins; None at the end of the file


@dataclass(frozen=True)
class OpenChain:
    """The rest of a file: the unit that begins at `start`, and those after it."""

    key: UnitKey  # of that unit
    source: SourceConfig
    file: InputFile
    start: int

    @property
    def num_bytes(self) -> int:
        """How much is left, about; `start` is in bytes of the file where it is a crawl's."""
        return self.file.num_bytes - (self.start if self.source.is_crawl else 0)


@dataclass(frozen=True)
class _Scan:
    """A piece of the file of a chain, to be read."""

    chain: OpenChain
    piece: Piece


def starts_ahead(chains: Sequence[OpenChain], executor: Executor, report: Report) -> dict[UnitKey, list[int]]:
    """Where the units after the first of each large chain begin, by the key of that first unit.

    The starts are those that the units themselves give as `next_start`. A chain that is left out, or whose starts end
    early, goes on unit by unit.
    """
    split = [chain for chain in large_chains(chains, executor.workers) if _can_split(chain)]
    if not split:
        return {}
    pieces = {chain.key: _pieces(chain, executor.workers) for chain in split}
    starts = {key: UnitStarts(of_chain, is_full) for key, of_chain in pieces.items()}

    def take(result: tuple[_Scan, Openings]) -> list[_Scan]:
        scan, openings = result
        again = starts[scan.chain.key].take(scan.piece.number, openings)
        return [_Scan(scan.chain, piece) for piece in again]

    done, total = 0, sum(chain.num_bytes for chain in split)
    report(Progress(PHASE, 0, 0, 0, done, total))
    scans = [_Scan(chain, piece) for chain in split for piece in pieces[chain.key]]
    for scan, _ in executor.map_watched(_scan, scans, take):
        done = min(total, done + scan.piece.end - scan.piece.begin)  # a piece that is read again counts twice
        report(Progress(PHASE, 0, 0, 0, done, total))
    return {key: found.found for key, found in starts.items()}


def follow(key: UnitKey, start: int, made: Mapping[UnitKey, Span]) -> tuple[set[UnitKey], tuple[UnitKey, int] | None]:
    """The units that follow each other from unit `key`, which begins at `start`; and key and start of the next, if it
    is not made or begins elsewhere."""
    linked: set[UnitKey] = set()
    while (span := made.get(key)) is not None and span.start == start:
        linked.add(key)
        if span.next_start is None:
            return linked, None
        key, start = replace(key, part=key.part + 1), span.next_start
    return linked, (key, start)


def large_chains(chains: Sequence[OpenChain], workers: int) -> list[OpenChain]:
    """The chains that have more left than half of what a worker gets, if all share the work evenly.

    If no file is large, the last worker ends at most half as late again as with an even share. Fewer than 2 × `workers`
    files are large, so a crawl of many files is not read twice.
    """
    if workers == 1:
        return []
    share = sum(chain.num_bytes for chain in chains) / (_SHARES * workers)
    return [chain for chain in chains if chain.num_bytes >= _LEAST_BYTES and chain.num_bytes > share]


def _can_split(chain: OpenChain) -> bool:
    file, source = chain.file, chain.source
    return source.is_crawl and not file.fault and can_seek(file) and has_openings(file, chain.start, source.kind)


def _pieces(chain: OpenChain, workers: int) -> list[Piece]:
    size = min(_MOST_PIECE, max(_LEAST_PIECE, chain.num_bytes // (_PIECES * workers)))
    return tile(chain.start, chain.file.num_bytes, size)


def _scan(scan: _Scan, watch: Watch) -> tuple[_Scan, Openings]:
    return scan, read_openings(scan.chain.file, scan.piece, watch.check_stop)
