"""Signed files hold the keys and sets of the rows with words, by document number."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from dedup_cases import make_row
from dedup_oracles import rows_of

from dedup.files.documents import UnitFiles, npy_path
from dedup.files.verdicts import NOT_HERE
from dedup.keep import EARLIER, KeepBy
from dedup.lsh.shingles import shingles_of
from dedup.lsh.signatures import band_keys, permutations, signatures
from dedup.lsh.signing import SIGNED, SignedFiles, Signing, Verify, sign, sign_by_prefix
from shards.errors import RunError
from shards.exchange import Block

Make = Callable[..., list[Block]]
TEXTS = ["a b c d e f", "...", "", "one two", "a b c d e f", "x y z " * 50, None]
SIGNING = Signing(2, "words", False, bands=3, rows=4, seed=1, verify="shingles", keep=KeepBy("first"))
WITH_WORDS = [text for text in TEXTS if text and text != "..."]


def signed_files(units: list[Block], folder: Path, verify: Verify = "shingles") -> SignedFiles:
    for unit in units:
        sign_by_prefix(unit, folder=folder, signing=replace(SIGNING, verify=verify))
    return SignedFiles.open(folder, units, 3, None)


@pytest.mark.parametrize("verify", ["shingles", "signature", "none"])
def test_rows_with_words_have_their_keys_and_sets(make_units: Make, tmp_path: Path, verify: Verify) -> None:
    signed = signed_files(make_units([make_row(k, text) for k, text in enumerate(TEXTS)], 3), tmp_path, verify)
    sets, starts = shingles_of(pa.array(WITH_WORDS, pa.large_string()), 2)
    whole = signatures(sets, starts, *permutations(12, 1))
    expected = band_keys(whole, 3, 4)
    assert len(signed) == len(WITH_WORDS)
    for band in range(3):
        keys, numbers = signed.keys(band, 0, 1)
        assert sorted(numbers.tolist()) == list(range(len(signed)))
        np.testing.assert_array_equal(keys, expected[band][numbers])
    numbers = np.array([0, 1, 3])
    stored, begins = signed.sets(numbers, signed.documents(numbers))
    rows = whole if verify == "signature" else [sets[starts[k] : starts[k + 1]] for k in range(len(WITH_WORDS))]
    assert rows_of(stored, begins) == [rows[k].tolist() for k in numbers]


@pytest.mark.parametrize("bits", [2, 8, 9])
def test_prefixes_part_the_keys_of_a_band(make_units: Make, tmp_path: Path, bits: int) -> None:
    units = make_units([make_row(k, f"w{k} and more") for k in range(40)], 7)
    signed = signed_files(units, tmp_path)
    for unit in units[:2]:
        sign(unit, folder=tmp_path / "index", signing=SIGNING)
    index = UnitFiles.open(tmp_path / "index", units[:2], SIGNED)
    both = SignedFiles.open(tmp_path, units[2:], 3, index)
    keys, numbers = signed.keys(1, 0, 1)
    by_number = np.empty(40, np.uint64)
    by_number[numbers] = keys
    for files in (signed, both):  # documents of an index have the same numbers here
        parts = [files.keys(1, prefix, 1 << bits) for prefix in range(1 << bits)]
        shift = np.uint64(64 - bits)
        assert all((part >> shift == prefix).all() for prefix, (part, _) in enumerate(parts))
        assert sorted(number for _, numbers in parts for number in numbers.tolist()) == list(range(40))
        assert all((by_number[numbers] == part).all() for part, numbers in parts)


def test_keys_of_another_number_of_bands_are_damage(make_units: Make, tmp_path: Path) -> None:
    units = make_units([make_row(k, f"w{k} and more") for k in range(4)])
    signed_files(units, tmp_path)
    with pytest.raises(RunError, match=r"12 keys for 4 documents and 2 bands"):
        SignedFiles.open(tmp_path, units, 2, None).keys(1, 0, 1)


def test_a_finished_unit_is_not_signed_again(make_units: Make, tmp_path: Path) -> None:
    units = make_units([make_row(k, text) for k, text in enumerate(TEXTS)])
    signed_files(units, tmp_path)
    path = npy_path(tmp_path / units[0].key, "sets")
    before = path.stat().st_mtime_ns
    signed_files(units, tmp_path)
    assert path.stat().st_mtime_ns == before


def test_documents_of_an_index_come_first_in_keep_order(make_units: Make, tmp_path: Path) -> None:
    old, new = (make_units([make_row(name, "some words here")], name=name) for name in ("old", "new"))
    signed_files(old, tmp_path / "old")
    path = npy_path(tmp_path / "old" / old[0].key, "documents")
    documents = np.load(path)
    documents["address"] = NOT_HERE
    np.save(path, documents)
    signed_files(new, tmp_path / "new")
    both = SignedFiles.open(tmp_path / "new", new, 3, UnitFiles.of([tmp_path / "old" / old[0].key]))
    assert (both.num_earlier, len(both)) == (1, 2)
    assert both.documents(np.array([0, 1]))["order"].tolist() == [EARLIER, 0]
