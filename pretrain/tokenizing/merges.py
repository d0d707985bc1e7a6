"""Byte-pair merges learned from the distinct pieces of a text (Sennrich et al., 2016), in memory known beforehand.

    symbols   . l o w . l o w e r . n e w .     every piece between two ends
    weights     5 5 5   2 2 2 2 2   3 3 3       how often the piece occurs
    merge       lo~ w . lo~ w e r .             (l, o) is the most frequent pair; a merged symbol stands at its start

A merge makes pairs with the new symbol, and all other pairs can only become rarer. So a pair's positions are taken
once, when the younger of its symbols is made, and their number bounds its count from then on. The most frequent pair
is the first whose count, taken anew, is no less than the bound of any other (lazy greedy; Minoux, 1978).
"""

import heapq
from dataclasses import dataclass

import numpy as np

from shards.compiled import kernel

END = -1  # stands before, between and after pieces
NEVER = -100  # the `need` of an id that no merge takes
MIN_COUNT = 2  # of a pair that is merged: what occurs once is not learned
BYTES_A_SYMBOL = 24  # resident memory of `learn_merges`; 9 of them the arrays, the others positions and their sorting

_MERGED = -2  # the place of a symbol that is a part of another
_PARTS = 8  # in which positions are sorted, so that sorting takes little memory
_PAIRS_A_MERGE = 64  # that are looked at; rarer pairs wait until these are used up


@dataclass
class Pieces:
    """Distinct pieces as `learn_merges` takes them.

    symbols    int32[N]: ids ≥ 0, and `END` before, between and after pieces
    weights    int32[N]: how often each one's piece occurs
    num_bytes  uint8[ids]: of each id, with room for the new ones
    need       int8[ids]: how the bytes of an id end and begin, with room for the new ones. 0: whole characters;
               n > 0: its last character lacks n bytes; -n: it is n bytes from inside a character; `NEVER`: merged never
    """

    symbols: np.ndarray
    weights: np.ndarray
    num_bytes: np.ndarray
    need: np.ndarray


def learn_merges(pieces: Pieces, first_id: int, max_merges: int, max_bytes: int) -> list[tuple[int, int, int]]:
    """(first, second, count) of each merge, the most frequent first; ties go to the lower ids.

    Merges make the ids first_id, first_id + 1, …, of at most `max_bytes` bytes each. A new id is whole characters, or
    the first bytes of one character. Fewer than `max_merges` come back where no other pair occurs `MIN_COUNT` times.
    Changes `pieces`.
    """
    learned = _Learner(pieces, max_bytes)
    floor = max(MIN_COUNT, int(pieces.weights.sum()) // (max_merges * _PAIRS_A_MERGE + 1))
    merges: list[tuple[int, int, int]] = []
    learned.find_pairs(floor)
    while len(merges) < max_merges:
        pair = learned.most_frequent(floor)
        if pair is None and floor == MIN_COUNT:
            break
        if pair is None:
            floor = max(MIN_COUNT, floor // _PARTS)
            learned.find_pairs(floor)
            continue
        learned.merge(pair[0], pair[1], first_id + len(merges), floor)
        merges.append(pair)
    return merges


class _Learner:
    """The symbols as they are merged, and the positions of the pairs that may be merged next."""

    def __init__(self, pieces: Pieces, max_bytes: int) -> None:
        self.symbols, self.weights = pieces.symbols, pieces.weights
        self.num_bytes, self.need, self.max_bytes = pieces.num_bytes, pieces.need, max_bytes
        self.widths = np.ones(len(self.symbols), np.uint8)  # at the first and last place of each symbol
        self.bounds: list[tuple[int, int, int]] = []  # a heap of (-bound, first, second)
        self.positions: dict[tuple[int, int], np.ndarray] = {}

    def find_pairs(self, floor: int) -> None:
        """Take the positions of all pairs that occur `floor` times."""
        self.bounds, self.positions = [], {}
        for part in range(_PARTS):
            self._add(_first_places(self.symbols, self.widths, part), floor)

    def most_frequent(self, floor: int) -> tuple[int, int, int] | None:
        """(first, second, count) of the most frequent pair, None where none occurs `floor` times."""
        while self.bounds:
            _, first, second = heapq.heappop(self.bounds)
            positions = self.positions[first, second]
            left, count = _count(self.symbols, self.widths, self.weights, positions, first, second)
            self.positions[first, second] = positions[:left]
            if count < floor:
                del self.positions[first, second]
            elif self.bounds and (-count, first, second) > self.bounds[0]:
                heapq.heappush(self.bounds, (-count, first, second))
            else:
                return first, second, count
        return None

    def merge(self, first: int, second: int, new: int, floor: int) -> None:
        """Put `new` for the pair, and take the positions of the pairs that this makes."""
        self.num_bytes[new] = self.num_bytes[first] + self.num_bytes[second]
        self.need[new] = self.need[first] + self.need[second]
        places = self.positions.pop((first, second))
        places = places[: _merge(self.symbols, self.widths, places, first, second, new)]
        before = places - self.widths[places - 1]
        left = before[(self.symbols[before] != END) & (self.symbols[before] != new)]
        right = places[self.symbols[places + self.widths[places]] != END]
        self._add(left, floor)
        self._add(right, floor)

    def _add(self, positions: np.ndarray, floor: int) -> None:
        """Take the positions of the pairs that stand there, where they may be merged and occur `floor` times."""
        if not len(positions):
            return
        keys = self.symbols[positions].astype(np.int64) << 32 | self.symbols[positions + self.widths[positions]]
        order = np.argsort(keys, kind="stable")
        keys, positions = keys[order], positions[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        ends = np.append(starts[1:], len(keys))
        bounds = np.add.reduceat(self.weights[positions], starts, dtype=np.int64)
        firsts, seconds = keys[starts] >> 32, keys[starts] & 0xFFFFFFFF
        for k in np.flatnonzero((bounds >= floor) & self._may_merge(firsts, seconds)).tolist():
            pair = int(firsts[k]), int(seconds[k])
            self.positions[pair] = positions[starts[k] : ends[k]].copy()  # a view would keep all of them in memory
            heapq.heappush(self.bounds, (-int(bounds[k]), *pair))

    def _may_merge(self, firsts: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """bool[pairs]: whether a pair is short enough, and whole characters or the first bytes of one."""
        need, next_need = self.need[firsts], self.need[seconds]
        whole = (need == 0) & (next_need == 0)
        completing = (need > 0) & (next_need < 0) & (need + next_need >= 0)
        may_merge: np.ndarray = (whole | completing) & (
            self.num_bytes[firsts].astype(np.int64) + self.num_bytes[seconds] <= self.max_bytes
        )
        return may_merge


@kernel
def _first_places(symbols, widths, part):
    """int32[pairs]: the places of symbols that another one follows, of those whose id falls into `part`."""
    places = np.empty(0, np.int32)
    for fill in range(2):
        num_places = 0
        for i in range(len(symbols) - 1):
            if symbols[i] >= 0 and symbols[i] % _PARTS == part and symbols[i + widths[i]] >= 0:
                if fill:
                    places[num_places] = i
                num_places += 1
        if not fill:
            places = np.empty(num_places, np.int32)
    return places


@kernel
def _count(symbols, widths, weights, places, first, second):
    """(n, count): move those of `places` that still hold the pair to the front, n of them, and count its occurrences.

    Of two that overlap, as in "aaa", the count has the former; both stay, since another merge may take that one.
    """
    num_places, count, end = 0, 0, 0
    for i in places:
        if symbols[i] == first and symbols[i + widths[i]] == second:
            places[num_places] = i
            num_places += 1
            if i >= end:
                count += weights[i]
                end = i + widths[i] + widths[i + widths[i]]
    return num_places, count


@kernel
def _merge(symbols, widths, places, first, second, new):
    """Put `new` for each occurrence of the pair at `places`, and move those that it was put at to the front.

    Returns their number.
    """
    num_merged = 0
    for i in places:
        j = i + widths[i]
        if symbols[i] == first and symbols[j] == second:
            width = widths[i] + widths[j]
            symbols[i], symbols[j] = new, _MERGED
            widths[i] = widths[i + width - 1] = width
            places[num_merged] = i
            num_merged += 1
    return num_merged
