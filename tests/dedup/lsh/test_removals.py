"""Removed documents are written as verdicts and copies of their units, whatever the memory."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dedup_cases import make_id, make_row, read_fates

from dedup.keep import KeepBy
from dedup.lsh.edge_runs import EDGE
from dedup.lsh.removals import RemovedDocuments
from dedup.lsh.signing import SignedFiles, Signing, sign_by_prefix
from shards.exchange import Block, columns_path
from shards.sink import read_table

Make = Callable[..., list[Block]]
SIGNING = Signing(1, "words", False, bands=1, rows=1, seed=1, verify="none", keep=KeepBy("first"))


@pytest.mark.parametrize("memory", [1, 300 * 12, 1 << 30])
def test_each_removed_document_has_its_representative_and_passes_on_its_copies(
    make_units: Make, tmp_path: Path, memory: int
) -> None:
    units = make_units([make_row(k, f"w{k}") for k in range(40)], 7)
    for unit in units:
        sign_by_prefix(unit, folder=tmp_path / "signed", signing=SIGNING)
    signed = SignedFiles.open(tmp_path / "signed", units, 1, None)
    pairs = [(k % 5, k, k / 40) for k in range(10, 40)]
    random.Random(1).shuffle(pairs)
    with RemovedDocuments(tmp_path / "removed.bin") as removed:
        for first in range(0, len(pairs), 11):
            edges = np.array(pairs[first : first + 11], EDGE)
            removed.add(edges, np.arange(40), signed.documents(np.arange(40)))
    removed.write(tmp_path / "out", units, signed, memory)
    assert read_fates(units, tmp_path / "out") == {make_id(b): (make_id(a), similarity) for a, b, similarity in pairs}
    copies = read_table(columns_path(tmp_path / "out" / f"{units[0].key}.arrow")).to_pydict()
    assert copies == {"row": [0, 1, 2, 3, 4], "copies": [6] * 5}
    assert not (tmp_path / "removed.bin").exists()
