"""Clusters as the papers form them: everything that a path of edges joins is one cluster, and its first stays.

    edges: a–b, b–c     a ~ b ~ c, but a and c are unlike: b and c leave for a, and c's similarity to a tells that
                        the chain was false

Memory is 8 bytes a document for the union-find, and some 100 bytes for each cluster of one pass over the documents.
"""

from collections.abc import Iterator

import numpy as np

from dedup.lsh.bucket_pairs import pair_similarities
from dedup.lsh.edge_runs import EDGE
from dedup.lsh.signing import SignedFiles
from shards.compiled import kernel

_CLUSTER_BYTES = 100
_PAIR_BYTES = 300  # besides the sets


class Clusters:
    def __init__(self, signed: SignedFiles) -> None:
        self._signed = signed
        self._parents = np.arange(len(signed))

    def join(self, firsts: np.ndarray, seconds: np.ndarray) -> None:
        """The documents with these numbers pair by pair."""
        _join(self._parents, firsts, seconds)

    def removed(self, memory: int, *, places: bool) -> Iterator[np.ndarray]:
        """EDGE in parts: each document that leaves, the one it leaves for, and their similarity.

        With `places` the stored sets are signatures, and similarity is their estimate.
        """
        _flatten(self._parents)
        roots = np.zeros(len(self._parents), np.bool_)
        for first in range(0, len(self._parents), _BLOCK):
            parents = self._parents[first : first + _BLOCK]
            roots[parents[parents != np.arange(first, first + len(parents))]] = True
        start, num_roots = 0, max(1, memory // _CLUSTER_BYTES)
        while start < len(roots):
            part = start + _first_true(roots[start:], num_roots)
            if not len(part):
                return
            end = len(roots) if len(part) < num_roots else int(part[-1]) + 1
            yield from self._removed_of(part, memory, places)
            start = end

    def _removed_of(self, roots: np.ndarray, memory: int, places: bool) -> Iterator[np.ndarray]:
        """`removed` of the clusters with these roots, which ascend."""
        best = np.full(len(roots), -1)
        keys = np.zeros((len(roots), 4), np.int64)
        for numbers, of_root in self._members(roots):
            documents = self._signed.documents(numbers)
            # As signed integers, in an order of their own: ids fall as in `keep_order` when the sign bit is turned.
            ids = (documents["id"] ^ np.uint64(1 << 63)).view(np.int64)
            _keep_first(best, keys, of_root, np.column_stack([documents["order"], ids, numbers]))
        for numbers, of_root in self._members(roots):
            leaves = (best[of_root] != numbers) & (numbers >= self._signed.num_earlier)
            pairs = np.zeros(int(leaves.sum()), EDGE)
            pairs["kept"], pairs["other"] = best[of_root[leaves]], numbers[leaves]
            yield from self._compared(pairs, memory, places)

    def _members(self, roots: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(numbers, places of their roots in `roots`) of the documents of these clusters, unit by unit."""
        for start, end in zip((0, *self._signed.files.ends), self._signed.files.ends, strict=False):
            parents = self._parents[start:end]
            place = np.searchsorted(roots, parents)
            place[place == len(roots)] = 0
            found = np.flatnonzero(roots[place] == parents)
            if len(found):
                yield start + found, place[found]

    def _compared(self, pairs: np.ndarray, memory: int, places: bool) -> Iterator[np.ndarray]:
        """`pairs` with their similarity, in parts whose sets fit."""
        sizes = np.zeros(len(pairs), np.int64)
        for end in ("kept", "other"):
            numbers, place = np.unique(pairs[end], return_inverse=True)
            sizes += self._signed.documents(numbers)["set_size"][place]
        taken = np.cumsum(sizes * 4 + _PAIR_BYTES) // max(1, memory // 2)
        for part in np.split(pairs, np.flatnonzero(np.diff(taken)) + 1):
            numbers, place = np.unique(np.concatenate([part["kept"], part["other"]]), return_inverse=True)
            sets, starts = self._signed.sets(numbers, self._signed.documents(numbers))
            firsts, seconds = place.reshape(2, -1)
            part["similarity"] = pair_similarities(firsts, seconds, sets, starts, places)
            yield part


_BLOCK = 1 << 20


def _first_true(mask: np.ndarray, count: int) -> np.ndarray:
    """Indices of the first `count` that are true."""
    found, parts = 0, [np.zeros(0, np.int64)]
    for first in range(0, len(mask), _BLOCK):
        part = first + np.flatnonzero(mask[first : first + _BLOCK])[: count - found]
        parts.append(part)
        found += len(part)
        if found == count:
            break
    return np.concatenate(parts)


@kernel
def _root(parents: np.ndarray, document: int) -> int:
    while parents[document] != document:
        parents[document] = parents[parents[document]]
        document = parents[document]
    return document


@kernel
def _join(parents: np.ndarray, firsts: np.ndarray, seconds: np.ndarray) -> None:
    """The smaller root becomes the other's parent, so that the roots do not depend on the order of edges."""
    for e in range(len(firsts)):
        a, b = _root(parents, firsts[e]), _root(parents, seconds[e])
        parents[max(a, b)] = min(a, b)


@kernel
def _flatten(parents: np.ndarray) -> None:
    for document in range(len(parents)):  # a parent is smaller than its child, and flat before it
        parents[document] = parents[parents[document]]


@kernel
def _keep_first(best: np.ndarray, keys: np.ndarray, places: np.ndarray, found: np.ndarray) -> None:
    """best[p] = the number, found[i, 3], of the row with the least found[i] among those with places[i] == p."""
    for i in range(len(places)):
        p = places[i]
        smaller = best[p] < 0
        if not smaller:
            for k in range(4):
                if found[i, k] != keys[p, k]:
                    smaller = found[i, k] < keys[p, k]
                    break
        if smaller:
            best[p] = found[i, 3]
            keys[p] = found[i]
