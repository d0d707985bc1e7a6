"""MinHash signatures, whose share of equal positions estimates Jaccard similarity, and band keys to find candidates.

    P(a position is equal)          = J
    P(all rows of a band equal)     = J^rows
    P(some band equal, a candidate) = 1 - (1 - J^rows)^bands          the S-curve, `p_match`

Position p of a signature is min over the shingles x of a_p x + b_p mod 2^32, with a_p odd: a permutation that runs in
SIMD registers. Permutations of the second half mirror those of the first, -a x + ~b = ~(a x + b): their minimum is the
complement of the other's maximum, so one product serves two positions, at 2 instead of 3 instructions a position. The
two are correlated by -1 / (|union| - 1), since where one shingle is least another is greatest, and they are never in
one band if there are two bands. The permutations are the outer loop, since a document's shingles stay in the
first-level cache.
"""

import numpy as np

from shards.compiled import kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 64  # shingles in one turn of the unrolled SIMD loop; sets are padded to a multiple


def p_match(similarity: float, bands: int, rows: int) -> float:
    """The probability that two documents of this Jaccard similarity share a band."""
    return 1.0 - (1.0 - similarity**rows) ** bands


def permutations(num_hashes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(odd multipliers, increments), u32[num_hashes] each, by SplitMix64, the same with any version of numpy."""
    drawn = (num_hashes + 1) // 2
    steps = np.arange(1, drawn + 1, dtype=np.uint64) + (np.uint64(seed) << np.uint64(32))
    z = steps * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    multipliers, increments = (z >> np.uint64(32)).astype(np.uint32) | np.uint32(1), z.astype(np.uint32)
    return np.append(multipliers, -multipliers)[:num_hashes], np.append(increments, ~increments)[:num_hashes]


@kernel
def signatures(sets: np.ndarray, starts: np.ndarray, multipliers: np.ndarray, increments: np.ndarray) -> np.ndarray:
    """u32[documents, hashes] of the shingle sets sets[starts[i]:starts[i + 1]], none of them empty.

    `multipliers` and `increments` are those of `permutations`; only the first half is used.
    """
    num_hashes = len(multipliers)
    drawn = (num_hashes + 1) // 2
    result = np.empty((len(starts) - 1, num_hashes), np.uint32)
    filled = np.empty(0, np.uint32)
    for i in range(len(starts) - 1):
        first, size = starts[i], starts[i + 1] - starts[i]
        # LLVM does a remainder one by one; without one, signing is twice as fast. Repeated values change no extreme.
        padded = (size + _BLOCK - 1) // _BLOCK * _BLOCK
        if len(filled) < padded:
            filled = np.empty(padded, np.uint32)
        filled[:size] = sets[first : first + size]
        filled[size:padded] = sets[first]
        for p in range(drawn):
            a, b, least, most = multipliers[p], increments[p], np.uint32(0xFFFFFFFF), np.uint32(0)
            for k in range(padded):
                permuted = np.uint32(a * filled[k] + b)
                least = min(least, permuted)
                most = max(most, permuted)
            result[i, p] = least
            if drawn + p < num_hashes:
                result[i, drawn + p] = ~most
    return result


@kernel
def band_keys(signatures: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """u64[bands, documents]: equal where all `rows` positions of the band are (and by accident once in 2^64)."""
    keys = np.empty((bands, len(signatures)), np.uint64)
    for i in range(len(signatures)):
        for band in range(bands):
            key = _GOLDEN
            for position in range(band * rows, (band + 1) * rows):
                key = (key ^ np.uint64(signatures[i, position])) * _GOLDEN
                key ^= key >> np.uint64(32)
            keys[band, i] = key
    return keys
