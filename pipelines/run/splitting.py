"""Splits large files into their units before any of them is made, so that one file keeps all workers busy.

    chain     unit ──▶ unit ──▶ unit ──▶ …          where a unit begins is known when the one before it is made
    split     pieces of the file ──▶ starts of all its units ──▶ all units at the same time

To find the starts, the file is read and its records are counted, which takes a small part of the time of cleaning it.
So only files are split that would otherwise keep one worker busy after the others have nothing left to do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cleaners.crawl import warc
from cleaners.crawl.openings import crawl_extent, read_crawl_openings
from pipelines.executors import Executor, Watch
from pipelines.progress import Progress, Report
from shards import row_reader
from shards.row_openings import read_row_openings, row_extent
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
        """How much is left, about: `start` is in row groups or record batches where the file has tables."""
        return max(0, self.file.num_bytes - self.start)

    @property
    def extent(self) -> int:
        """The end of the file, counted as `start`; 0 where reading cannot begin in its middle. RunError."""
        if self.file.fault or self.file.chosen or not can_seek(self.file):
            return 0
        if self.source.is_crawl:
            return crawl_extent(self.file, self.start, self.source.kind)
        return row_extent(self.source, self.file)


@dataclass(frozen=True)
class _Scan:
    """A piece of the file of a chain, to be read."""

    chain: OpenChain
    extent: int
    piece: Piece


def starts_ahead(chains: Sequence[OpenChain], executor: Executor, report: Report) -> dict[UnitKey, list[int]]:
    """Where the units after the first of each large chain begin, by the key of that first unit.

    The starts are those that the units themselves give as `next_start`. A chain that is left out, or whose starts end
    early, goes on unit by unit.
    """
    scans: list[_Scan] = []
    starts: dict[UnitKey, UnitStarts] = {}
    total = 0
    for chain in large_chains(chains, executor.workers):
        if (extent := chain.extent) > chain.start:
            pieces = _pieces(chain, extent, executor.workers)
            starts[chain.key] = UnitStarts(pieces, warc.is_full if chain.source.is_crawl else row_reader.is_full)
            scans += [_Scan(chain, extent, piece) for piece in pieces]
            total += chain.num_bytes

    def take(result: tuple[_Scan, Openings]) -> list[_Scan]:
        scan, openings = result
        again = starts[scan.chain.key].take(scan.piece.number, openings)
        return [_Scan(scan.chain, scan.extent, piece) for piece in again]

    if scans:
        report(Progress(PHASE, 0, 0, 0, 0, total))
        for number, _ in enumerate(executor.map_watched(_scan, scans, take), 1):
            done = total * min(number, len(scans)) // len(scans)  # a piece that is read again counts twice
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
        key, start = key.following, span.next_start
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


def _pieces(chain: OpenChain, extent: int, workers: int) -> list[Piece]:
    num_bytes = min(_MOST_PIECE, max(_LEAST_PIECE, chain.num_bytes // (_PIECES * workers)))
    num_pieces = max(1, chain.num_bytes // num_bytes)
    return tile(chain.start, extent, -(-(extent - chain.start) // num_pieces))


def _scan(scan: _Scan, watch: Watch) -> tuple[_Scan, Openings]:
    chain, piece = scan.chain, scan.piece
    if chain.source.is_crawl:
        return scan, read_crawl_openings(chain.file, piece, watch.check_stop)
    return scan, read_row_openings(chain.source, chain.file, scan.extent, piece, watch.check_stop)
