"""Pieces of text that stand in more than one place, without a suffix array. A `Hasher` says what a piece is.

    text ──mark every piece──▶ 64-bit marks by part ──sort──▶ marks seen twice, back to their units
    text ──pieces with such a mark──▶ hash, second hash, place ──equal in both──▶ each piece's twin

Equal pieces have equal marks, and many pieces share one: so the first pass over the text leaves little, and the second
looks only at rows that hold a mark seen twice. Pieces are equal when their two hashes are, 96 bits in all: of 10^11
pieces, two that differ are taken for equal once in ten million runs.

A place is (rank of the document by id) << 32 | first byte, so which place comes first is the same for any order of the
input. Marks and pieces are cut by their top bits into `PARTS` parts that know nothing of each other, and tasks are as
many parts as fit into their memory. In memory at once: a unit's marks, a batch of text with its pieces, a task's parts,
and 40 bytes for each document that has a piece with a mark seen twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from dedup.column_runs import Runs, by_prefix, column_ranges, column_sizes, has_runs, read_runs, write_runs
from dedup.documents import DOCUMENT, UnitFiles, describe, keep_order, load_npy, save_npy, unit_path
from shards.compiled import kernel
from shards.exchange import ExchangeUnit, Executor
from shards.hash_table import first_slot, next_slot, slot_of, table_size

_PART_BITS = 10
PARTS = 1 << _PART_BITS
_MARK_BYTES, _PIECE_BYTES = 64, 160  # that a task takes for each
_CHUNKS_A_TASK = 32
_CHUNK = 1 << 17  # pieces that are paired at a time, while their table stays in cache
_HASH = np.dtype(np.uint64)
_PIECE = np.dtype([("hash", "<u8"), ("check", "<u4"), ("number", "<u4"), ("place", "<u8")])  # number: in its batch
_NOWHERE = np.uint64(0xFFFFFFFFFFFFFFFF)
_START_BITS = np.uint64(32)
_START_MASK = np.uint64(0xFFFFFFFF)


class Marks(NamedTuple):
    """The marks of some rows, row by row."""

    hashes: np.ndarray  # u64[marks]
    counts: np.ndarray  # i64[rows]


class Pieces(NamedTuple):
    """Some pieces of some rows, by row and start."""

    rows: np.ndarray  # i64
    starts: np.ndarray  # i64: byte of the row's text
    hashes: np.ndarray  # u64
    checks: np.ndarray  # u64: a second hash, independent of the first, of which the upper half is kept


class Hasher(Protocol):
    """Small and picklable; what it gives for a row depends on the row's text alone."""

    def marks(self, text: pa.LargeStringArray) -> Marks:
        """Equal pieces of text have an equal mark."""
        ...

    def pieces(self, text: pa.LargeStringArray, chosen: np.ndarray, repeated: "HashSet") -> Pieces:
        """The pieces whose mark is in `repeated`, of the rows where bool[rows] `chosen` is set."""
        ...


class Repeats(NamedTuple):
    """The pieces of one batch that occur twice or more, by row and start."""

    rows: np.ndarray  # i64: row of the batch
    starts: np.ndarray  # i64: byte of the text at which the piece begins
    firsts: np.ndarray  # bool: no equal piece comes before this one
    twins: np.ndarray  # u64[n, 2]: id of the document with the first equal piece, of a first piece with the second
    twin_starts: np.ndarray  # i64: byte of that document's text at which it begins


@dataclass(frozen=True)
class RepeatedPieces:
    """The result of `find_repeats`, as files."""

    folder: Path
    units: tuple[ExchangeUnit, ...]
    tasks: tuple["PairTask", ...]

    def batches(self, number: int, columns: list[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch, Repeats]]:
        """(row numbers, live rows, their repeats) of each batch of `units[number]` that has some."""
        unit = self.units[number]
        found = _pieces(self.folder, unit.key)
        if not len(found.values):
            return
        documents = load_npy(unit_path(self.folder, unit.key, "documents"), DOCUMENT)
        ids = load_npy(self.folder / "ids.npy", _HASH)
        twins = [[np.array(chunk) for chunk in _twins(self.folder, task, number)] for task in self.tasks]
        ranks = load_npy(unit_path(self.folder, unit.key, "ranks"), _HASH)
        done = np.zeros(sum(len(task) for task in self.tasks), np.int64)
        for at, (rows, batch) in enumerate(unit.batches(columns)):
            bounds = found.bounds[at]
            pieces = found.values[bounds[0] : bounds[-1]]
            parts, chunk_number = [_NO_HASHES], 0
            for task, of_task in zip(self.tasks, twins, strict=True):
                for (first, end), of_chunk in zip(task, of_task, strict=True):
                    count = bounds[end] - bounds[first]
                    parts.append(of_chunk[done[chunk_number] : done[chunk_number] + count])
                    done[chunk_number] += count
                    chunk_number += 1
            twin = np.concatenate(parts)
            repeated = twin != _NOWHERE
            if not repeated.any():
                continue
            order = _order(pieces["number"][repeated], len(pieces))
            places, twin = pieces["place"][repeated][order], twin[repeated][order]
            own = (places >> _START_BITS).astype(np.int64)
            here = ranks[own] << _START_BITS | places & _START_MASK
            yield (
                rows,
                batch,
                Repeats(
                    np.searchsorted(rows, _low(documents["address"][own])),
                    _low(places),
                    here < twin,
                    ids[(twin >> _START_BITS).astype(np.int64)],
                    _low(twin),
                ),
            )


PairTask = tuple[tuple[int, int], ...]  # ranges of parts, each of which is paired at once


def find_repeats(units: Sequence[ExchangeUnit], folder: Path, executor: Executor, hasher: Hasher) -> RepeatedPieces:
    """All pieces that occur twice in the live rows of `units`, within a document or across."""
    units = tuple(sorted(units, key=lambda unit: unit.number))
    for _ in executor.map(partial(_mark_unit, folder=folder, hasher=hasher), units):
        pass  # results are files
    keys = tuple(unit.key for unit in units)
    marks = (_marks(folder, key) for key in keys)
    mark_tasks = column_ranges(column_sizes(marks, PARTS), executor.task_memory // _MARK_BYTES)
    for _ in executor.map(partial(_find_repeated, folder=folder, keys=keys), mark_tasks):
        pass
    locate = partial(_locate, units=units, folder=folder, hasher=hasher, tasks=mark_tasks)
    for _ in executor.map(locate, range(len(units))):
        pass
    _rank(folder, units)
    sizes = column_sizes((_pieces(folder, key) for key in keys), PARTS)
    max_pieces = executor.task_memory // _PIECE_BYTES
    chunks = column_ranges(sizes, min(_CHUNK, max_pieces))
    tasks = tuple(chunks[k : k + _CHUNKS_A_TASK] for k in range(0, len(chunks), _CHUNKS_A_TASK))
    at_a_time = max(1, max_pieces // (2 * _CHUNK))
    for _ in executor.map(partial(_pair, folder=folder, keys=keys, at_a_time=at_a_time), tasks):
        pass
    return RepeatedPieces(folder, units, tasks)


# Each step is one task's work, and leaves files that the next one maps.


def _mark_unit(unit: ExchangeUnit, *, folder: Path, hasher: Hasher) -> None:
    """`<key>.marks`: marks by part; `<key>.in-order.npy` row by row, `<key>.counts.npy`: of each live row."""
    if has_runs(folder / f"{unit.key}.marks"):
        return
    found = [hasher.marks(batch["text"]) for _, batch in unit.batches(["text"])]
    hashes = np.concatenate([_NO_HASHES, *(marks.hashes for marks in found)])
    save_npy(unit_path(folder, unit.key, "in-order"), hashes)
    save_npy(unit_path(folder, unit.key, "counts"), np.concatenate([np.zeros(0, np.int64), *(m.counts for m in found)]))
    order, bounds = by_prefix(hashes, _PART_BITS)
    write_runs(folder / f"{unit.key}.marks", [(hashes[order], bounds)], PARTS)


def _find_repeated(task: tuple[int, int], *, folder: Path, keys: Sequence[str]) -> None:
    """`repeated-<part>`: marks that occur twice, each once, a column for each unit that has it."""
    if has_runs(path := _result_path(folder, "repeated", task)):
        return
    of_units = [np.concatenate([_NO_HASHES, *_marks(folder, key).between(*task)]) for key in keys]
    together = np.sort(np.concatenate([_NO_HASHES, *of_units]))
    twice = HashSet.of(_once(together[1:][together[1:] == together[:-1]]))
    found = [_once(np.sort(hashes[twice.has(hashes)])) for hashes in of_units]
    write_runs(path, [(np.concatenate([_NO_HASHES, *found]), np.cumsum([0, *map(len, found)]))], len(keys))


def _locate(
    number: int, *, units: Sequence[ExchangeUnit], folder: Path, hasher: Hasher, tasks: Sequence[tuple[int, int]]
) -> None:
    """`<key>.pieces`: every piece of the unit whose mark occurs twice; a run for each batch, by part.
    `<key>.documents.npy`: the documents that have some."""
    unit = units[number]
    if has_runs(path := folder / f"{unit.key}.pieces"):
        return
    paths = [_result_path(folder, "repeated", task) for task in tasks]
    of_tasks = [np.array(part) for path in paths for part in read_runs(path, _HASH).between(number, number + 1)]
    repeated = HashSet.of(np.concatenate([_NO_HASHES, *of_tasks]))
    marks = load_npy(unit_path(folder, unit.key, "in-order"), _HASH)
    counts = load_npy(unit_path(folder, unit.key, "counts"), np.dtype(np.int64))
    documents = [np.zeros(0, DOCUMENT)]

    def runs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first_row = first_mark = num_documents = 0
        for rows, batch in unit.batches(["id", "text"]):
            of_rows = counts[first_row : first_row + len(rows)]
            held = repeated.has(marks[first_mark : first_mark + of_rows.sum()])
            first_row, first_mark = first_row + len(rows), first_mark + of_rows.sum()
            chosen = np.bincount(np.repeat(np.arange(len(rows)), of_rows), held, len(rows)) > 0
            if not chosen.any():
                yield np.zeros(0, _PIECE), np.zeros(PARTS + 1, np.int64)
                continue
            found = hasher.pieces(batch["text"], chosen, repeated)
            having, own = _once(found.rows), np.cumsum(np.diff(found.rows, prepend=found.rows[:1]) > 0)
            documents.append(describe(unit, rows[having], batch.take(pa.array(having)), "first"))
            place = (own + num_documents).astype(np.uint64) << _START_BITS | found.starts.astype(np.uint64)
            num_documents += len(having)
            order, bounds = by_prefix(found.hashes, _PART_BITS)
            pieces = np.empty(len(order), _PIECE)
            pieces["hash"], pieces["check"] = found.hashes[order], found.checks[order] >> _START_BITS
            pieces["place"], pieces["number"] = place[order], order
            yield pieces, bounds

    write_runs(path, runs(), PARTS)
    save_npy(unit_path(folder, unit.key, "documents"), np.concatenate(documents))


def _rank(folder: Path, units: Sequence[ExchangeUnit]) -> None:
    """`ids.npy`: of all documents in the order of ids; `<key>.ranks.npy`: where a unit's own stand in it."""
    if (folder / "ids.npy").exists():
        return
    files = UnitFiles.open(folder, units)
    documents = files.values(DOCUMENT)
    documents["order"] = 0  # none but that of ids
    order = keep_order(documents)
    ranks = np.empty(len(documents), np.uint64)
    ranks[order] = np.arange(len(documents), dtype=np.uint64)
    for unit, start, end in zip(units, (0, *files.ends), files.ends, strict=False):
        save_npy(unit_path(folder, unit.key, "ranks"), ranks[start:end])
    save_npy(folder / "ids.npy", documents["id"][order])


def _pair(task: PairTask, *, folder: Path, keys: Sequence[str], at_a_time: int) -> None:
    """`twins-<part>`: for the task's pieces, in their order, the place of the twin; a run a chunk, a column a unit.

    The files of a unit are opened once for `at_a_time` chunks.
    """
    if has_runs(path := _result_path(folder, "twins", task[0])):
        return

    def runs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for k in range(0, len(task), at_a_time):
            chunks = task[k : k + at_a_time]
            of_units = [_ranked_pieces(folder, key, chunks) for key in keys]
            for of_chunk in zip(*of_units, strict=True):
                together = np.concatenate([_NO_PIECES, *of_chunk])
                fields = (np.ascontiguousarray(together[name]) for name in ("hash", "check", "place"))
                yield twins(*fields), np.cumsum([0, *map(len, of_chunk)])

    write_runs(path, runs(), len(keys))


def _ranked_pieces(folder: Path, key: str, chunks: PairTask) -> list[np.ndarray]:
    """_PIECE of each chunk of the unit, with the rank of its document in its place."""
    pieces, ranks = _pieces(folder, key), load_npy(unit_path(folder, key, "ranks"), _HASH)
    of_chunks = [np.concatenate([_NO_PIECES, *pieces.between(first, end)]) for first, end in chunks]
    for chunk in of_chunks:
        own = (chunk["place"] >> _START_BITS).astype(np.int64)
        chunk["place"] = ranks[own] << _START_BITS | chunk["place"] & _START_MASK
    return of_chunks


def _marks(folder: Path, key: str) -> Runs:
    return read_runs(folder / f"{key}.marks", _HASH)


def _pieces(folder: Path, key: str) -> Runs:
    return read_runs(folder / f"{key}.pieces", _PIECE)


def _twins(folder: Path, task: PairTask, number: int) -> Iterator[np.ndarray]:
    """What the task found for unit `number`, chunk by chunk."""
    return read_runs(_result_path(folder, "twins", task[0]), _HASH).between(number, number + 1)


def _result_path(folder: Path, name: str, parts: tuple[int, int]) -> Path:
    return folder / f"{name}-{parts[0]:04d}"


_NO_HASHES, _NO_PIECES = np.zeros(0, _HASH), np.zeros(0, _PIECE)


def _once(ascending: np.ndarray) -> np.ndarray:
    """Each value once; `np.unique` does not know that they ascend, and takes ten times as long."""
    once: np.ndarray = ascending[np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)]]
    return once


def _order(numbers: np.ndarray, end: int) -> np.ndarray:
    """The indices that sort `numbers`, which are distinct and less than `end`: linear, where argsort takes longer."""
    at = np.full(end, -1, np.int64)
    at[numbers] = np.arange(len(numbers))
    return at[at >= 0]


def _low(places: np.ndarray) -> np.ndarray:
    """i64: the lower half, a byte of a place and a row of an address."""
    return (places & _START_MASK).astype(np.int64)


@dataclass(frozen=True)
class HashSet:
    """A set of 64-bit hashes: an open table, twice to four times as large, whose slots are near the top bits of what
    they hold, so hashes that come part by part are found within a cache's reach. 0 marks an empty slot; the hash 0 is
    taken for 1."""

    slots: np.ndarray  # u64[2^n]

    @classmethod
    def of(cls, hashes: np.ndarray) -> "HashSet":
        slots = np.zeros(1 << max(1, (2 * len(hashes)).bit_length()), np.uint64)
        _fill(slots, hashes)
        return cls(slots)

    def has(self, hashes: np.ndarray) -> np.ndarray:
        """bool[hashes]"""
        return _has(self.slots, hashes)


@kernel(inline="always")
def shift_of(slots: np.ndarray) -> np.uint64:
    """What `holds` needs to know of `slots`: 64 less the bits of a slot's number."""
    shift = np.uint64(64)
    size = len(slots)
    while size > 1:
        size >>= 1
        shift -= np.uint64(1)
    return shift


@kernel(inline="always")
def holds(slots: np.ndarray, shift: np.uint64, value: np.uint64) -> bool:
    wanted = value if value else np.uint64(1)
    return bool(slots[slot_of(slots, wanted, wanted >> shift)] == wanted)


@kernel
def _fill(slots: np.ndarray, hashes: np.ndarray) -> None:
    shift = shift_of(slots)
    for value in hashes:
        wanted = value if value else np.uint64(1)
        slots[slot_of(slots, wanted, wanted >> shift)] = wanted


@kernel
def _has(slots: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    shift = shift_of(slots)
    found = np.empty(len(hashes), np.bool_)
    for i in range(len(hashes)):
        found[i] = holds(slots, shift, hashes[i])
    return found


@kernel
def twins(hashes: np.ndarray, checks: np.ndarray, places: np.ndarray) -> np.ndarray:
    """u64: the smallest other place with the same hash and check as each, or `_NOWHERE`; places are distinct."""
    table, first_of = np.full(table_size(len(hashes)), -1, np.int64), np.empty(len(hashes), np.int64)
    least, next_least = np.full(len(hashes), _NOWHERE), np.full(len(hashes), _NOWHERE)
    for i in range(len(hashes)):
        slot = first_slot(table, hashes[i])
        while table[slot] >= 0 and (hashes[table[slot]] != hashes[i] or checks[table[slot]] != checks[i]):
            slot = next_slot(table, slot)
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
