"""Duplicates by equal keys: the first document in keep order is kept, the others are removed with it as their twin.

    block ──fingerprint──▶ rows with 16-byte keys, by prefix of the key ──a range of prefixes of all blocks──▶ clusters
    clusters ──keep order──▶ what is removed and kept, by block ──▶ verdicts, similarity 1.0

The caller says what the key is: the id, the normalised URL, the normalised text. Equal keys have equal prefixes, so a
task that holds all rows of a range of prefixes finds all their duplicates; the range is as long as its memory allows.
Documents of an index come before all others and are never removed.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from dedup.files.buckets import buckets
from dedup.files.column_runs import Range, by_prefix, column_ranges, column_sizes, has_runs, read_runs, write_runs
from dedup.files.documents import DOCUMENT, UnitFiles, describe, keep_order, save_npy, unit_path
from dedup.files.verdicts import NOT_HERE, write_copies, write_verdicts
from dedup.keep import EARLIER, KeepBy
from shards import mirror
from shards.exchange import Block, Executor
from shards.schema import COPIES

KEYED = np.dtype([*DOCUMENT.descr, ("key", "<u8", 2)])
Fingerprint = Callable[[pa.RecordBatch], pa.Array]  # fixed_size_binary(16); null has no key and is never a duplicate

_COUNTED = np.dtype([*KEYED.descr, ("copies", "<i8")])  # copies: that earlier stages counted
_DECIDED = np.dtype([("address", "<u8"), ("twin", "<u8", 2), ("copies", "<i8")])  # copies: of a kept row; -1: removed
_REMOVED = -1
PREFIX_BITS = 10  # of a key: a task takes a range of prefixes
PREFIXES = 1 << PREFIX_BITS
_ROW_BYTES = 200  # that a task takes for a row of its range, where most keys are unique


def remove_equal(
    blocks: Sequence[Block],
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
    blocks = sorted(blocks, key=lambda block: block.number)
    keys = partial(_write_keys, folder=folder, column=column, fingerprint=fingerprint, keep=keep)
    for _ in executor.map(keys, blocks):
        pass  # results are files
    paths = [_keys_path(folder, block) for block in blocks]
    sizes = column_sizes((read_runs(path, _COUNTED) for path in paths), PREFIXES)
    sizes += len(earlier or ()) // PREFIXES
    ranges = column_ranges(sizes, executor.task_memory // _ROW_BYTES)
    decide = partial(_decide, folder=folder, blocks=blocks, earlier=earlier)
    for _ in executor.map(decide, ranges):
        pass
    decided = [read_runs(_decided_path(folder, range_), _DECIDED).bounds for range_ in ranges]
    named = [k for k in range(len(blocks)) if any((bounds[:, k] < bounds[:, k + 1]).any() for bounds in decided)]
    write = partial(_write_verdicts, folder=folder, blocks=blocks, ranges=ranges, copies=copies)
    for _ in executor.map(write, named):
        pass


def keyed_rows(folder: Path, blocks: Sequence[Block]) -> np.ndarray:
    """The rows of all `blocks` that `remove_equal` gave a key in `folder`, with the fields of KEYED."""
    paths = [_keys_path(folder, block) for block in blocks]
    return np.concatenate([np.zeros(0, _COUNTED), *(np.array(read_runs(path, _COUNTED).values) for path in paths)])


def fingerprint_block(block: Block, *, folder: Path, column: str, fingerprint: Fingerprint, keep: KeepBy) -> None:
    """Write the KEYED rows of `block` that have a key, as an index holds them, unless an earlier attempt has."""
    path = unit_path(folder, block.key, "documents")
    if not mirror.exists(path):
        save_npy(path, _with_fields(_keyed(block, column, fingerprint, keep), KEYED))


def _keyed(block: Block, column: str, fingerprint: Fingerprint, keep: KeepBy) -> np.ndarray:
    """_COUNTED of the rows of `block` that have a key."""
    counted = [COPIES.name] if COPIES.name in block.columns() else []
    parts = [np.zeros(0, _COUNTED)]
    for rows, batch in block.batches(list(dict.fromkeys(["id", column, *keep.columns(), *counted]))):
        keys = fingerprint(batch)
        documents = describe(block, rows, batch, keep, _COUNTED)
        documents["key"] = np.frombuffer(keys.buffers()[1], ">u8").reshape(-1, 2)[keys.offset :][: len(keys)]
        if counted:
            documents["copies"] = batch[COPIES.name].to_numpy(zero_copy_only=False)
        parts.append(documents[keys.is_valid().to_numpy(zero_copy_only=False)])
    return np.concatenate(parts)


def _write_keys(block: Block, *, folder: Path, column: str, fingerprint: Fingerprint, keep: KeepBy) -> None:
    """Write `keys/<block>`: the rows with a key, ordered by prefix of the key."""
    path = _keys_path(folder, block)
    if not has_runs(path):
        rows = _keyed(block, column, fingerprint, keep)
        order, bounds = by_prefix(np.ascontiguousarray(rows["key"][:, 0]), PREFIX_BITS)
        write_runs(path, [(rows[order], bounds)], PREFIXES)


def _decide(range_: Range, *, folder: Path, blocks: Sequence[Block], earlier: UnitFiles | None) -> None:
    """Write `decided/<range>`: the removed rows and their representatives, by block."""
    path = _decided_path(folder, range_)
    if has_runs(path):
        return
    parts = [np.zeros(0, _COUNTED), *_earlier_rows(earlier, range_)]
    for block in blocks:
        parts += map(np.array, read_runs(_keys_path(folder, block), _COUNTED).between(*range_))
    rows = np.concatenate(parts)
    del parts
    numbers, _ = buckets(np.ascontiguousarray(rows["key"][:, 0]))
    removed, kept = _choose(rows[np.sort(numbers)])
    decided = np.concatenate([_decided(removed, kept["id"]), _gains(removed, kept)])
    decided = decided[np.argsort(decided["address"], kind="stable")]
    bounds = np.searchsorted(decided["address"] >> np.uint64(32), [block.number for block in blocks])
    write_runs(path, [(decided, np.append(bounds, len(decided)))], len(blocks))


def _earlier_rows(earlier: UnitFiles | None, range_: Range) -> list[np.ndarray]:
    """_COUNTED of the documents of an index whose keys have a prefix of the range."""
    parts = []
    for documents in earlier.each("documents") if earlier is not None else ():
        prefixes = (documents["key"][:, 0] >> np.uint64(64 - PREFIX_BITS)).astype(np.int64)
        parts.append(_with_fields(documents[(prefixes >= range_[0]) & (prefixes < range_[1])], _COUNTED))
    return parts


def _with_fields(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """`rows`, which have the fields of KEYED, as `dtype`; what they lack is 0."""
    result = np.zeros(len(rows), dtype)
    for name in KEYED.names or ():
        result[name] = rows[name]
    return result


def _choose(documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(removed documents, the representative of each), both _COUNTED."""
    documents["order"][documents["address"] == NOT_HERE] = EARLIER
    documents = documents[keep_order(documents)]
    documents = documents[np.lexsort((documents["key"][:, 1], documents["key"][:, 0]))]  # stable
    repeats = np.append(False, (documents["key"][1:] == documents["key"][:-1]).all(axis=1))[: len(documents)]
    first = np.maximum.accumulate(np.where(repeats, 0, np.arange(len(documents))))
    repeats &= documents["address"] != NOT_HERE  # documents of an index are never removed, even if equal
    return documents[repeats], documents[first[repeats]]


def _decided(removed: np.ndarray, twins: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(removed), _DECIDED)
    rows["address"], rows["twin"], rows["copies"] = removed["address"], twins, _REMOVED
    return rows


def _gains(removed: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The representatives of this run, each once: its copies, those of what was removed for it, and one for each."""
    here = kept["address"] != NOT_HERE
    addresses, first, inverse = np.unique(kept["address"][here], return_index=True, return_inverse=True)
    rows = np.zeros(len(addresses), _DECIDED)
    rows["address"], rows["copies"] = addresses, kept["copies"][here][first]
    np.add.at(rows["copies"], inverse, removed["copies"][here] + 1)
    return rows


def _write_verdicts(k: int, *, folder: Path, blocks: Sequence[Block], ranges: Sequence[Range], copies: bool) -> None:
    """Write verdicts and copies of the block `blocks[k]`."""
    runs = [read_runs(_decided_path(folder, range_), _DECIDED) for range_ in ranges]
    rows = np.concatenate([np.zeros(0, _DECIDED), *(np.array(part) for run in runs for part in run.between(k, k + 1))])
    is_removed = rows["copies"] == _REMOVED
    removed, kept = rows[is_removed], rows[~is_removed]
    write_verdicts(folder, [blocks[k]], removed["address"], removed["twin"], np.ones(len(removed)))
    if copies:
        kept = kept[np.argsort(kept["address"])]
        write_copies(folder, [blocks[k]], kept["address"], kept["copies"])


def _keys_path(folder: Path, block: Block) -> Path:
    return folder / "keys" / block.key


def _decided_path(folder: Path, range_: Range) -> Path:
    return folder / "decided" / f"{range_[0]:04d}-{range_[1]:04d}"
