"""Repeated pieces of text, found without a suffix array. A `Hasher` defines the pieces.

    text ──mark every piece──▶ 64-bit marks by part ──sort──▶ marks seen twice, back to their units
    text ──pieces with such a mark──▶ hash, second hash, place ──equal in both──▶ each piece's twin

Equal pieces have equal marks, and many pieces share one. So the first pass over the text writes little, and the second
looks only at rows with a mark seen twice. Pieces are equal when their two hashes are, 96 bits in all: among 10^11
pieces, two that differ are taken for equal once in ten million runs.

A place is (rank of the document by id) << 32 | first byte, so the order of places is the same for any order of the
input. Marks and pieces are cut by their top bits into `PARTS` independent parts, and a task takes as many parts as fit
in its memory. In memory at once: a unit's marks, a batch of text with its pieces, a task's parts, and 40 bytes for each
document that has a piece with a mark seen twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from dedup.files.column_runs import Range, Runs, by_prefix, column_ranges, column_sizes, has_runs, read_runs, write_runs
from dedup.files.documents import DOCUMENT, UnitFiles, describe, keep_order, load_npy, save_npy, unit_path
from shards import mirror
from shards.compiled import kernel
from shards.exchange import Block, Executor
from shards.hash_table import first_slot, next_slot, slot_of, table_size

_PART_BITS = 10
PARTS = 1 << _PART_BITS
_MARK_BYTES, _PIECE_BYTES = 64, 160  # that a task takes for each
_CHUNKS_A_TASK = 32
_CHUNK = 1 << 17  # pieces that are paired at a time, so that their table stays in cache
_HASH = np.dtype(np.uint64)
_PIECE = np.dtype([("hash", "<u8"), ("check", "<u4"), ("number", "<u4"), ("place", "<u8")])  # number: in its batch
_NO_HASHES, _NO_PIECES = np.zeros(0, _HASH), np.zeros(0, _PIECE)
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
    """Defines the pieces of a text. It is small and picklable, and its result for a row depends on that row alone."""

    def marks(self, text: pa.LargeStringArray) -> Marks:
        """The marks of all pieces of all rows; equal pieces have equal marks."""
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
    units: tuple[Block, ...]
    tasks: tuple["PairTask", ...]

    def batches(self, number: int, columns: list[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch, Repeats]]:
        """(row numbers, live rows, their repeats) of each batch of `units[number]` that has some."""
        unit = self.units[number]
        stored = _pieces(self.folder, unit.key)
        if not len(stored.values):
            return
        documents = load_npy(unit_path(self.folder, unit.key, "documents"), DOCUMENT)
        ids = load_npy(self.folder / "ids.npy", _HASH)
        twins = [[np.array(chunk) for chunk in _twins(self.folder, task, number)] for task in self.tasks]
        ranks = load_npy(unit_path(self.folder, unit.key, "ranks"), _HASH)
        done = np.zeros(sum(len(task) for task in self.tasks), np.int64)
        for run, (rows, batch) in enumerate(unit.batches(columns)):
            bounds = stored.bounds[run]
            pieces = stored.values[bounds[0] : bounds[-1]]
            parts, chunk_number = [_NO_HASHES], 0
            for task, task_twins in zip(self.tasks, twins, strict=True):
                for (first, end), chunk_twins in zip(task, task_twins, strict=True):
                    count = bounds[end] - bounds[first]
                    parts.append(chunk_twins[done[chunk_number] : done[chunk_number] + count])
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


PairTask = tuple[Range, ...]  # ranges of parts, each of which is paired at once: a chunk


def find_repeats(units: Sequence[Block], folder: Path, executor: Executor, hasher: Hasher) -> RepeatedPieces:
    """Find all pieces that occur twice in the live rows of `units`, within a document or across documents."""
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


# Each step is the work of one task, and writes files that the next one maps.


def _mark_unit(unit: Block, *, folder: Path, hasher: Hasher) -> None:
    """Write marks by part (`<key>.marks`) and by row (`<key>.in-order.npy`, with `<key>.counts.npy` of each row)."""
    if has_runs(folder / f"{unit.key}.marks"):
        return
    marks = [hasher.marks(batch["text"]) for _, batch in unit.batches(["text"])]
    hashes = np.concatenate([_NO_HASHES, *(m.hashes for m in marks)])
    save_npy(unit_path(folder, unit.key, "in-order"), hashes)
    save_npy(unit_path(folder, unit.key, "counts"), np.concatenate([np.zeros(0, np.int64), *(m.counts for m in marks)]))
    order, bounds = by_prefix(hashes, _PART_BITS)
    write_runs(folder / f"{unit.key}.marks", [(hashes[order], bounds)], PARTS)


def _find_repeated(task: Range, *, folder: Path, keys: Sequence[str]) -> None:
    """Write `repeated-<part>`: marks that occur twice, each once in the column of every unit that has it."""
    if has_runs(path := _result_path(folder, "repeated", task)):
        return
    of_units = [np.concatenate([_NO_HASHES, *_marks(folder, key).between(*task)]) for key in keys]
    together = np.sort(np.concatenate([_NO_HASHES, *of_units]))
    twice = HashSet.of(_once(together[1:][together[1:] == together[:-1]]))
    repeated = [_once(np.sort(hashes[twice.has(hashes)])) for hashes in of_units]
    write_runs(path, [(np.concatenate([_NO_HASHES, *repeated]), np.cumsum([0, *map(len, repeated)]))], len(keys))


def _locate(number: int, *, units: Sequence[Block], folder: Path, hasher: Hasher, tasks: Sequence[Range]) -> None:
    """Write `<key>.pieces`: every piece of the unit whose mark occurs twice, a run for each batch, by part.

    `<key>.documents.npy` holds the documents with such pieces. The unit is done with both.
    """
    unit = units[number]
    path, documents_path = folder / f"{unit.key}.pieces", unit_path(folder, unit.key, "documents")
    if has_runs(path) and mirror.exists(documents_path):
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
            row_counts = counts[first_row : first_row + len(rows)]
            is_repeated = repeated.has(marks[first_mark : first_mark + row_counts.sum()])
            first_row, first_mark = first_row + len(rows), first_mark + row_counts.sum()
            chosen = np.bincount(np.repeat(np.arange(len(rows)), row_counts), is_repeated, len(rows)) > 0
            if not chosen.any():
                yield np.zeros(0, _PIECE), np.zeros(PARTS + 1, np.int64)
                continue
            hashed = hasher.pieces(batch["text"], chosen, repeated)
            with_pieces, own = _once(hashed.rows), np.cumsum(np.diff(hashed.rows, prepend=hashed.rows[:1]) > 0)
            documents.append(describe(unit, rows[with_pieces], batch.take(pa.array(with_pieces)), "first"))
            place = (own + num_documents).astype(np.uint64) << _START_BITS | hashed.starts.astype(np.uint64)
            num_documents += len(with_pieces)
            order, bounds = by_prefix(hashed.hashes, _PART_BITS)
            pieces = np.empty(len(order), _PIECE)
            pieces["hash"], pieces["check"] = hashed.hashes[order], hashed.checks[order] >> _START_BITS
            pieces["place"], pieces["number"] = place[order], order
            yield pieces, bounds

    write_runs(path, runs(), PARTS)
    save_npy(documents_path, np.concatenate(documents))


def _rank(folder: Path, units: Sequence[Block]) -> None:
    """Write `ids.npy`, the sorted ids of all documents, and `<key>.ranks.npy`, the ranks of a unit's documents."""
    if mirror.exists(folder / "ids.npy"):
        return
    files = UnitFiles.open(folder, units)
    documents = files.values(DOCUMENT)
    documents["order"] = 0  # so that ids alone decide
    order = keep_order(documents)
    ranks = np.empty(len(documents), np.uint64)
    ranks[order] = np.arange(len(documents), dtype=np.uint64)
    for unit, start, end in zip(units, (0, *files.ends), files.ends, strict=False):
        save_npy(unit_path(folder, unit.key, "ranks"), ranks[start:end])
    save_npy(folder / "ids.npy", documents["id"][order])


def _pair(task: PairTask, *, folder: Path, keys: Sequence[str], at_a_time: int) -> None:
    """Write `twins-<part>`: the place of the twin of each of the task's pieces; a run a chunk, a column a unit.

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
    """The places that the task found for unit `number`, chunk by chunk."""
    return read_runs(_result_path(folder, "twins", task[0]), _HASH).between(number, number + 1)


def _result_path(folder: Path, name: str, parts: Range) -> Path:
    return folder / f"{name}-{parts[0]:04d}"


def _once(ascending: np.ndarray) -> np.ndarray:
    """Each value once. `np.unique` would sort first, and takes ten times as long."""
    once: np.ndarray = ascending[np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)]]
    return once


def _order(numbers: np.ndarray, end: int) -> np.ndarray:
    """The indices that sort `numbers`, which are distinct and less than `end`, in linear time."""
    indices = np.full(end, -1, np.int64)
    indices[numbers] = np.arange(len(numbers))
    return indices[indices >= 0]


def _low(places: np.ndarray) -> np.ndarray:
    """i64: the lower half, which is the byte of a place or the row of an address."""
    return (places & _START_MASK).astype(np.int64)


@dataclass(frozen=True)
class HashSet:
    """A set of 64-bit hashes in an open table, twice to four times as large.

    A probe begins at the top bits of the hash, so hashes that come part by part stay within a cache's reach. 0 marks a
    free slot; the hash 0 is taken for 1.
    """

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
    """64 less the number of bits of an index of `slots`, for `holds`."""
    shift = np.uint64(64)
    size = len(slots)
    while size > 1:
        size >>= 1
        shift -= np.uint64(1)
    return shift


@kernel(inline="always")
def holds(slots: np.ndarray, shift: np.uint64, value: np.uint64) -> bool:
    """Whether the set with these `slots`, and their `shift_of`, has `value`."""
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
    has = np.empty(len(hashes), np.bool_)
    for i in range(len(hashes)):
        has[i] = holds(slots, shift, hashes[i])
    return has


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
