"""Verdicts name removed rows, and representatives take over their copies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from dedup_cases import make_row

from dedup.files.verdicts import NOT_HERE, write_verdicts
from shards.exchange import columns_path
from shards.schema import COPIES
from shards.sink import read_table


def address(unit: int, row: int) -> int:
    return unit << 32 | row


def remove(folder: Path, units: list, twin_of: dict[int, int]) -> None:
    removed, kept = (np.array(list(side), np.uint64) for side in (twin_of, twin_of.values()))
    write_verdicts(folder, units, removed, np.zeros((len(kept), 2), np.uint64), np.ones(len(kept)), kept)


def copies(folder: Path, unit) -> dict[int, int]:
    path = columns_path(folder / f"{unit.key}.arrow")
    if not path.exists():
        return {}
    return dict(zip(*read_table(path).to_pydict().values(), strict=True))


def test_representatives_take_over_copies_through_later_stages(make_units, tmp_path: Path) -> None:
    units = make_units([make_row(k) for k in range(9)], 3)
    first, second = tmp_path / "first", tmp_path / "second"
    remove(first, units, {address(2, 0): address(0, 1), address(0, 2): address(0, 1), address(1, 0): address(2, 2)})
    assert [copies(first, unit) for unit in units] == [{1: 2}, {}, {2: 1}]
    seen = [replace(u, verdicts=(first / f"{u.key}.arrow",), added=(COPIES,)) for u in units]
    remove(second, seen, {address(0, 1): address(2, 2), address(1, 1): address(2, 1)})
    assert [copies(second, unit) for unit in units] == [{}, {}, {1: 1, 2: 1 + 2 + 1}]


def test_a_twin_outside_of_the_run_gains_no_copies(make_units, tmp_path: Path) -> None:
    units = make_units([make_row(k) for k in range(3)], 3)
    remove(tmp_path, units, {0: int(NOT_HERE), 1: int(NOT_HERE)})
    assert read_table(tmp_path / f"{units[0].key}.arrow")["row"].to_pylist() == [0, 1]
    assert copies(tmp_path, units[0]) == {}


def test_nothing_removed_leaves_no_file(make_units, tmp_path: Path) -> None:
    remove(tmp_path / "out", make_units([make_row(1)]), {})
    assert not (tmp_path / "out").exists()
