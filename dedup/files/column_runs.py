"""Files of runs ordered by column: tasks write them run by run and read them column by column.

    run 0 │ column 0 │ column 1 │ …        written a run at a time, of any number of values;
    run 1 │ column 0 │ column 1 │ …        read a column at a time, from the files of all units

Values are raw in `<name>`. Bounds are in `<name>.bounds.npy`, which is written last: a file exists when its bounds do.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dedup.files.documents import load_npy, save_npy
from shards import mirror
from shards.atomic import atomic_file
from shards.compiled import kernel

Range = tuple[int, int]  # columns first … end - 1


@dataclass(frozen=True)
class Runs:
    """A file of runs. It is open as long as `values` or a part of it is held."""

    values: np.ndarray  # mapped
    bounds: np.ndarray  # i64[runs, columns + 1]: column c of run r is values[bounds[r, c] : bounds[r, c + 1]]

    def between(self, first: int, end: int) -> Iterator[np.ndarray]:
        """Columns `first` to `end` - 1 of each run."""
        for bounds in self.bounds:
            yield self.values[bounds[first] : bounds[end]]


def has_runs(path: Path) -> bool:
    return mirror.exists(_bounds_path(path))


def write_runs(path: Path, runs: Iterable[tuple[np.ndarray, np.ndarray]], columns: int) -> None:
    """Write runs: each is (values ordered by column, i64[columns + 1] where each column begins and the last ends)."""
    all_bounds, written = [np.zeros((0, columns + 1), np.int64)], 0
    with atomic_file(path, synced=False) as file:
        for values, bounds in runs:
            file.write(np.ascontiguousarray(values).data)
            all_bounds.append(bounds[None] + written)
            written += len(values)
    save_npy(_bounds_path(path), np.concatenate(all_bounds))


def read_runs(path: Path, dtype: np.dtype) -> Runs:
    bounds = load_npy(_bounds_path(path))
    empty = not len(bounds) or bounds[-1, -1] == 0  # which cannot be mapped
    values = np.zeros(0, dtype) if empty else mirror.opened(path, lambda path: np.memmap(path, dtype, "r"))
    return Runs(np.asarray(values), bounds)


def column_sizes(files: Iterable[Runs], columns: int) -> np.ndarray:
    """i64[columns]: values of each column in all runs of all files."""
    sizes = np.zeros(columns, np.int64)
    for file in files:
        sizes += np.diff(file.bounds, axis=1).sum(axis=0)
    return sizes


def column_ranges(sizes: np.ndarray, max_values: int) -> tuple[Range, ...]:
    """All columns in ranges of at most `max_values` values each, but for a single column that has more."""
    ranges, first, held = list[Range](), 0, 0
    for column, size in enumerate(sizes.tolist()):
        if held + size > max_values and column > first:
            ranges.append((first, column))
            first, held = column, 0
        held += size
    return (*ranges, (first, len(sizes)))


@kernel
def by_prefix(hashes: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(indices of u64 `hashes` ordered by their top `bits`, stable; i64[2^bits + 1] where each prefix begins)."""
    shift = np.uint64(64 - bits)
    bounds = np.zeros((1 << bits) + 1, np.int64)
    for value in hashes:
        bounds[np.int64(value >> shift) + 1] += 1
    for prefix in range(1 << bits):
        bounds[prefix + 1] += bounds[prefix]
    order, ends = np.empty(len(hashes), np.int64), bounds.copy()
    for i in range(len(hashes)):
        column = np.int64(hashes[i] >> shift)
        order[ends[column]] = i
        ends[column] += 1
    return order, bounds


def _bounds_path(path: Path) -> Path:
    return path.with_name(path.name + ".bounds.npy")
