"""Duplicates by `id` and text: one record read twice, from overlapping inputs or a file listed in two sources.

    ids ──hash, by prefix──▶ shared ids ──▶ texts of their rows ──equal keys──▶ verdicts
                                                                  └─▶ an alarm where texts under one id differ

Different texts under one id prove that the source's ids do not identify records: all of them are kept, and an alarm
says so. Where no id is shared, which is the rule, only the id column is read.

The first in the order of source, WARC file and offset is kept, which is the order of row addresses.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dedup.equal_keys import PREFIX_BITS, PREFIXES, keyed_rows, remove_equal
from dedup.files.buckets import buckets
from dedup.files.column_runs import Range, by_prefix, column_ranges, column_sizes, has_runs, read_runs, write_runs
from dedup.files.documents import format_ids, load_npy, parse_ids, save_npy
from dedup.keep import KeepBy
from dedup.replay import groups_of_keys, recorded_groups, remove_equal_rows, remove_for_others
from shards import mirror
from shards.atomic import write_json
from shards.exchange import ALARMS_FILE, Block, Cost, Executor, GlobalStageConfig
from shards.replay import FinishedRun

_FIRST = KeepBy("first")
_HASH = np.dtype(np.uint64)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio: spreads the bits of a product
_ID_BYTES = 48  # that a task takes for an id of its range


class SameRecordConfig(GlobalStageConfig):
    """The stage that every run has, without a kind of its own in a recipe."""

    version: ClassVar[int] = 2
    reason: ClassVar[str] = "dedup.same_record"

    @property
    def cost(self) -> Cost:
        return Cost(seconds_per_document=0.5e-6, disk_per_document=9)

    def resolve(self, units: Sequence[Block], folder: Path, executor: Executor) -> None:
        if shared := _write_shared(folder, units, executor):
            texts = partial(_ids_with_texts, shared=shared)
            remove_equal(units, folder, executor, column="text", fingerprint=texts, keep=_FIRST, copies=False)
            if alarms := _differing_texts(keyed_rows(folder, units)):
                write_json(folder / ALARMS_FILE, alarms, synced=False)

    def replay(self, run: FinishedRun, *, changed: bool) -> None:
        new = run.possible & ~run.entered
        remove_for_others(run)
        rows = _decide_differing(run, new)
        if new.any():
            asked = new | run.removed
            rows = np.concatenate([rows[asked[rows]], rows[~asked[rows]]])
            rows, groups = groups_of_keys(run, rows, run.column("id").take(pa.array(rows)), asked)
        else:
            groups = recorded_groups(run, rows)
        remove_equal_rows(run, rows, groups, _FIRST)


SAME_RECORD = SameRecordConfig(name="same_record")  # every run has it, after its first pass


def _decide_differing(run: FinishedRun, new: np.ndarray) -> np.ndarray:
    """The possible rows, without those of ids under which texts differ, which are decided here.

    Rows of one text have one fate up to this stage. So a row that passed differs from others that passed and from new
    ones, and a row that was removed is removed again if it comes here, since the row that it equals comes too.
    """
    asked = run.possible & (new | run.removed)
    if not asked.any():
        return np.flatnonzero(run.possible)
    rows = np.flatnonzero(run.possible | run.passed)
    ids = run.column("id").take(pa.array(rows))
    place = pc.index_in(ids, value_set=pc.unique(ids.filter(pa.array(asked[rows]))))
    place = pc.fill_null(place, -1).to_numpy() + 1  # 0: ids that no row has which was asked for
    passed, come = (np.bincount(place, mask[rows], place.max() + 1) for mask in (run.passed, new))
    differs = (place > 0) & ((passed > 1) | ((passed > 0) & (come > 0)))[place]
    decided = rows[differs]
    run.drop(decided[run.possible[decided] & run.removed[decided]])
    run.doubt(decided[new[decided]], "uncompared")
    left: np.ndarray = rows[~differs & run.possible[rows]]
    return left


def _write_shared(folder: Path, blocks: Sequence[Block], executor: Executor) -> Path | None:
    """The file of u64, ascending: hashes of the ids that several rows have. None where there is no such id."""
    path = folder / "shared.npy"
    if not mirror.exists(path):
        for _ in executor.map(partial(_write_ids, folder=folder), blocks):
            pass  # results are files
        ids = [_ids_path(folder, block) for block in blocks]
        sizes = column_sizes((read_runs(path, _HASH) for path in ids), PREFIXES)
        ranges = column_ranges(sizes, executor.task_memory // _ID_BYTES)
        found = executor.map(partial(_shared, paths=ids), ranges)
        save_npy(path, np.sort(np.concatenate([np.zeros(0, _HASH), *found])))
    return path if len(load_npy(path)) else None


def _write_ids(block: Block, *, folder: Path) -> None:
    """Write `ids/<block>`: the hash of each row's id, ordered by prefix."""
    path = _ids_path(folder, block)
    if not has_runs(path):
        hashes = [np.zeros(0, _HASH), *(_hashes(parse_ids(batch["id"])) for _, batch in block.batches(["id"]))]
        together = np.concatenate(hashes)
        order, bounds = by_prefix(together, PREFIX_BITS)
        write_runs(path, [(together[order], bounds)], PREFIXES)


def _shared(range_: Range, *, paths: Sequence[Path]) -> np.ndarray:
    """The hashes with a prefix of the range that several rows have."""
    parts = [np.array(part) for path in paths for part in read_runs(path, _HASH).between(*range_)]
    hashes = np.concatenate([np.zeros(0, _HASH), *parts])
    return np.unique(hashes[buckets(hashes)[0]])


def _ids_path(folder: Path, block: Block) -> Path:
    return folder / "ids" / block.key


def _hashes(ids: np.ndarray) -> np.ndarray:
    """u64 of ids u64[rows, 2], of which either half may say nothing: 000…01, 000…02."""
    hashes: np.ndarray = (ids[:, 0] ^ (ids[:, 1] * _GOLDEN)) * _GOLDEN
    return hashes


def _ids_with_texts(batch: pa.RecordBatch, *, shared: Path) -> pa.Array:
    """A key of id and text for the rows whose id is among the shared ones."""
    ids, known = parse_ids(batch["id"]), load_npy(shared)
    hashes = _hashes(ids)
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    is_shared = known[places] == hashes
    digests = np.zeros((len(batch), 2), np.uint64)
    for row in np.flatnonzero(is_shared):
        digest = xxhash.xxh3_128(ids[row].tobytes())
        digest.update((batch["text"][row].as_py() or "").encode())
        digests[row] = np.frombuffer(digest.digest(), ">u8")
    return _keys(digests, ~is_shared)


def _keys(keys: np.ndarray, without: np.ndarray | None = None) -> pa.Array:
    """u64[rows, 2] as values of 16 bytes, null in the rows of bool `without`."""
    validity = None if without is None else pa.array(~without).buffers()[1]
    return pa.Array.from_buffers(pa.binary(16), len(keys), [validity, pa.py_buffer(keys.astype(">u8").tobytes())])


def _differing_texts(rows: np.ndarray) -> list[dict[str, Any]]:
    """An alarm if rows of one id have several keys. `rows` are KEYED and those of shared ids."""
    upper, lower, keys = rows["id"][:, 0], rows["id"][:, 1], rows["key"][:, 0]
    order = np.lexsort((keys, lower, upper))
    same_id = (np.diff(upper[order]) == 0) & (np.diff(lower[order]) == 0)
    number = np.append(0, np.cumsum(~same_id))  # of each row's id, in the order of ids
    differing = np.unique(number[1:][same_id & (np.diff(keys[order]) != 0)])
    if not len(differing):
        return []
    first = order[np.searchsorted(number, differing[:1])]
    example = format_ids(np.stack([upper[first], lower[first]], axis=1))[0].as_py()
    return [{"alarm": "records of one id with different texts, all kept", "ids": len(differing), "example": example}]
