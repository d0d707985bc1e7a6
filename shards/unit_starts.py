"""Finds where all units of a large file begin, before any of them is made.

    file    |──── piece ────|──── piece ────|──── piece ────|    cut anywhere, read by as many tasks
              ▲ ▲  ▲    ▲ ▲    ▲  ▲    ▲     ▲  ▲    ▲           openings: places at which reading can begin
    units   |─────────|──────────|─────────|──────────|────      counted through all openings in their order

A unit ends at the first opening after it is full, so its place follows from all records before it. A cut may fall into
content that looks like an opening, such as a WARC file within a page. Therefore a piece counts only if it begins where
the piece before it ends; otherwise it is read again from there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Piece:
    """A part of a file, in the same unit as a reader's `start`: bytes, row groups or record batches."""

    number: int  # 0, 1, … in the file
    begin: int
    end: int  # exclusive
    at_begin: bool = False  # whether reading starts at `begin`; otherwise it starts at the first opening in the piece


def tile(start: int, end: int, size: int) -> list[Piece]:
    """Pieces of at most `size` of a file from the start of a unit on."""
    cuts = [*range(start, end, size), end]
    return [Piece(i, cuts[i], cuts[i + 1], at_begin=i == 0) for i in range(len(cuts) - 1)]


@dataclass(frozen=True)
class Openings:
    """The openings in a piece, and what a reader counts from each of them up to the next."""

    offsets: np.ndarray  # int64[n], ascending
    records: np.ndarray  # int64[n]
    num_bytes: np.ndarray  # int64[n], of content
    end: int  # the first opening after the piece; the end of the file where there is none

    @classmethod
    def of(cls, found: Sequence[tuple[int, int, int]], end: int) -> "Openings":
        """The openings (offset, records, bytes) up to `end`."""
        offsets, records, num_bytes = np.array(found, np.int64).reshape(-1, 3).T
        return cls(offsets, records, num_bytes, end)


class UnitStarts:
    """Counts the openings of pieces, which may come in any order, and notes the starts of the units after the first.

    It holds the pieces that came before their turn.
    """

    def __init__(self, pieces: Sequence[Piece], is_full: Callable[[int, int], bool]) -> None:
        """`pieces` are those of `tile`; `is_full` says whether a unit with so many records and bytes ends."""
        self.found: list[int] = []
        self._pieces = [*pieces]
        self._is_full = is_full
        self._waiting: dict[int, Openings] = {}
        self._next, self._at = 0, pieces[0].begin  # the piece that is counted next, and where it must begin
        self._records = self._num_bytes = 0  # since the last start

    def take(self, number: int, openings: Openings) -> list[Piece]:
        """Take the openings of a piece. Returns the piece that must be read again, if there is one."""
        self._waiting[number] = openings
        while self._next in self._waiting:
            piece, found = self._pieces[self._next], self._waiting.pop(self._next)
            if self._at < piece.end:
                if (piece.begin, piece.at_begin) != (self._at, True) and self._at not in found.offsets[:1]:
                    self._pieces[self._next] = again = replace(piece, begin=self._at, at_begin=True)
                    return [again]
                self._count(found)
                self._at = found.end
            self._next += 1
        return []

    def _count(self, found: Openings) -> None:
        columns = (found.offsets.tolist(), found.records.tolist(), found.num_bytes.tolist())
        for offset, records, num_bytes in zip(*columns, strict=True):
            if self._is_full(self._records, self._num_bytes):
                self.found.append(offset)
                self._records = self._num_bytes = 0
            self._records += records
            self._num_bytes += num_bytes
