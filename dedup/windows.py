"""Windows of L words that stand in more than one place, exactly and without a suffix array.

    text ──hash every window──▶ 64-bit hashes by part ──bitmap, then count──▶ hashes seen twice, back to their units
    text ──hash again, keep those──▶ hash, second hash, place ──equal in both──▶ each window's twin

A word lies in a passage of at least L words that occurs twice exactly when it lies in a window of L words that does.
So all windows are hashed, rolling, and cut by their top bits into `PARTS` parts that know nothing of each other. Most
windows occur once: two bits for each of eight slots a window say so for 7 of 8 of them, and only the others are counted
in a table. What is left carries a second hash of its own constants; windows are equal when all 128 bits are.

Words are those of `shards.words`: between white space, an ideograph by itself. They depend on nothing around them, so
a pasted passage has the same words wherever it stands, but for its first and last where punctuation touches them.

A place is (rank of the document by id) << 32 | first byte, so which place comes first is the same for any order of the
input. Disk: 8 bytes a word and 32 a repeated window. Memory: a batch of text, or 3 bytes a window of one part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit

from dedup.documents import DOCUMENT, UnitFiles, describe, keep_order, load_npy, save_npy, unit_path
from dedup.runs import Runs, has_runs, read_runs, write_runs
from shards.exchange import ExchangeUnit, Executor
from shards.unicode import classes, text_buffers
from shards.words import max_words, word_spans

PARTS = 256
_PART_BITS = np.uint64(8)
_PART_SHIFT = np.uint64(64 - 8)
_TASK_WINDOWS = 1 << 22  # parts are grouped up to this many windows a task: a small input is one task
_HASH = np.dtype(np.uint64)
_OCCURRENCE = np.dtype(
    [("hash", "<u8"), ("check", "<u8"), ("place", "<u8"), ("number", "<i8")]
)  # number: of the window in its unit
_COUNTED = np.dtype([*DOCUMENT.descr, ("windows", "<i8")])
_NOWHERE = np.uint64(0xFFFFFFFFFFFFFFFF)
_START_BITS = np.uint64(32)
_START_MASK = np.uint64(0xFFFFFFFF)

_WORD, _WORD_STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_CHECK, _CHECK_STEP = np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x9FB21C651E98DF25)
_BASE, _CHECK_BASE = np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB)
_MIX = np.uint64(0xFF51AFD7ED558CCD)  # of MurmurHash3's finaliser
_32 = np.uint64(32)


class Repeats(NamedTuple):
    """The windows of one unit that occur twice or more, by row and start."""

    rows: np.ndarray  # i64
    starts: np.ndarray  # i64: byte of the text at which the window begins
    firsts: np.ndarray  # bool: no equal window comes before this one
    twins: np.ndarray  # u64[n, 2]: id of the document with the first equal window, of a first window with the second
    twin_starts: np.ndarray  # i64: byte of that document's text at which it begins


@dataclass(frozen=True)
class RepeatedWindows:
    """The result of `find_repeats`, as files."""

    folder: Path
    units: tuple[ExchangeUnit, ...]
    tasks: tuple[tuple[int, int], ...]

    def of_unit(self, number: int) -> Repeats:
        """Those of `units[number]`."""
        key = self.units[number].key
        found = _occurrences(self.folder, key)
        by_task = [part for task in self.tasks for part in found.between(*task)]
        occurrences = np.concatenate([np.zeros(0, _OCCURRENCE), *by_task])
        twins = np.concatenate([np.zeros(0, _HASH), *(_results(self.folder, "twins", t, number) for t in self.tasks)])
        repeated = twins != _NOWHERE
        occurrences, twins = occurrences[repeated], twins[repeated]
        documents = load_npy(unit_path(self.folder, key, "documents"))
        ends = np.cumsum(documents["windows"])
        order = _order(occurrences["number"], int(documents["windows"].sum()))
        occurrences, twins = occurrences[order], twins[order]
        places = occurrences["place"]
        return Repeats(
            _low(documents["address"][np.searchsorted(ends, occurrences["number"], side="right")]),
            _low(places),
            places < twins,
            load_npy(self.folder / "ids.npy")[(twins >> _START_BITS).astype(np.int64)],
            _low(twins),
        )


def find_repeats(units: Sequence[ExchangeUnit], folder: Path, executor: Executor, length: int) -> RepeatedWindows:
    """All windows of `length` words that occur twice in the live rows of `units`, within a document or across."""
    units = tuple(sorted(units, key=lambda unit: unit.number))
    for _ in executor.map(partial(_hash_unit, folder=folder, length=length), units):
        pass  # results are files
    files = UnitFiles.open(folder, units)
    _rank(files)
    tasks = _tasks(sum(len(_hashes(folder, key).values) for key in files.keys))
    for _ in executor.map(partial(_find_repeated, files=files), tasks):
        pass
    for _ in executor.map(partial(_locate, units=units, folder=folder, length=length, tasks=tasks), range(len(units))):
        pass
    for _ in executor.map(partial(_pair, files=files), tasks):
        pass
    return RepeatedWindows(folder, units, tasks)


def _tasks(num_windows: int) -> tuple[tuple[int, int], ...]:
    """((first part, end), …) of tasks; it depends on the input alone, never on workers."""
    size = PARTS
    while size > 1 and num_windows * size > _TASK_WINDOWS * PARTS:
        size //= 2
    return tuple((first, first + size) for first in range(0, PARTS, size))


# Each step is one task's work, and leaves files that the next one maps.


def _hash_unit(unit: ExchangeUnit, *, folder: Path, length: int) -> None:
    """`<key>.hashes`: of every window, a run for each batch, by part. `<key>.documents.npy`: those with windows."""
    if unit_path(folder, unit.key, "documents").exists():
        return
    documents = [np.zeros(0, _COUNTED)]

    def runs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for found, windows in _windows(unit, length):
            documents.append(found)
            order, bounds = by_part(windows.hashes)
            yield windows.hashes[order], bounds

    write_runs(folder / f"{unit.key}.hashes", runs(), PARTS)
    save_npy(unit_path(folder, unit.key, "documents"), np.concatenate(documents))


def _rank(files: UnitFiles) -> None:
    """`ids.npy`: of all documents in the order of ids; `<key>.ranks.npy`: where a unit's own stand in it."""
    if (files.folder / "ids.npy").exists():
        return
    documents = np.concatenate([np.zeros(0, _COUNTED), *files.each("documents")])
    order = keep_order(documents)
    ranks = np.empty(len(documents), np.uint64)
    ranks[order] = np.arange(len(documents), dtype=np.uint64)
    for key, start, end in zip(files.keys, (0, *files.ends), files.ends, strict=False):
        save_npy(unit_path(files.folder, key, "ranks"), ranks[start:end])
    save_npy(files.folder / "ids.npy", documents["id"][order])


def _find_repeated(task: tuple[int, int], *, files: UnitFiles) -> None:
    """`repeated-<part>`: hashes that occur twice, a run for each part of the task, a column for each unit."""
    if has_runs(path := _result_path(files.folder, "repeated", task)):
        return
    units = [_hashes(files.folder, key) for key in files.keys]

    def runs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in range(*task):
            slices = [list(unit.between(part, part + 1)) for unit in units]
            seen, shift = _bitmap(sum(len(hashes) for unit in slices for hashes in unit))
            for hashes in (hashes for unit in slices for hashes in unit):
                mark(hashes, seen, shift)
            candidates = [np.concatenate([_NO_HASHES, *(twice(h, seen, shift) for h in unit)]) for unit in slices]
            together = np.concatenate([_NO_HASHES, *candidates])
            repeated = twins(together, together, np.arange(len(together), dtype=np.uint64)) != _NOWHERE
            ends = np.cumsum([0, *map(len, candidates)])
            yield together[repeated], np.concatenate([[0], np.cumsum(repeated)])[ends]

    write_runs(path, runs(), len(units))


def _locate(number: int, *, units: Sequence[ExchangeUnit], folder: Path, length: int, tasks: Sequence) -> None:  # type: ignore[type-arg]
    """`<key>.occurrences`: every window of the unit whose hash occurs twice; a run for each batch, by part."""
    unit = units[number]
    if has_runs(path := folder / f"{unit.key}.occurrences"):
        return
    repeated = np.concatenate([_NO_HASHES, *(_results(folder, "repeated", task, number) for task in tasks)])
    ranks = load_npy(unit_path(folder, unit.key, "ranks"))
    table = table_of(repeated)

    def runs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first_document = first_window = 0
        for documents, windows in _windows(unit, length) if len(repeated) else ():
            order, _ = by_part(windows.hashes)
            found = find(windows.hashes, order, repeated, table)
            of_document = np.repeat(ranks[first_document : first_document + len(documents)], documents["windows"])
            occurrences = np.empty(len(found), _OCCURRENCE)
            occurrences["hash"], occurrences["check"] = windows.hashes[found], windows.checks[found]
            occurrences["place"] = of_document[found] << _START_BITS | windows.starts[found].astype(np.uint64)
            occurrences["number"] = first_window + found
            first_document, first_window = first_document + len(documents), first_window + len(windows.hashes)
            yield occurrences, np.searchsorted(occurrences["hash"] >> _PART_SHIFT, np.arange(PARTS + 1))

    write_runs(path, runs(), PARTS)


def _pair(task: tuple[int, int], *, files: UnitFiles) -> None:
    """`twins-<part>`: for the task's occurrences, in their order, the place of the twin; one run, a column a unit."""
    if has_runs(path := _result_path(files.folder, "twins", task)):
        return
    units = [[*_occurrences(files.folder, key).between(*task)] for key in files.keys]
    together = np.concatenate([np.zeros(0, _OCCURRENCE), *(part for unit in units for part in unit)])
    bounds = np.cumsum([0, *(sum(map(len, unit)) for unit in units)])
    fields = (np.ascontiguousarray(together[name]) for name in ("hash", "check", "place"))
    write_runs(path, [(twins(*fields), bounds)], len(units))


def _hashes(folder: Path, key: str) -> Runs:
    return read_runs(folder / f"{key}.hashes", _HASH)


def _occurrences(folder: Path, key: str) -> Runs:
    return read_runs(folder / f"{key}.occurrences", _OCCURRENCE)


def _result_path(folder: Path, name: str, task: tuple[int, int]) -> Path:
    return folder / f"{name}-{task[0]:03d}"


def _results(folder: Path, name: str, task: tuple[int, int], number: int) -> np.ndarray:
    """What a task found for unit `number`."""
    found = read_runs(_result_path(folder, name, task), _HASH).between(number, number + 1)
    return np.concatenate([_NO_HASHES, *found])


_NO_HASHES = np.zeros(0, _HASH)


class Windows(NamedTuple):
    """All windows of some rows, row by row."""

    hashes: np.ndarray  # u64[windows]
    checks: np.ndarray  # u64[windows]: the second hash
    starts: np.ndarray  # i64[windows]: byte of its row at which it begins
    counts: np.ndarray  # i64[rows]: windows of each row


def _windows(unit: ExchangeUnit, length: int) -> Iterator[tuple[np.ndarray, Windows]]:
    """(_COUNTED[n], their windows) of each batch: the live rows of at least `length` words."""
    for rows, batch in unit.batches(["id", "text"]):
        windows = Windows(*hash_windows(*text_buffers(batch["text"]), classes(), length))
        documents = describe(unit, rows, batch, "first", _COUNTED)
        documents["order"] = 0  # none but that of ids
        documents["windows"] = windows.counts
        yield documents[windows.counts > 0], windows


def _order(numbers: np.ndarray, end: int) -> np.ndarray:
    """The indices that sort `numbers`, which are distinct and less than `end`: linear, where argsort takes longer."""
    at = np.full(end, -1, np.int64)
    at[numbers] = np.arange(len(numbers))
    return at[at >= 0]


def _low(places: np.ndarray) -> np.ndarray:
    """i64: the lower half, a byte of a place and a row of an address."""
    return (places & _START_MASK).astype(np.int64)


@njit(cache=True)
def hash_windows(data, offsets, classes, length):  # type: ignore[no-untyped-def]
    """The fields of `Windows` for the UTF-8 rows data[offsets]."""
    rows = len(offsets) - 1
    longest = np.int64(0)
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    begins, ends = np.empty(max_words(longest), np.int64), np.empty(max_words(longest), np.int64)
    words, others = np.empty(len(begins), np.uint64), np.empty(len(begins), np.uint64)
    room = (offsets[rows] - offsets[0]) // 2 + rows
    hashes, checks, starts = np.empty(room, np.uint64), np.empty(room, np.uint64), np.empty(room, np.int64)
    counts = np.zeros(rows, np.int64)
    power = check_power = np.uint64(1)
    for _ in range(length):
        power *= _BASE
        check_power *= _CHECK_BASE
    count = 0
    for row in range(rows):
        num_words = word_spans(data, offsets[row], offsets[row + 1], classes, begins, ends)
        if num_words < length:
            continue
        rolling = check = np.uint64(0)
        for k in range(num_words):
            word, other = _WORD, _CHECK
            for i in range(begins[k], ends[k]):
                word = (word ^ np.uint64(data[i])) * _WORD_STEP
                other = (other + np.uint64(data[i])) * _CHECK_STEP
            words[k], others[k] = word ^ (word >> _32), other ^ (other >> _32)
            rolling = rolling * _BASE + words[k]
            check = check * _CHECK_BASE + others[k]
            first = k - length + 1
            if first > 0:
                rolling -= words[first - 1] * power
                check -= others[first - 1] * check_power
            if first >= 0:
                mixed = (rolling ^ (rolling >> _32)) * _MIX
                hashes[count] = mixed ^ (mixed >> _32)
                checks[count] = check
                starts[count] = begins[first] - offsets[row]
                count += 1
        counts[row] = num_words - length + 1
    return hashes[:count], checks[:count], starts[:count], counts


@njit(cache=True)
def by_part(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(indices of `hashes` by part, in their order within, i64[PARTS + 1] where each part begins)."""
    bounds = np.zeros(PARTS + 1, np.int64)
    for value in hashes:
        bounds[np.int64(value >> _PART_SHIFT) + 1] += 1
    for part in range(PARTS):
        bounds[part + 1] += bounds[part]
    order, at = np.empty(len(hashes), np.int64), bounds.copy()
    for i in range(len(hashes)):
        slot = np.int64(hashes[i] >> _PART_SHIFT)
        order[at[slot]] = i
        at[slot] += 1
    return order, bounds


def _bitmap(num_windows: int) -> tuple[np.ndarray, np.uint64]:
    """(two bits, all clear, for each of at least eight slots a window, shift that makes a slot's number of a hash)."""
    bits = max(2, (8 * num_windows - 1).bit_length())
    return np.zeros(1 << (bits - 2), np.uint8), np.uint64(64 - bits)


@njit(cache=True)
def mark(hashes: np.ndarray, seen: np.ndarray, shift: np.uint64) -> None:
    """Count each hash in its slot: 0, 1, then 2 for good. All hashes are of one part."""
    for value in hashes:
        slot = (value << _PART_BITS) >> shift
        at = np.uint8((slot & np.uint64(3)) << np.uint64(1))
        if (seen[slot >> np.uint64(2)] >> at) & 3 < 2:
            seen[slot >> np.uint64(2)] += np.uint8(1) << at


@njit(cache=True)
def twice(hashes: np.ndarray, seen: np.ndarray, shift: np.uint64) -> np.ndarray:
    """Those of `hashes` whose slot was marked twice: all that are repeated, and an eighth of the others."""
    found, count = np.empty(len(hashes), np.uint64), 0
    for value in hashes:
        slot = (value << _PART_BITS) >> shift
        at = np.uint8((slot & np.uint64(3)) << np.uint64(1))
        found[count] = value
        count += (seen[slot >> np.uint64(2)] >> at) & 3 == 2
    return found[:count].copy()


@njit(cache=True)
def table_of(hashes: np.ndarray) -> np.ndarray:
    """An open table of at least twice the size: each distinct hash's index once, near its top bits; -1 elsewhere.

    Hashes that come part by part are put in and found within a cache's reach.
    """
    bits = 1
    while 1 << bits < 2 * len(hashes):
        bits += 1
    table, mask, shift = np.full(1 << bits, -1, np.int64), np.uint64((1 << bits) - 1), np.uint64(64 - bits)
    for i in range(len(hashes)):
        slot = hashes[i] >> shift
        while table[slot] >= 0 and hashes[table[slot]] != hashes[i]:
            slot = (slot + np.uint64(1)) & mask
        if table[slot] < 0:
            table[slot] = i
    return table


@njit(cache=True)
def find(wanted: np.ndarray, order: np.ndarray, hashes: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The indices of those of `wanted` that are in the `table` of `hashes`, looked up and given in `order`."""
    found, count = np.empty(len(wanted), np.int64), 0
    mask, shift = np.uint64(len(table) - 1), np.uint64(64)
    while len(table) >> np.int64(np.uint64(64) - shift) > 1:
        shift -= np.uint64(1)
    for i in order:
        slot = wanted[i] >> shift
        while table[slot] >= 0 and hashes[table[slot]] != wanted[i]:
            slot = (slot + np.uint64(1)) & mask
        found[count] = i
        count += table[slot] >= 0
    return found[:count].copy()


@njit(cache=True)
def twins(hashes: np.ndarray, checks: np.ndarray, places: np.ndarray) -> np.ndarray:
    """u64: the smallest other place with the same hash and check as each, or `_NOWHERE`; places are distinct."""
    size = 2
    while size < 2 * len(hashes):
        size *= 2
    mask = np.uint64(size - 1)
    table, first_of = np.full(size, -1, np.int64), np.empty(len(hashes), np.int64)
    least, next_least = np.full(len(hashes), _NOWHERE), np.full(len(hashes), _NOWHERE)
    for i in range(len(hashes)):
        slot = hashes[i] & mask
        while table[slot] >= 0 and (hashes[table[slot]] != hashes[i] or checks[table[slot]] != checks[i]):
            slot = (slot + np.uint64(1)) & mask
        if table[slot] < 0:
            table[slot] = i
        k = first_of[i] = table[slot]
        if places[i] < least[k]:
            least[k], next_least[k] = places[i], least[k]
        elif places[i] < next_least[k]:
            next_least[k] = places[i]
    result = np.empty(len(hashes), np.uint64)
    for i in range(len(hashes)):
        k = first_of[i]
        result[i] = next_least[k] if places[i] == least[k] else least[k]
    return result
