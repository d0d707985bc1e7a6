"""Mixture: the row at each place of the training order, as a pure function, so that nothing has to be remembered.

    place i ──phase──▶ its weights ──cycle──▶ source s ──count──▶ its c-th row ──permutation──▶ (source, epoch, row)

A phase is a stretch of the order with one set of weights. They become integers over a cycle of `SLOTS` slots. A source
with n slots would ideally stand at (k + ½) / n of the cycle for k = 0 … n - 1. The cycle is the ideal positions of all
sources in order, so every stretch of a phase has nearly the same mixture. Before place i of a phase, source s was used

    count_s(i) = what earlier phases used + ⌊i / SLOTS⌋ · n_s + (slots of s before slot i mod SLOTS)

times. Epoch and index in the epoch follow by division, and a keyed permutation of the epoch gives the row. So a source
goes on where it was, whatever the weights become, and no row is lost or used twice in an epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xxhash

from shards.compiled import kernel
from shards.errors import UserError

SLOTS = 1 << 16
_ROUNDS = 6


@dataclass(frozen=True)
class MixtureSource:
    name: str
    num_rows: int  # in an epoch
    max_epochs: float


@dataclass(frozen=True)
class Phase:
    """A stretch of the training order, from `first` up to the next phase."""

    first: int  # place
    weights: tuple[float, ...]  # of each source, on any scale; 0 leaves it out


@dataclass(frozen=True)
class Mixture:
    """The order of rows of weighted sources; the same for equal names, phases, row counts and seed."""

    sources: tuple[MixtureSource, ...]
    phases: tuple[Phase, ...]  # the first one begins at place 0
    seed: int

    def sample(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(source, epoch, row), each int64[n], at these places int64[n] of the training order, in any order."""
        source, epoch, row = (np.empty(len(places), np.int64) for _ in range(3))
        if not len(places):
            return source, epoch, row
        begin = self._phase_at(int(places.min()))
        end = self._phase_at(int(places.max())) + 1
        phase_of = np.searchsorted(self._firsts, places, side="right") - 1 if end > begin + 1 else None
        for number in range(begin, end):
            here = slice(None) if phase_of is None else np.flatnonzero(phase_of == number)
            cycle, used = self._cycles[number], self._used[number]
            source[here], epoch[here], row[here] = _sample(
                places[here] - self._firsts[number],
                *(cycle.source_of_slot, cycle.rank_of_slot, cycle.slots, used, self._num_rows, self._keys),
            )
        return source, epoch, row

    def counts(self, num_places: int) -> np.ndarray:
        """int64[sources]: rows that the first `num_places` places take from each source."""
        number = self._phase_at(num_places)
        counts: np.ndarray = self._used[number] + self._cycles[number].counts(num_places - self._firsts[number])
        return counts

    def epochs(self, num_places: int) -> np.ndarray:
        """float64[sources]: epochs of each source in the first `num_places` places."""
        epochs: np.ndarray = self.counts(num_places) / self._num_rows
        return epochs

    def shares(self, place: int) -> np.ndarray:
        """float64[sources]: the share of each source in the rows around a place."""
        shares: np.ndarray = self._cycles[self._phase_at(place)].slots / SLOTS
        return shares

    def check(self, num_places: int) -> None:
        """UserError where a source gets no slot, or needs more epochs than its maximum for `num_places` places.

        What the rounding of weights to slots may add to a source does not count.
        """
        for phase, cycle in zip(self.phases, self._cycles, strict=True):
            for source, weight, slots in zip(self.sources, phase.weights, cycle.slots, strict=True):
                if weight and not slots:
                    raise UserError(
                        f"source {source.name}: weight {weight:g} is below 1/{SLOTS} of all; remove it or raise it"
                    )
        rounding = len(self.phases) + num_places / SLOTS
        for source, epochs in zip(self.sources, self.epochs(num_places), strict=True):
            if epochs > source.max_epochs + rounding / source.num_rows:
                raise UserError(
                    f"source {source.name}: the plan needs {epochs:.1f} epochs of its {source.num_rows:,} rows, "
                    f"max_epochs = {source.max_epochs:g}: lower its weight or the steps, add data, or raise max_epochs"
                )

    def _phase_at(self, place: int) -> int:
        return int(np.searchsorted(self._firsts, place, side="right")) - 1

    @cached_property
    def _firsts(self) -> np.ndarray:
        assert self.phases[0].first == 0
        return np.array([phase.first for phase in self.phases], np.int64)

    @cached_property
    def _cycles(self) -> list["Cycle"]:
        by_weights = {weights: Cycle(weights) for weights in {phase.weights for phase in self.phases}}
        return [by_weights[phase.weights] for phase in self.phases]

    @cached_property
    def _used(self) -> np.ndarray:
        """int64[phases, sources]: rows that earlier phases took from each source."""
        lengths = np.diff(self._firsts).tolist()
        of_phases = [cycle.counts(length) for cycle, length in zip(self._cycles, lengths, strict=False)]
        return np.cumsum([np.zeros(len(self.sources), np.int64), *of_phases], axis=0)

    @cached_property
    def _num_rows(self) -> np.ndarray:
        return np.array([source.num_rows for source in self.sources], np.int64)

    @cached_property
    def _keys(self) -> np.ndarray:
        # By name, so that a source keeps its order when others are added or removed.
        return np.array(
            [xxhash.xxh3_64_intdigest(source.name.encode(), self.seed) for source in self.sources], np.uint64
        )


class Cycle:
    """The sources of `SLOTS` slots by weight.

    slots             int64[sources]: slots of each source, by largest remainder; they sum to SLOTS
    source_of_slot    int64[SLOTS]
    rank_of_slot      int64[SLOTS]: how many earlier slots of the cycle have the same source
    """

    def __init__(self, weights: Sequence[float]) -> None:
        shares = np.array(weights, np.float64)
        exact = shares / shares.sum() * SLOTS
        self.slots: np.ndarray = exact.astype(np.int64)
        self.slots[np.argsort(self.slots - exact, kind="stable")[: SLOTS - self.slots.sum()]] += 1
        source = np.repeat(np.arange(len(shares)), self.slots)
        occurrence = np.arange(SLOTS) - np.repeat(np.cumsum(self.slots) - self.slots, self.slots)
        ideal_position = (2 * occurrence + 1) / self.slots[source]
        self.source_of_slot = np.take(source, np.lexsort((source, ideal_position)))
        self.rank_of_slot = np.empty(SLOTS, np.int64)
        self.rank_of_slot[np.argsort(self.source_of_slot, kind="stable")] = occurrence

    def counts(self, num_places: int) -> np.ndarray:
        """int64[sources]: slots of each source in the first `num_places` of cycles one after the other."""
        cycles, rest = divmod(num_places, SLOTS)
        begun = np.bincount(self.source_of_slot[:rest], minlength=len(self.slots))
        counts: np.ndarray = cycles * self.slots + begun
        return counts


def permute(index: np.ndarray, size: int, key: int) -> np.ndarray:
    """int64[n]: the images of `index` under the permutation of 0 … size - 1 that the 64-bit `key` chooses.

    A balanced Feistel network permutes the next power of four. Results outside the range are permuted again until they
    fall inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002, "cycle walking"): under 4 times on
    average.
    """
    result: np.ndarray = _permute(index, size, np.uint64(key))
    return result


@kernel(nogil=True)
def _sample(places, source_of_slot, rank_of_slot, slots, used, num_rows, keys):
    """(source, epoch, row) at places that count from the beginning of their phase."""
    source, epoch, row = np.empty_like(places), np.empty_like(places), np.empty_like(places)
    for i in range(len(places)):
        cycle, slot = divmod(places[i], SLOTS)
        s = source_of_slot[slot]
        source[i] = s
        epoch[i], index = divmod(used[s] + cycle * slots[s] + rank_of_slot[slot], num_rows[s])
        row[i] = _image(index, num_rows[s], _mix(keys[s] + np.uint64(epoch[i])))
    return source, epoch, row


@kernel(nogil=True)
def _permute(index, size, key):
    result = np.empty_like(index)
    for i in range(len(index)):
        result[i] = _image(index[i], size, key)
    return result


@kernel(nogil=True)
def _image(index, size, key):
    half = np.uint64(1)
    while np.uint64(size - 1) >> (half + half):
        half += np.uint64(1)
    mask = (np.uint64(1) << half) - np.uint64(1)
    result = np.uint64(index)
    while True:
        left, right = result >> half, result & mask
        for number in range(_ROUNDS):
            left, right = right, left ^ (_mix(right ^ _mix(key + np.uint64(number))) & mask)
        result = left << half | right
        if result < np.uint64(size):
            return np.int64(result)


@kernel(nogil=True)
def _mix(x):
    """The finaliser of splitmix64 (Steele, Lea and Flood, 2014): every input bit changes every output bit."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
