"""Verified pairs from band keys: sort a band, and compare documents with equal keys by their true similarity.

    keys of a band ──sort──▶ buckets ──keep order──▶ a b c d e f … ──compare──▶ edges (a, b), …

A task is several bands. Where the keys of one band are too many for a task's memory, it is those keys of the band that
begin with one prefix. It holds `_KEY_BYTES` a key and, at worst, `_DOCUMENT_BYTES` a document, when every document
has a similar one. Shingles are read for a stretch of buckets at a time; a bucket whose shingles do not fit is compared
with its leaders in pieces. Only the number of members of the largest bucket cannot be split. How work is split changes
no edge and no alarm.

A task writes runs of edges (`dedup.lsh.edge_runs`) and, last, `<task>.json`: the number of its runs and its alarms.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dedup.files.buckets import buckets
from dedup.files.documents import format_ids, keep_order
from dedup.lsh.bucket_pairs import MAX_LEADERS, SMALL_BUCKET, compare_buckets
from dedup.lsh.edge_runs import EDGE, save_run
from dedup.lsh.signing import SignedFiles, Verify
from shards import mirror
from shards.atomic import write_json

_TASK_KEYS = 1 << 23  # bands are grouped up to this many keys a task: pairs that meet in several are compared once
_KEY_BYTES, _DOCUMENT_BYTES = 64, 200
_EDGE_BYTES = 150  # of an edge that waits to be sorted and written
_MEMBER_VALUES = 64  # what comparing a member of a bucket takes besides its set, in values of sets
_MAX_ALARMS = 100  # of a kind; with a bad shape every bucket is crowded


class EdgeTask(NamedTuple):
    """Keys of the bands first_band … end_band - 1 that begin with `prefix`, of which there are `num_prefixes`."""

    first_band: int
    end_band: int
    prefix: int
    num_prefixes: int

    def path(self, folder: Path) -> Path:
        return folder / f"{self.first_band:05d}-{self.end_band:05d}-{self.prefix:05d}-of-{self.num_prefixes:05d}.json"


def edge_tasks(bands: int, num_documents: int, memory: int) -> list[EdgeTask]:
    """All keys, in tasks of up to `memory` bytes each."""
    num_documents = max(1, num_documents)
    num_prefixes = 1
    while num_documents // num_prefixes * (_KEY_BYTES + _DOCUMENT_BYTES) > memory:
        num_prefixes *= 2
    size = 1
    if num_prefixes == 1:
        size = min(_TASK_KEYS // num_documents, (memory // num_documents - _DOCUMENT_BYTES) // _KEY_BYTES)
    size = max(1, size)
    ranges = [(first, min(first + size, bands)) for first in range(0, bands, size)]
    return [EdgeTask(*range_, prefix, num_prefixes) for range_ in ranges for prefix in range(num_prefixes)]


@dataclass(frozen=True)
class Comparison:
    """What every task needs to verify pairs."""

    signed: SignedFiles
    verify: Verify
    threshold: float
    memory: int  # bytes of one task

    @property
    def max_values(self) -> int:
        """Values of sets that are held at a time, counting `_MEMBER_VALUES` more for each member of a bucket."""
        return min(1 << 25, self.memory // 32)


class Buckets(NamedTuple):
    """Documents with equal band keys."""

    bands: np.ndarray  # i64[buckets]
    sizes: np.ndarray  # i64[buckets]
    members: np.ndarray  # i64, bucket by bucket


def find_edges(task: EdgeTask, *, comparison: Comparison, folder: Path) -> None:
    """Write the runs of the task, unless an earlier attempt has."""
    path = task.path(folder)
    if mirror.exists(path):
        return
    candidates = _find_buckets(comparison.signed, task)
    # A table of all documents fits where all their keys do; with several prefixes each document occurs once.
    numbers, indices = (
        _unique(candidates.members) if task.num_prefixes == 1 else np.unique(candidates.members, return_inverse=True)
    )
    documents = comparison.signed.documents(numbers)
    by_rank = keep_order(documents)
    rank = np.empty(len(documents), np.int64)
    rank[by_rank] = np.arange(len(documents))
    candidates, digests = _distinct(_in_keep_order(candidates._replace(members=indices), rank, by_rank), numbers)
    waiting, num_waiting, num_runs = [np.zeros(0, EDGE)], 0, 0
    alarms: dict[int, dict[str, Any]] = {}
    for chunk, first in _chunks(candidates, documents["set_size"], comparison.max_values):
        edges, crowded = _compare(chunk, numbers, documents, comparison)
        waiting.append(edges)
        num_waiting += len(edges)
        starts = np.cumsum(chunk.sizes) - chunk.sizes
        for k in np.flatnonzero(crowded):
            alarms[int(digests[first + k])] = {
                "alarm": "bucket with too many unlike documents",
                "band": int(chunk.bands[k]),
                "documents": int(chunk.sizes[k]),
                "leaders": MAX_LEADERS,
                "example": format_ids(documents["id"][chunk.members[starts[k]]].reshape(1, 2))[0].as_py(),
            }
        if num_waiting * _EDGE_BYTES > comparison.memory // 4:
            save_run(_run_path(path, num_runs), np.concatenate(waiting), rank, numbers, documents)
            waiting, num_waiting, num_runs = [], 0, num_runs + 1
    if num_waiting:
        save_run(_run_path(path, num_runs), np.concatenate(waiting), rank, numbers, documents)
        num_runs += 1
    write_json(path, {"runs": num_runs, "alarms": sorted(alarms.items())}, synced=False)


def collect(folder: Path, tasks: Sequence[EdgeTask]) -> tuple[list[Path], list[dict[str, Any]]]:
    """(paths of all runs, alarms of the largest crowded buckets) of finished tasks."""
    runs: list[Path] = []
    crowded: dict[int, dict[str, Any]] = {}
    for path in (task.path(folder) for task in tasks):
        finished = json.loads(mirror.read_bytes(path))
        runs += [_run_path(path, k) for k in range(finished["runs"])]
        for digest, alarm in finished["alarms"]:
            # The same documents may share several bands; tasks that found them are in the order of bands.
            crowded.setdefault(digest, alarm)
    alarms = sorted(crowded.values(), key=lambda alarm: (-alarm["documents"], alarm["band"], alarm["example"]))
    shown = alarms[:_MAX_ALARMS]
    if len(alarms) > _MAX_ALARMS:
        shown.append({"alarm": "many buckets with too many unlike documents", "buckets": len(alarms)})
    return runs, shown


def _run_path(task: Path, run: int) -> Path:
    return task.with_suffix(f".{run}.npy")


def _find_buckets(signed: SignedFiles, task: EdgeTask) -> Buckets:
    """All buckets of the task that hold a document of this run; members are document numbers."""
    bands, sizes, members = ([np.zeros(0, np.int64)] for _ in range(3))
    for band in range(task.first_band, task.end_band):
        keys, numbers = signed.keys(band, task.prefix, task.num_prefixes)
        indices, band_sizes = buckets(keys)
        band_members = numbers[indices]
        if signed.num_earlier and len(band_sizes):
            new = np.maximum.reduceat(band_members, np.cumsum(band_sizes) - band_sizes) >= signed.num_earlier
            band_members, band_sizes = band_members[np.repeat(new, band_sizes)], band_sizes[new]
        bands.append(np.full(len(band_sizes), band))
        sizes.append(band_sizes)
        members.append(band_members)
    return Buckets(np.concatenate(bands), np.concatenate(sizes), np.concatenate(members))


def _unique(members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """np.unique with the inverse, by a table as long as the largest member: a sort takes ten times as long."""
    seen = np.zeros(int(members.max(initial=-1)) + 1, np.bool_)
    seen[members] = True
    values = np.flatnonzero(seen)
    inverse = np.empty(len(seen), np.int64)
    inverse[values] = np.arange(len(values))
    return values, inverse[members]


def _in_keep_order(candidates: Buckets, rank: np.ndarray, by_rank: np.ndarray) -> Buckets:
    """Sort the members of each bucket by keep order: one sort of integers, since the buckets are in order already."""
    before = np.repeat(np.arange(len(candidates.sizes)) * len(rank), candidates.sizes)
    return candidates._replace(members=by_rank[np.sort(before + rank[candidates.members]) - before])


def _distinct(candidates: Buckets, numbers: np.ndarray) -> tuple[Buckets, np.ndarray]:
    """(the buckets, each set of members once; u64 digests of the sets, the same in every task).

    Near-duplicates meet in most bands, and comparing them once is enough.
    """
    if not len(candidates.sizes):
        return candidates, np.zeros(0, np.uint64)
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    digests = np.add.reduceat(mixed[candidates.members], np.cumsum(candidates.sizes) - candidates.sizes)
    first = np.zeros(len(digests), np.bool_)
    first[np.unique(digests, return_index=True)[1]] = True
    members = candidates.members[np.repeat(first, candidates.sizes)]
    return Buckets(candidates.bands[first], candidates.sizes[first], members), digests[first]


def _chunks(candidates: Buckets, set_sizes: np.ndarray, max_values: int) -> Iterator[tuple[Buckets, int]]:
    """(some buckets, the index of their first): together up to `max_values`, or one larger bucket by itself."""
    ends = np.cumsum(candidates.sizes)
    values = np.cumsum(set_sizes[candidates.members] + _MEMBER_VALUES)[ends - 1] if len(ends) else ends
    bucket = start = taken = 0
    while bucket < len(ends):
        until = max(bucket + 1, int(np.searchsorted(values, taken + max_values, side="right")))
        members = candidates.members[start : ends[until - 1]]
        yield Buckets(candidates.bands[bucket:until], candidates.sizes[bucket:until], members), bucket
        bucket, start, taken = until, int(ends[until - 1]), int(values[until - 1])


def _compare(
    chunk: Buckets, numbers: np.ndarray, documents: np.ndarray, comparison: Comparison
) -> tuple[np.ndarray, np.ndarray]:
    """(EDGE, bool[buckets] that wanted more leaders); members, and ends of edges, are indices of `documents`."""
    if comparison.verify == "none":
        return _unverified(chunk), np.zeros(len(chunk.sizes), np.bool_)
    values = (documents["set_size"][chunk.members] + _MEMBER_VALUES).sum()
    fits = values <= comparison.max_values or len(chunk.members) <= SMALL_BUCKET
    return (_verify if fits else _verify_in_pieces)(chunk, numbers, documents, comparison)


def _unverified(chunk: Buckets) -> np.ndarray:
    """An edge from each bucket's first member to each other one, of unknown similarity."""
    starts = np.cumsum(chunk.sizes) - chunk.sizes
    edges = np.zeros(len(chunk.members), EDGE)
    edges["first"], edges["second"] = np.repeat(chunk.members[starts], chunk.sizes), chunk.members
    edges["similarity"] = np.nan
    return np.delete(edges, starts)


def _verify(
    chunk: Buckets,
    numbers: np.ndarray,
    documents: np.ndarray,
    comparison: Comparison,
    small_bucket: int = SMALL_BUCKET,
) -> tuple[np.ndarray, np.ndarray]:
    used, members = _unique(chunk.members)
    sets, starts = comparison.signed.sets(numbers[used], documents[used])
    bucket_starts = np.concatenate([[0], np.cumsum(chunk.sizes)])
    earlier = numbers[used] < comparison.signed.num_earlier
    are_signatures = comparison.verify == "signature"
    firsts, seconds, similarities, crowded = compare_buckets(
        members, bucket_starts, sets, starts, earlier, comparison.threshold, are_signatures, small_bucket
    )
    edges = np.zeros(len(firsts), EDGE)
    edges["first"], edges["second"], edges["similarity"] = used[firsts], used[seconds], similarities
    return edges, crowded


def _verify_in_pieces(
    bucket: Buckets, numbers: np.ndarray, documents: np.ndarray, comparison: Comparison
) -> tuple[np.ndarray, np.ndarray]:
    """`_verify` of one bucket whose sets are too many to hold: each piece begins with the leaders found so far."""
    values = np.cumsum(documents["set_size"][bucket.members] + _MEMBER_VALUES)
    edges, crowded, leaders = [], np.zeros(1, np.bool_), bucket.members[:0]
    for piece in np.split(bucket.members, np.flatnonzero(np.diff(values // comparison.max_values)) + 1):
        members = np.concatenate([leaders, piece])
        part = Buckets(bucket.bands, np.array([len(members)]), members)
        new_edges, part_crowded = _verify(part, numbers, documents, comparison, small_bucket=0)
        edges.append(new_edges)
        crowded |= part_crowded
        leaders = members[~np.isin(members, new_edges["second"])][:MAX_LEADERS]
    return np.concatenate(edges), crowded
