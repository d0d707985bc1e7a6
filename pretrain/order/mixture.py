"""Mixture: the row at each place of the training order, as a pure function, so that nothing has to be remembered.

    place i ──cycle──▶ source s ──count──▶ its c-th row ──permutation──▶ (source, epoch, row)

Weights become integers over a cycle of `SLOTS` slots. A source with n slots would ideally stand at (k + ½) / n of the
cycle for k = 0 … n - 1. The cycle is the ideal positions of all sources in order, so every stretch of the training
order has nearly the same mixture. Before place i, source s was used

    count_s(i) = ⌊i / SLOTS⌋ · n_s + (slots of s before slot i mod SLOTS)

times. Epoch and index in the epoch follow by division, and a keyed permutation of the epoch gives the row.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xxhash

from shards.errors import UserError

SLOTS = 1 << 16
_ROUNDS = 6


@dataclass(frozen=True)
class MixtureSource:
    name: str
    weight: float  # above 0, on any scale
    num_rows: int  # in an epoch
    max_epochs: float


@dataclass(frozen=True)
class Mixture:
    """The order of rows of weighted sources; the same for equal names, weights, row counts and seed."""

    sources: tuple[MixtureSource, ...]
    seed: int

    @cached_property
    def slots(self) -> np.ndarray:
        """int64[sources]: slots in a cycle, by largest remainder; they sum to SLOTS."""
        weights = np.array([source.weight for source in self.sources])
        exact = weights / weights.sum() * SLOTS
        slots: np.ndarray = exact.astype(np.int64)
        slots[np.argsort(slots - exact, kind="stable")[: SLOTS - slots.sum()]] += 1
        return slots

    def sample(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(source, epoch, row), each int64[n], at these places int64[n] of the training order, in any order."""
        cycle, slot = np.divmod(places, SLOTS)
        source = self._source_of_slot[slot]
        count = cycle * self.slots[source] + self._rank_of_slot[slot]
        epoch, row = np.divmod(count, self._num_rows[source])
        for s in np.unique(source):
            of_source = source == s
            keys = _mix(self._keys[s] + epoch[of_source].astype(np.uint64))
            row[of_source] = permute(row[of_source], int(self._num_rows[s]), keys)
        return source, epoch, row

    def counts(self, num_places: int) -> np.ndarray:
        """int64[sources]: rows that the first `num_places` places take from each source."""
        cycles, rest = divmod(num_places, SLOTS)
        begun = np.bincount(self._source_of_slot[:rest], minlength=len(self.sources))
        counts: np.ndarray = cycles * self.slots + begun
        return counts

    def epochs(self, num_places: int) -> np.ndarray:
        """float64[sources]: epochs of each source in the first `num_places` places."""
        epochs: np.ndarray = self.counts(num_places) / self._num_rows
        return epochs

    def check(self, num_places: int) -> None:
        """UserError where a source gets no slot, or needs more epochs than its maximum for `num_places` places."""
        for source, slots, epochs in zip(self.sources, self.slots, self.epochs(num_places), strict=True):
            if not slots:
                raise UserError(
                    f"source {source.name}: weight {source.weight} is below 1/{SLOTS} of all; remove it or raise it"
                )
            if epochs > source.max_epochs:
                raise UserError(
                    f"source {source.name}: the plan needs {epochs:.1f} epochs of its {source.num_rows:,} rows, "
                    f"max_epochs = {source.max_epochs:g}: lower its weight or the steps, add data, or raise max_epochs"
                )

    @cached_property
    def _source_of_slot(self) -> np.ndarray:
        source: np.ndarray = np.repeat(np.arange(len(self.sources)), self.slots)
        ideal_position = (2 * self._occurrence + 1) / self.slots[source]
        order: np.ndarray = np.take(source, np.lexsort((source, ideal_position)))
        return order

    @cached_property
    def _rank_of_slot(self) -> np.ndarray:
        """int64[SLOTS]: how many earlier slots of the cycle have the same source."""
        rank = np.empty(SLOTS, np.int64)
        rank[np.argsort(self._source_of_slot, kind="stable")] = self._occurrence
        return rank

    @cached_property
    def _occurrence(self) -> np.ndarray:
        """int64[SLOTS]: 0 … n_0 - 1, 0 … n_1 - 1, …"""
        first: np.ndarray = np.repeat(np.cumsum(self.slots) - self.slots, self.slots)
        occurrence: np.ndarray = np.arange(SLOTS) - first
        return occurrence

    @cached_property
    def _num_rows(self) -> np.ndarray:
        return np.array([source.num_rows for source in self.sources], np.int64)

    @cached_property
    def _keys(self) -> np.ndarray:
        # By name, so that a source keeps its order when others are added or removed.
        return np.array(
            [xxhash.xxh3_64_intdigest(source.name.encode(), self.seed) for source in self.sources], np.uint64
        )


def permute(index: np.ndarray, size: int, keys: np.ndarray) -> np.ndarray:
    """int64[n]: the images of `index` under a keyed permutation of 0 … size - 1.

    `keys` is uint64, one for each index or one for all. A balanced Feistel network permutes the next power of four.
    Results outside the range are permuted again until they fall inside (Black and Rogaway, "Ciphers with arbitrary
    finite domains", 2002, "cycle walking"): under 4 times on average.
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    keys = np.broadcast_to(keys, index.shape)
    result, todo = index.astype(np.uint64), np.ones(index.shape, np.bool_)
    while todo.any():
        left, right, key = result[todo] >> half, result[todo] & mask, keys[todo]
        for number in range(_ROUNDS):
            left, right = right, left ^ (_mix(right ^ _mix(key + np.uint64(number))) & mask)
        result[todo] = left << half | right
        todo = result >= size
    return result.astype(np.int64)


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood, 2014): every input bit changes every output bit."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x
