"""Clusters as the papers form them: a connected component of edges is one cluster, and its first document is kept.

    edges: a–b, b–c     a ~ b ~ c, but a and c are dissimilar: b and c are removed for a, and the similarity of c to a
                        shows that the chain was false

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
_BLOCK = 1 << 20


class Components:
    """A union-find over the numbers of all signed documents."""

    def __init__(self, signed: SignedFiles) -> None:
        self._signed = signed
        self._parents = np.arange(len(signed))

    def join(self, firsts: np.ndarray, seconds: np.ndarray) -> None:
        """Join the documents with these numbers, pair by pair."""
        _join(self._parents, firsts, seconds)

    def removed(self, memory: int, *, are_signatures: bool) -> Iterator[np.ndarray]:
        """EDGE in parts: each removed document (`second`), its representative (`first`) and their similarity.

        Similarity is an estimate if the stored sets `are_signatures`.
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
            yield from self._removed_of(part, memory, are_signatures)
            start = end

    def _removed_of(self, roots: np.ndarray, memory: int, are_signatures: bool) -> Iterator[np.ndarray]:
        """`removed` of the clusters with these roots, which ascend."""
        representatives = np.full(len(roots), -1)
        keys = np.zeros((len(roots), 4), np.int64)
        for numbers, clusters in self._members(roots):
            documents = self._signed.documents(numbers)
            # As signed integers, in an order of their own: ids fall as in `keep_order` when the sign bit is flipped.
            ids = (documents["id"] ^ np.uint64(1 << 63)).view(np.int64)
            _keep_first(representatives, keys, clusters, np.column_stack([documents["order"], ids, numbers]))
        for numbers, clusters in self._members(roots):
            removed = (representatives[clusters] != numbers) & (numbers >= self._signed.num_earlier)
            pairs = np.zeros(int(removed.sum()), EDGE)
            pairs["first"], pairs["second"] = representatives[clusters[removed]], numbers[removed]
            yield from self._compared(pairs, memory, are_signatures)

    def _members(self, roots: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(numbers, indices of their roots in `roots`) of the documents of these clusters, unit by unit."""
        for start, end in zip((0, *self._signed.files.ends), self._signed.files.ends, strict=False):
            parents = self._parents[start:end]
            clusters = np.searchsorted(roots, parents)
            clusters[clusters == len(roots)] = 0
            members = np.flatnonzero(roots[clusters] == parents)
            if len(members):
                yield start + members, clusters[members]

    def _compared(self, pairs: np.ndarray, memory: int, are_signatures: bool) -> Iterator[np.ndarray]:
        """`pairs` with their similarity, in parts whose sets fit in memory."""
        sizes = np.zeros(len(pairs), np.int64)
        for end in ("first", "second"):
            numbers, inverse = np.unique(pairs[end], return_inverse=True)
            sizes += self._signed.documents(numbers)["set_size"][inverse]
        taken = np.cumsum(sizes * 4 + _PAIR_BYTES) // max(1, memory // 2)
        for part in np.split(pairs, np.flatnonzero(np.diff(taken)) + 1):
            numbers, inverse = np.unique(np.concatenate([part["first"], part["second"]]), return_inverse=True)
            sets, starts = self._signed.sets(numbers, self._signed.documents(numbers))
            firsts, seconds = inverse.reshape(2, -1)
            part["similarity"] = pair_similarities(firsts, seconds, sets, starts, are_signatures)
            yield part


def _first_true(mask: np.ndarray, count: int) -> np.ndarray:
    """Indices of the first `count` that are true."""
    num_true, parts = 0, [np.zeros(0, np.int64)]
    for first in range(0, len(mask), _BLOCK):
        part = first + np.flatnonzero(mask[first : first + _BLOCK])[: count - num_true]
        parts.append(part)
        num_true += len(part)
        if num_true == count:
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
def _keep_first(representatives: np.ndarray, keys: np.ndarray, clusters: np.ndarray, rows: np.ndarray) -> None:
    """representatives[c] = the number, rows[i, 3], of the least row i with clusters[i] == c; keys[c] = that row."""
    for i in range(len(clusters)):
        c = clusters[i]
        smaller = representatives[c] < 0
        if not smaller:
            for k in range(4):
                if rows[i, k] != keys[c, k]:
                    smaller = rows[i, k] < keys[c, k]
                    break
        if smaller:
            representatives[c] = rows[i, 3]
            keys[c] = rows[i]
