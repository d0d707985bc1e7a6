"""From band keys to verified pairs: sort a band, and compare documents with equal keys truly.

    keys of a band ──sort──▶ buckets ──keep order──▶ a b c d e f … ──compare──▶ edges (a, b), …

A task is several bands, or where one band's keys are too many for its memory those of one band with the same remainder.
It holds `_KEY_BYTES` a key and `_DOCUMENT_BYTES` a document at worst, when every document has a like one. Shingles
are read for a stretch of buckets at a time; one that has more than fit passes by its leaders in pieces. What no split
makes smaller is the number of members of the largest bucket. How work is split changes no edge and no alarm.

A task leaves runs of edges (`dedup.lsh.edge_runs`), and `<task>.json`, written last: how many, and its alarms.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dedup.buckets import buckets
from dedup.documents import format_ids, keep_order
from dedup.lsh.bucket_pairs import MAX_LEADERS, compare_buckets
from dedup.lsh.bucket_pairs import SMALL_BUCKET as SMALL_BUCKET
from dedup.lsh.edge_runs import EDGE as EDGE
from dedup.lsh.edge_runs import save_run
from dedup.lsh.signing import SignedFiles, Verify
from shards.atomic import write_json

_TASK_KEYS = 1 << 23  # bands are grouped up to this many keys a task: pairs that meet in several are compared once
_KEY_BYTES, _DOCUMENT_BYTES = 64, 200
_EDGE_BYTES = 150  # of an edge that waits to be written, and is sorted then
_MAX_ALARMS = 100  # of a kind; with a bad shape every bucket is crowded


class EdgeTask(NamedTuple):
    first_band: int
    end_band: int
    prefix: int
    num_prefixes: int

    def path(self, folder: Path) -> Path:
        return folder / f"{self.first_band:05d}-{self.end_band:05d}-{self.prefix:05d}-of-{self.num_prefixes:05d}.json"


def edge_tasks(bands: int, num_documents: int, memory: int) -> list[EdgeTask]:
    """All keys in tasks that take `memory` bytes each."""
    num_documents = max(1, num_documents)
    num_prefixes = 1
    while num_documents // num_prefixes * (_KEY_BYTES + _DOCUMENT_BYTES) > memory:
        num_prefixes *= 2
    size = 1
    if num_prefixes == 1:
        size = min(_TASK_KEYS // num_documents, (memory // num_documents - _DOCUMENT_BYTES) // _KEY_BYTES)
    groups = [(first, min(first + size, bands)) for size in [max(1, size)] for first in range(0, bands, size)]
    return [EdgeTask(*group, prefix, num_prefixes) for group in groups for prefix in range(num_prefixes)]


@dataclass(frozen=True)
class Comparison:
    """What every task is given to verify pairs."""

    signed: SignedFiles
    verify: Verify
    threshold: float
    memory: int  # bytes of one task

    @property
    def max_values(self) -> int:
        """Values of sets held at a time, and `_MEMBER_VALUES` for each member of a bucket."""
        return min(1 << 25, self.memory // 32)


_MEMBER_VALUES = 64  # what comparing a member takes besides its set, in values of sets


class Buckets(NamedTuple):
    bands: np.ndarray  # i64[buckets]
    sizes: np.ndarray  # i64[buckets]
    members: np.ndarray  # i64, bucket by bucket


def find_edges(task: EdgeTask, *, comparison: Comparison, folder: Path) -> None:
    """Write the runs of the task, unless a killed attempt has."""
    path = task.path(folder)
    if path.exists():
        return
    found = _find_buckets(comparison.signed, task)
    # A table of all documents fits where all their keys do; of one band each document is there once.
    numbers, places = (
        _unique(found.members) if task.num_prefixes == 1 else np.unique(found.members, return_inverse=True)
    )
    documents = comparison.signed.documents(numbers)
    by_rank = keep_order(documents)
    rank = np.empty(len(documents), np.int64)
    rank[by_rank] = np.arange(len(documents))
    found, digests = _distinct(_in_keep_order(found._replace(members=places), rank, by_rank), numbers)
    waiting, num_waiting, num_runs = [np.zeros(0, EDGE)], 0, 0
    alarms: dict[int, dict[str, Any]] = {}
    for chunk, first in _chunks(found, documents["set_size"], comparison.max_values):
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
    write_json(path, {"runs": num_runs, "alarms": sorted(alarms.items())})


def collect(folder: Path, tasks: Sequence[EdgeTask]) -> tuple[list[Path], list[dict[str, Any]]]:
    """(paths of all runs, alarms of the largest crowded buckets) of finished tasks."""
    runs: list[Path] = []
    crowded: dict[int, dict[str, Any]] = {}
    for path in (task.path(folder) for task in tasks):
        left = json.loads(path.read_bytes())
        runs += [_run_path(path, k) for k in range(left["runs"])]
        for digest, alarm in left["alarms"]:
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
    """All buckets of the task in which a document of this run stands; members are document numbers."""
    bands, sizes, members = ([np.zeros(0, np.int64)] for _ in range(3))
    for band in range(task.first_band, task.end_band):
        keys, numbers = signed.keys(band, task.prefix, task.num_prefixes)
        found, of_bucket = buckets(keys)
        found = numbers[found]
        if signed.num_earlier and len(of_bucket):
            new = np.maximum.reduceat(found, np.cumsum(of_bucket) - of_bucket) >= signed.num_earlier
            found, of_bucket = found[np.repeat(new, of_bucket)], of_bucket[new]
        bands.append(np.full(len(of_bucket), band))
        sizes.append(of_bucket)
        members.append(found)
    return Buckets(np.concatenate(bands), np.concatenate(sizes), np.concatenate(members))


def _unique(members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """np.unique with the inverse, by a table as long as the largest member: a sort takes ten times as long."""
    seen = np.zeros(int(members.max(initial=-1)) + 1, np.bool_)
    seen[members] = True
    values = np.flatnonzero(seen)
    places = np.empty(len(seen), np.int64)
    places[values] = np.arange(len(values))
    return values, places[members]


def _in_keep_order(found: Buckets, rank: np.ndarray, by_rank: np.ndarray) -> Buckets:
    """One sort of integers does it, since buckets stand in their order already."""
    before = np.repeat(np.arange(len(found.sizes)) * len(rank), found.sizes)
    return found._replace(members=by_rank[np.sort(before + rank[found.members]) - before])


def _distinct(found: Buckets, numbers: np.ndarray) -> tuple[Buckets, np.ndarray]:
    """The buckets, each set of members once, and u64 digests of the sets, the same in every task.

    Near-duplicates meet in most bands, and comparing them once is enough.
    """
    if not len(found.sizes):
        return found, np.zeros(0, np.uint64)
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    digests = np.add.reduceat(mixed[found.members], np.cumsum(found.sizes) - found.sizes)
    first = np.zeros(len(digests), np.bool_)
    first[np.unique(digests, return_index=True)[1]] = True
    members = found.members[np.repeat(first, found.sizes)]
    return Buckets(found.bands[first], found.sizes[first], members), digests[first]


def _chunks(found: Buckets, set_sizes: np.ndarray, max_values: int) -> Iterator[tuple[Buckets, int]]:
    """Runs of buckets that need `max_values` together at most, and each larger bucket by itself; with the first's
    number."""
    ends = np.cumsum(found.sizes)
    values = np.cumsum(set_sizes[found.members] + _MEMBER_VALUES)[ends - 1] if len(ends) else ends
    bucket = start = taken = 0
    while bucket < len(ends):
        until = max(bucket + 1, int(np.searchsorted(values, taken + max_values, side="right")))
        members = found.members[start : ends[until - 1]]
        yield Buckets(found.bands[bucket:until], found.sizes[bucket:until], members), bucket
        bucket, start, taken = until, int(ends[until - 1]), int(values[until - 1])


def _compare(
    chunk: Buckets, numbers: np.ndarray, documents: np.ndarray, comparison: Comparison
) -> tuple[np.ndarray, np.ndarray]:
    """(EDGE, bool[buckets] that wanted more leaders); members, and ends of edges, are places in `documents`."""
    if comparison.verify == "none":
        return _unverified(chunk), np.zeros(len(chunk.sizes), np.bool_)
    values = (documents["set_size"][chunk.members] + _MEMBER_VALUES).sum()
    held = values <= comparison.max_values or len(chunk.members) <= SMALL_BUCKET
    return (_verify if held else _verify_in_pieces)(chunk, numbers, documents, comparison)


def _unverified(chunk: Buckets) -> np.ndarray:
    """An edge from each bucket's first to each other member; nobody knows how much alike they are."""
    starts = np.cumsum(chunk.sizes) - chunk.sizes
    edges = np.zeros(len(chunk.members), EDGE)
    edges["kept"], edges["other"] = np.repeat(chunk.members[starts], chunk.sizes), chunk.members
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
    whole = comparison.verify == "signature"
    kept, other, similarity, crowded = compare_buckets(
        members, bucket_starts, sets, starts, earlier, comparison.threshold, whole, small_bucket
    )
    edges = np.zeros(len(kept), EDGE)
    edges["kept"], edges["other"], edges["similarity"] = used[kept], used[other], similarity
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
        found, more = _verify(part, numbers, documents, comparison, small_bucket=0)
        edges.append(found)
        crowded |= more
        leaders = members[~np.isin(members, found["other"])][:MAX_LEADERS]
    return np.concatenate(edges), crowded
