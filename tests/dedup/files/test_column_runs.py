"""Runs of columns on disk, and the ranges and orders that cut them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.files.column_runs import by_prefix, column_ranges, column_sizes, has_runs, read_runs, write_runs

U64 = st.integers(0, (1 << 64) - 1) | st.sampled_from([0, 1, (1 << 64) - 1])


@given(st.lists(U64), st.integers(1, 12))
def test_hashes_are_ordered_by_their_top_bits_and_stay_in_order_within(values: list[int], bits: int) -> None:
    order, bounds = by_prefix(np.array(values, np.uint64), bits)
    prefixes = [value >> 64 - bits for value in values]
    assert order.tolist() == sorted(range(len(values)), key=lambda i: prefixes[i])
    assert bounds.tolist() == np.searchsorted(sorted(prefixes), np.arange((1 << bits) + 1)).tolist()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(1, 20))
def test_ranges_cover_all_columns_and_hold_no_more_than_asked(sizes: list[int], max_values: int) -> None:
    ranges = column_ranges(np.array(sizes), max_values)
    assert [column for first, end in ranges for column in range(first, end)] == list(range(len(sizes)))
    assert all(sum(sizes[first:end]) <= max_values or end == first + 1 for first, end in ranges)
    # No range could have taken the column after it.
    assert all(sum(sizes[first : end + 1]) > max_values for first, end in ranges[:-1])


def test_a_column_is_read_from_every_run_of_every_file(tmp_path: Path) -> None:
    runs = [(np.array([1, 2, 3]), np.array([0, 1, 1, 3])), (np.array([4]), np.array([0, 0, 1, 1]))]
    write_runs(tmp_path / "a", runs, 3)
    assert has_runs(tmp_path / "a")
    file = read_runs(tmp_path / "a", np.dtype(np.int64))
    assert [part.tolist() for part in file.between(0, 1)] == [[1], []]
    assert [part.tolist() for part in file.between(1, 3)] == [[2, 3], [4]]
    assert column_sizes([file, file], 3).tolist() == [2, 2, 4]


def test_a_file_without_values_and_a_file_without_runs_are_empty(tmp_path: Path) -> None:
    for name, runs in (("no values", [(np.zeros(0, np.int64), np.zeros(4, np.int64))]), ("no runs", [])):
        write_runs(tmp_path / name, runs, 3)
        assert not any(len(part) for part in read_runs(tmp_path / name, np.dtype(np.int64)).between(0, 3))


def test_a_file_exists_only_when_its_bounds_do(tmp_path: Path) -> None:
    def killed():
        yield np.array([1]), np.array([0, 1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_runs(tmp_path / "a", killed(), 1)
    assert not has_runs(tmp_path / "a")
