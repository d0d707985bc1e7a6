"""Ids as integers, and the files of units as one sequence of documents."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.files.documents import DOCUMENT, UnitFiles, format_ids, keep_order, npy_path, parse_ids, save_npy
from shards.errors import RunError


@given(st.lists(st.binary(min_size=16, max_size=16)))
def test_ids_come_back_as_they_were(raw: list[bytes]) -> None:
    ids = [r.hex() for r in raw]
    array = pa.array(["f" * 32, *ids], pa.string())[1:]
    assert format_ids(parse_ids(array)).to_pylist() == ids


@pytest.mark.parametrize("bad", ["", "abc", "g" * 32, "0" * 31 + " ", "0" * 64])
def test_an_id_that_is_not_32_hex_digits_is_an_error(bad: str) -> None:
    with pytest.raises(RunError, match="32 hex digits"):
        parse_ids(pa.array(["0" * 32, bad]))


def files_of(folder: Path, sizes: list[int]) -> UnitFiles:
    stems = [folder / f"unit-{number}" for number in range(len(sizes))]
    for number, (stem, size) in enumerate(zip(stems, sizes, strict=True)):
        documents = np.zeros(size, DOCUMENT)
        documents["address"] = np.uint64(number << 32) | np.arange(size, dtype=np.uint64)
        save_npy(npy_path(stem, "documents"), documents)
    return UnitFiles.of(stems, DOCUMENT)


@given(st.lists(st.integers(0, 4), max_size=5), st.data())
def test_documents_are_numbered_over_all_units(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    files = files_of(tmp_path_factory.mktemp("files"), sizes)
    addresses = [number << 32 | row for number, size in enumerate(sizes) for row in range(size)]
    assert len(files) == len(addresses)
    assert files.values(DOCUMENT)["address"].tolist() == addresses
    assert files.values(np.dtype(np.uint64), lambda documents: documents["address"]).tolist() == addresses
    numbers = sorted(data.draw(st.sets(st.sampled_from(range(len(addresses)))))) if addresses else []
    chosen = files.documents(np.array(numbers, np.int64), DOCUMENT)
    assert chosen["address"].tolist() == [addresses[number] for number in numbers]


def test_files_of_two_sequences_follow_each_other(tmp_path: Path) -> None:
    both = files_of(tmp_path / "a", [2, 0]) + files_of(tmp_path / "b", [1])
    assert both.ends == (2, 2, 3)
    assert both.keys == ("unit-0", "unit-1", "unit-0")


def test_a_file_of_another_dtype_is_named_with_its_remedy(tmp_path: Path) -> None:
    save_npy(npy_path(tmp_path / "unit", "documents"), np.zeros(3, np.int64))
    with pytest.raises(
        RunError, match=r"unit\.documents\.npy: not a whole array .*rows of 8 bytes.*delete .*/unit\.\*"
    ):
        UnitFiles.of([tmp_path / "unit"], DOCUMENT)


def test_keep_order_is_by_order_then_id_then_address() -> None:
    documents = np.zeros(4, DOCUMENT)
    documents["order"] = [1, 0, 0, 0]
    documents["id"] = [(0, 0), (1, 0), (0, 1), (0, 1)]
    documents["address"] = [0, 1, 3, 2]
    assert keep_order(documents).tolist() == [3, 2, 1, 0]
