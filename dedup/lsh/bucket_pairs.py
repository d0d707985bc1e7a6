"""Pairs of similar documents among the members of a bucket.

    bucket in keep order   a b c d e f …
                           │ └ similar to a: edge (a, b)
                           └ leaders: a, then each member that is similar to no leader before it

A leader is a representative of its bucket: other buckets may still make another document its representative. In a
bucket of up to `SMALL_BUCKET` documents all pairs are compared. In a larger one each document is compared with the
bucket's leaders, so a million copies of one page cost a million comparisons and not their square. A bucket that needs
more than `MAX_LEADERS` holds dissimilar documents under one key: it is reported, and its other members are compared
with the leaders found so far.

A large bucket can miss a pair: two similar documents that were only compared with a leader, when that leader is itself
removed for a third that they do not resemble. Then both are kept; no document is removed for a dissimilar one.
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
    are_signatures: bool,
    small_bucket: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(first, second, similarity) of the verified pairs, and per bucket whether it wanted more leaders than allowed.

    `members` index the sets sets[starts[m]:starts[m + 1]] and stand in keep order within a bucket. Similarity is
    Jaccard's, or the share of equal positions if the sets `are_signatures`. Buckets of up to `small_bucket` documents
    are compared whole. Two documents that are both `earlier` are not compared.
    """
    capacity = len(members) + 16
    firsts, seconds = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    similarities = np.empty(capacity, np.float64)
    crowded = np.zeros(len(bucket_starts) - 1, np.bool_)
    leaders = np.empty(MAX_LEADERS, np.int64)
    count = 0
    for bucket in range(len(crowded)):
        first, end = bucket_starts[bucket], bucket_starts[bucket + 1]
        num_leaders = 0
        for k in range(first, end):
            b, leads = members[k], True
            for leader in range(0 if earlier[b] else num_leaders):
                a = leaders[leader]
                set_a, set_b = sets[starts[a] : starts[a + 1]], sets[starts[b] : starts[b + 1]]
                similarity = equal_positions(set_a, set_b) if are_signatures else jaccard(set_a, set_b, threshold)
                if similarity < threshold:
                    continue
                leads = False
                if count == capacity:
                    capacity *= 2
                    firsts = np.concatenate((firsts, firsts))
                    seconds = np.concatenate((seconds, seconds))
                    similarities = np.concatenate((similarities, similarities))
                firsts[count], seconds[count], similarities[count] = a, b, similarity
                count += 1
            if leads or end - first <= small_bucket:
                if num_leaders < MAX_LEADERS:
                    leaders[num_leaders] = b
                    num_leaders += 1
                else:
                    crowded[bucket] = True
    return firsts[:count], seconds[:count], similarities[:count], crowded


@kernel
def pair_similarities(
    firsts: np.ndarray, seconds: np.ndarray, sets: np.ndarray, starts: np.ndarray, are_signatures: bool
) -> np.ndarray:
    """f64[pairs]: similarity of each pair of indices of the sets sets[starts[m]:starts[m + 1]]."""
    similarity = np.empty(len(firsts))
    for k in range(len(firsts)):
        a, b = firsts[k], seconds[k]
        set_a, set_b = sets[starts[a] : starts[a + 1]], sets[starts[b] : starts[b + 1]]
        similarity[k] = equal_positions(set_a, set_b) if are_signatures else jaccard(set_a, set_b, 0.0)
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
def equal_positions(a: np.ndarray, b: np.ndarray) -> float:
    """The share of positions at which two signatures are equal: an estimate of Jaccard's similarity."""
    return float(np.sum(a == b) / len(a))
