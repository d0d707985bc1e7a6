"""Repeated pieces do not depend on units, memory or kills; tables equal plain Python."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
from dedup_cases import make_row, repeated_windows
from hypothesis import given
from hypothesis import strategies as st

from dedup.repeats.engine import HashSet, twins
from shards.exchange import Block

Make = Callable[..., list[Block]]


def test_units_and_their_order_do_not_matter(make_units: Make, tmp_path: Path) -> None:
    rng = random.Random(5)
    vocabulary = ["w", "x", "中", "и", "."]
    rows = [make_row(k, " ".join(rng.choices(vocabulary, k=rng.randrange(60)))) for k in range(80)]
    once = repeated_windows(make_units(rows, 80, "one"), tmp_path / "a", 4)
    assert len(once) > 1_000
    rng.shuffle(rows)
    assert repeated_windows(make_units(rows, 7, "many"), tmp_path / "b", 4) == once


def test_little_memory_gives_the_same_in_more_tasks(make_units: Make, tmp_path: Path) -> None:
    rng = random.Random(6)
    units = make_units([make_row(k, " ".join(rng.choices("abcdefgh", k=100))) for k in range(60)], 9)
    once = repeated_windows(units, tmp_path / "one", 4)
    assert once
    assert repeated_windows(units, tmp_path / "many", 4, memory=16_000) == once
    assert len([*(tmp_path / "many").glob("twins-*.npy")]) > 1
    assert len([*(tmp_path / "many").glob("repeated-*.npy")]) > 4


def test_a_killed_search_resumes_from_its_files(make_units: Make, tmp_path: Path) -> None:
    units, folder = make_units([make_row(k, "a b c d e f " * (k + 2)) for k in range(9)], 2), tmp_path / "out"
    once = repeated_windows(units, folder, 3)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for lost in ("web-00002-000.marks.bounds.npy", "repeated-0000.bounds.npy", "web-00001-000.pieces.bounds.npy"):
        (folder / lost).unlink()
        (folder / lost.removesuffix(".bounds.npy")).write_bytes(b"cut short")
        assert repeated_windows(units, folder, 3) == once
        (folder / lost.removesuffix(".bounds.npy")).unlink()
        (folder / lost).unlink()
        assert repeated_windows(units, folder, 3) == once
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in whole} == whole


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1))))
def test_a_twin_is_the_first_other_place(keys: list[tuple[int, int]]) -> None:
    hashes, checks = (np.array([key[i] for key in keys], np.uint64) for i in (0, 1))
    places = np.arange(len(keys), dtype=np.uint64)[::-1].copy()
    nowhere = (1 << 64) - 1
    assert twins(hashes, checks, places).tolist() == [
        min((int(p) for p, k in zip(places, keys, strict=True) if k == key and p != place), default=nowhere)
        for key, place in zip(keys, places, strict=True)
    ]


@given(st.lists(st.integers(0, (1 << 64) - 1) | st.sampled_from([0, 2, (1 << 64) - 1])), st.data())
def test_a_set_has_the_hashes_that_were_put_in(values: list[int], data: st.DataObject) -> None:
    held = data.draw(st.lists(st.sampled_from(values))) if values else []
    wanted = np.array(values, np.uint64)
    members = {value or 1 for value in held}  # 0 marks an empty slot, and is taken for 1
    assert HashSet.of(np.array(held, np.uint64)).has(wanted).tolist() == [(value or 1) in members for value in values]
