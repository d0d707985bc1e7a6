"""Duplicates by equal keys: the first document in keep order is kept, the others are removed with it as their twin.

    rows ──fingerprint──▶ 16-byte keys ──sort──▶ clusters ──keep order──▶ verdicts, similarity 1.0

The caller says what the key is: the id, the normalised URL, the normalised text. One sort over the upper half of the
keys finds the few candidates, and only those are read whole. Documents of an index come before all others and are never
removed.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from dedup.files.buckets import buckets
from dedup.files.documents import DOCUMENT, UnitFiles, describe, keep_order, save_npy, unit_path
from dedup.files.verdicts import NOT_HERE, write_verdicts
from dedup.keep import EARLIER, KeepBy
from shards.exchange import Block, Executor

KEYED = np.dtype([*DOCUMENT.descr, ("key", "<u8", 2)])
Fingerprint = Callable[[pa.RecordBatch], pa.Array]  # fixed_size_binary(16); null has no key and is never a duplicate


def remove_equal(
    units: Sequence[Block],
    folder: Path,
    executor: Executor,
    *,
    column: str,
    fingerprint: Fingerprint,
    keep: KeepBy,
    earlier: UnitFiles | None = None,
    copies: bool = True,
) -> None:
    """Write the verdicts and, with `copies`, how many documents each representative replaces.

    `fingerprint` is picklable and takes batches that have `column`; `earlier` are KEYED files of an index.
    """
    units = sorted(units, key=lambda unit: unit.number)
    task = partial(fingerprint_unit, folder=folder / "keys", column=column, fingerprint=fingerprint, keep=keep)
    for _ in executor.map(task, units):
        pass  # results are files
    files = (earlier or UnitFiles((), ())) + UnitFiles.open(folder / "keys", units, KEYED)
    numbers, _ = buckets(files.values(np.dtype(np.uint64), lambda documents: documents["key"][:, 0]))
    if len(numbers):
        removed, representatives = _choose(files.documents(np.sort(numbers), KEYED))
        kept = representatives["address"] if copies else None
        write_verdicts(folder, units, removed["address"], representatives["id"], np.ones(len(removed)), kept)


def fingerprint_unit(unit: Block, *, folder: Path, column: str, fingerprint: Fingerprint, keep: KeepBy) -> None:
    """Write the KEYED rows of `unit` that have a key, unless an earlier attempt has."""
    path = unit_path(folder, unit.key, "documents")
    if path.exists():
        return
    parts = [np.zeros(0, KEYED)]
    for rows, batch in unit.batches(list(dict.fromkeys(["id", column, *keep.columns()]))):
        keys = fingerprint(batch)
        documents = describe(unit, rows, batch, keep, KEYED)
        documents["key"] = np.frombuffer(keys.buffers()[1], ">u8").reshape(-1, 2)[keys.offset :][: len(keys)]
        parts.append(documents[keys.is_valid().to_numpy(zero_copy_only=False)])
    save_npy(path, np.concatenate(parts))


def _choose(documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(removed documents, the representative of each), both KEYED."""
    documents["order"][documents["address"] == NOT_HERE] = EARLIER
    documents = documents[keep_order(documents)]
    documents = documents[np.lexsort((documents["key"][:, 1], documents["key"][:, 0]))]  # stable
    repeats = np.append(False, (documents["key"][1:] == documents["key"][:-1]).all(axis=1))
    first = np.maximum.accumulate(np.where(repeats, 0, np.arange(len(documents))))
    repeats &= documents["address"] != NOT_HERE  # documents of an index are never removed, even if equal
    return documents[repeats], documents[first[repeats]]
