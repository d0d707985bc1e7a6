"""From band keys to verified pairs: sort a band, and within equal keys compare documents truly.

    keys of a band ──sort──▶ buckets ──keep order──▶ a b c d e f …
                                                     │ └ like a: edge (a, b)
                                                     └ leaders: a, then each that resembles no leader before it

In a bucket of up to `SMALL_BUCKET` documents all pairs are compared. In a larger one each is compared with the
bucket's leaders, so a million copies of one page cost a million comparisons and not their square. A bucket that needs
more than `MAX_LEADERS` holds unlike documents under one key: an alarm is recorded and the rest is compared with those.
What a large bucket can miss: two like documents that were only compared with a leader, when that leader itself leaves
for a third that they are unlike. Then both stay; nothing unlike is ever removed.

Memory: a band is held as keys and their sorted order, some 24 bytes a document. Only members of buckets are looked at
further, and their shingles are read `_SET_VALUES` at a time; a bucket that has more passes by its leaders in pieces.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from dedup.bands import SIGNED, Verify, read_keys, read_sets
from dedup.buckets import buckets
from dedup.documents import UnitFiles, format_ids, keep_order, save_npy
from shards.atomic import write_json

EDGE = np.dtype([("kept", "<i8"), ("other", "<i8"), ("similarity", "<f8")])  # document numbers, in keep order
SMALL_BUCKET = 16
MAX_LEADERS = 64
_TASK_KEYS = 1 << 21  # bands are grouped up to this many keys a task: 450 bands of a small input are few tasks
_SET_VALUES = 1 << 25


def band_groups(bands: int, num_documents: int) -> list[tuple[int, int]]:
    """[(first, end), …] of the bands that one task works on; it depends on the input alone, never on workers."""
    size = max(1, _TASK_KEYS // max(1, num_documents))
    return [(first, min(first + size, bands)) for first in range(0, bands, size)]


@dataclass(frozen=True)
class Comparison:
    """What every task is given to verify pairs."""

    signed: UnitFiles
    verify: Verify
    threshold: float


class Buckets(NamedTuple):
    bands: np.ndarray  # i64[buckets]
    sizes: np.ndarray  # i64[buckets]
    members: np.ndarray  # i64, bucket by bucket


def find_edges(group: tuple[int, int], *, comparison: Comparison, folder: Path) -> None:
    """Write `folder/<first band>.npy` (EDGE, each pair once) and its alarms, unless a killed attempt has."""
    path = folder / f"{group[0]:04d}.npy"
    if path.exists():
        return
    found = _find_buckets(comparison.signed, group)
    numbers, places = np.unique(found.members, return_inverse=True)
    documents = comparison.signed.documents(numbers, SIGNED)
    found = _distinct(_in_keep_order(found._replace(members=places), documents))
    edges, alarms = [np.zeros(0, EDGE)], []
    for chunk in _chunks(found, documents["set_size"]):
        held = documents["set_size"][chunk.members].sum() <= _SET_VALUES or len(chunk.members) <= SMALL_BUCKET
        verified, crowded = (_verify if held else _verify_in_pieces)(chunk, numbers, documents, comparison)
        edges.append(verified)
        firsts = np.cumsum(chunk.sizes) - chunk.sizes
        for k in np.flatnonzero(crowded):
            example = documents["id"][chunk.members[firsts[k]]]
            alarms.append(_crowded_alarm(int(chunk.bands[k]), int(chunk.sizes[k]), example))
    write_json(path.with_suffix(".alarms.json"), alarms)
    save_npy(path, unique_edges(np.concatenate(edges)))


def collect(folder: Path, groups: list[tuple[int, int]]) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """(EDGE, each pair once, alarms) of all groups of bands."""
    paths = [folder / f"{first:04d}.npy" for first, _ in groups]
    alarms = [alarm for path in paths for alarm in json.loads(path.with_suffix(".alarms.json").read_bytes())]
    return unique_edges(np.concatenate([np.load(path) for path in paths])), alarms


def unique_edges(edges: np.ndarray) -> np.ndarray:
    """Sorted by `kept`, then `other`, each pair once."""
    edges = edges[np.lexsort((edges["other"], edges["kept"]))]
    repeated = (edges["kept"][1:] == edges["kept"][:-1]) & (edges["other"][1:] == edges["other"][:-1])
    return np.delete(edges, np.flatnonzero(repeated) + 1)


def _find_buckets(signed: UnitFiles, group: tuple[int, int]) -> Buckets:
    """All buckets of the bands `group`; members are document numbers."""
    found = [(band, *buckets(keys)) for band, keys in zip(range(*group), read_keys(signed, *group), strict=True)]
    bands = np.repeat([band for band, _, _ in found], [len(sizes) for _, _, sizes in found])
    members, sizes = (np.concatenate(part) for part in list(zip(*found, strict=True))[1:])
    return Buckets(bands, sizes, members)


def _in_keep_order(found: Buckets, documents: np.ndarray) -> Buckets:
    rank = np.empty(len(documents), np.int64)
    rank[keep_order(documents)] = np.arange(len(documents))
    bucket = np.repeat(np.arange(len(found.sizes)), found.sizes)
    return found._replace(members=found.members[np.lexsort((rank[found.members], bucket))])


def _distinct(found: Buckets) -> Buckets:
    """The buckets, each set of members once: near-duplicates meet in most bands, and comparing them once is enough."""
    if not len(found.sizes):
        return found
    mixed = (found.members.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    sums = np.add.reduceat(mixed ^ (mixed >> np.uint64(32)), np.cumsum(found.sizes) - found.sizes)
    first = np.zeros(len(sums), np.bool_)
    first[np.unique(sums, return_index=True)[1]] = True
    return Buckets(found.bands[first], found.sizes[first], found.members[np.repeat(first, found.sizes)])


def _chunks(found: Buckets, set_sizes: np.ndarray) -> Iterator[Buckets]:
    """Runs of buckets whose sets hold `_SET_VALUES` values together at most, and each larger bucket by itself."""
    ends = np.cumsum(found.sizes)
    values = np.cumsum(set_sizes[found.members])[ends - 1] if len(ends) else ends
    bucket = start = taken = 0
    while bucket < len(ends):
        until = max(bucket + 1, int(np.searchsorted(values, taken + _SET_VALUES, side="right")))
        members = found.members[start : ends[until - 1]]
        yield Buckets(found.bands[bucket:until], found.sizes[bucket:until], members)
        bucket, start, taken = until, int(ends[until - 1]), int(values[until - 1])


def _verify(
    chunk: Buckets,
    numbers: np.ndarray,
    documents: np.ndarray,
    comparison: Comparison,
    small_bucket: int = SMALL_BUCKET,
) -> tuple[np.ndarray, np.ndarray]:
    """(EDGE of the chunk's pairs, bool[buckets] that wanted more leaders); members are places in `documents`."""
    used, members = np.unique(chunk.members, return_inverse=True)
    sets, starts = read_sets(comparison.signed, numbers[used], documents[used])
    bucket_starts = np.concatenate([[0], np.cumsum(chunk.sizes)])
    whole = comparison.verify == "signature"
    kept, other, similarity, crowded = compare_buckets(
        members, bucket_starts, sets, starts, comparison.threshold, whole, small_bucket
    )
    edges = np.zeros(len(kept), EDGE)
    edges["kept"], edges["other"], edges["similarity"] = numbers[used[kept]], numbers[used[other]], similarity
    return edges, crowded


def _verify_in_pieces(
    bucket: Buckets, numbers: np.ndarray, documents: np.ndarray, comparison: Comparison
) -> tuple[np.ndarray, np.ndarray]:
    """`_verify` of one bucket whose sets are too many to hold: each piece begins with the leaders found so far."""
    pieces = np.cumsum(documents["set_size"][bucket.members]) // _SET_VALUES
    edges, crowded, leaders = [], np.zeros(1, np.bool_), bucket.members[:0]
    for piece in np.split(bucket.members, np.flatnonzero(np.diff(pieces)) + 1):
        members = np.concatenate([leaders, piece])
        part = Buckets(bucket.bands, np.array([len(members)]), members)
        found, more = _verify(part, numbers, documents, comparison, small_bucket=0)
        edges.append(found)
        crowded |= more
        leaders = members[~np.isin(numbers[members], found["other"])][:MAX_LEADERS]
    return np.concatenate(edges), crowded


@njit(cache=True)
def compare_buckets(
    members: np.ndarray,
    bucket_starts: np.ndarray,
    sets: np.ndarray,
    starts: np.ndarray,
    threshold: float,
    places: bool,
    small_bucket: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(earlier, later, similarity) of the verified pairs, and per bucket whether it wanted more leaders than allowed.

    `members` index the sets sets[starts[m]:starts[m + 1]] and stand in keep order within a bucket. With `places` the
    sets are signatures and similarity is the share of equal places, else it is Jaccard's. Buckets of up to
    `small_bucket` documents are compared whole.
    """
    capacity = len(members) + 16
    earlier, later = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    similarity = np.empty(capacity, np.float64)
    crowded = np.zeros(len(bucket_starts) - 1, np.bool_)
    leaders = np.empty(MAX_LEADERS, np.int64)
    count = 0
    for bucket in range(len(crowded)):
        first, end = bucket_starts[bucket], bucket_starts[bucket + 1]
        num_leaders = 0
        for k in range(first, end):
            b, alone = members[k], True
            for leader in range(num_leaders):
                a = leaders[leader]
                set_a, set_b = sets[starts[a] : starts[a + 1]], sets[starts[b] : starts[b + 1]]
                found = equal_places(set_a, set_b) if places else jaccard(set_a, set_b, threshold)
                if found < threshold:
                    continue
                alone = False
                if count == capacity:
                    capacity *= 2
                    earlier = np.concatenate((earlier, earlier))
                    later = np.concatenate((later, later))
                    similarity = np.concatenate((similarity, similarity))
                earlier[count], later[count], similarity[count] = a, b, found
                count += 1
            if alone or end - first <= small_bucket:
                if num_leaders < MAX_LEADERS:
                    leaders[num_leaders] = b
                    num_leaders += 1
                else:
                    crowded[bucket] = True
    return earlier[:count], later[:count], similarity[:count], crowded


@njit(cache=True)
def jaccard(a: np.ndarray, b: np.ndarray, threshold: float) -> float:
    """|a ∩ b| / |a ∪ b| of ascending sets, or 0.0 as soon as it is certain to be less than `threshold`."""
    # J ≥ t needs t / (1 + t) · (|a| + |b|) common values; what either set has beyond that may be missed.
    needed = np.int64(np.ceil(threshold / (1.0 + threshold) * (len(a) + len(b)) - 1e-6))
    spare_a, spare_b = len(a) - needed, len(b) - needed
    i = j = common = 0
    while i < len(a) and j < len(b):
        if i - common > spare_a or j - common > spare_b:
            return 0.0
        x, y = a[i], b[j]
        i += x <= y  # no branch to mispredict: which set is ahead is as random as the hashes
        j += y <= x
        common += x == y
    return common / (len(a) + len(b) - common)


@njit(cache=True)
def equal_places(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sum(a == b) / len(a))


def _crowded_alarm(band: int, num_documents: int, example: np.ndarray) -> dict[str, Any]:
    return {
        "alarm": "bucket with too many unlike documents",
        "band": band,
        "documents": num_documents,
        "leaders": MAX_LEADERS,
        "example": format_ids(example.reshape(1, 2))[0].as_py(),
    }
