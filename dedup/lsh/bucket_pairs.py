"""Which members of a bucket are truly alike.

    bucket in keep order   a b c d e f …
                           │ └ like a: edge (a, b)
                           └ leaders: a, then each that resembles no leader before it

In a bucket of up to `SMALL_BUCKET` documents all pairs are compared. In a larger one each is compared with the
bucket's leaders, so a million copies of one page cost a million comparisons and not their square. A bucket that needs
more than `MAX_LEADERS` holds unlike documents under one key: it is told, and the rest is compared with those.
What a large bucket can miss: two like documents that were only compared with a leader, when that leader itself leaves
for a third that they are unlike. Then both stay; nothing unlike is ever removed.
"""

import numpy as np

from shards.compiled import kernel

SMALL_BUCKET = 16
MAX_LEADERS = 64


@kernel
def compare_buckets(
    members: np.ndarray,
    bucket_starts: np.ndarray,
    sets: np.ndarray,
    starts: np.ndarray,
    earlier: np.ndarray,
    threshold: float,
    places: bool,
    small_bucket: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(first, second, similarity) of the verified pairs, and per bucket whether it wanted more leaders than allowed.

    `members` index the sets sets[starts[m]:starts[m + 1]] and stand in keep order within a bucket. With `places` the
    sets are signatures and similarity is the share of equal places, else it is Jaccard's. Buckets of up to
    `small_bucket` documents are compared whole. Two documents that are both `earlier` are not compared.
    """
    capacity = len(members) + 16
    firsts, seconds = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    similarity = np.empty(capacity, np.float64)
    crowded = np.zeros(len(bucket_starts) - 1, np.bool_)
    leaders = np.empty(MAX_LEADERS, np.int64)
    count = 0
    for bucket in range(len(crowded)):
        first, end = bucket_starts[bucket], bucket_starts[bucket + 1]
        num_leaders = 0
        for k in range(first, end):
            b, alone = members[k], True
            for leader in range(0 if earlier[b] else num_leaders):
                a = leaders[leader]
                set_a, set_b = sets[starts[a] : starts[a + 1]], sets[starts[b] : starts[b + 1]]
                found = equal_places(set_a, set_b) if places else jaccard(set_a, set_b, threshold)
                if found < threshold:
                    continue
                alone = False
                if count == capacity:
                    capacity *= 2
                    firsts = np.concatenate((firsts, firsts))
                    seconds = np.concatenate((seconds, seconds))
                    similarity = np.concatenate((similarity, similarity))
                firsts[count], seconds[count], similarity[count] = a, b, found
                count += 1
            if alone or end - first <= small_bucket:
                if num_leaders < MAX_LEADERS:
                    leaders[num_leaders] = b
                    num_leaders += 1
                else:
                    crowded[bucket] = True
    return firsts[:count], seconds[:count], similarity[:count], crowded


@kernel
def pair_similarities(
    firsts: np.ndarray, seconds: np.ndarray, sets: np.ndarray, starts: np.ndarray, places: bool
) -> np.ndarray:
    """f64[pairs] of sets[starts[m]:starts[m + 1]], which the pairs index."""
    similarity = np.empty(len(firsts))
    for k in range(len(firsts)):
        a, b = firsts[k], seconds[k]
        set_a, set_b = sets[starts[a] : starts[a + 1]], sets[starts[b] : starts[b + 1]]
        similarity[k] = equal_places(set_a, set_b) if places else jaccard(set_a, set_b, 0.0)
    return similarity


@kernel
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


@kernel
def equal_places(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sum(a == b) / len(a))
