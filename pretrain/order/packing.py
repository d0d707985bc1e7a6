"""Packing: documents into rows of fixed length, ahead of training, from their lengths alone.

A row holds *predictions*. A document of n tokens has n - 1 of them, (token i, token i + 1). Its segment [a, b) brings
the inputs a … b - 1 and the labels a + 1 … b:

    document   <bos> The mill grinds . <eos>           6 tokens, 5 predictions
    segment    [0, 3)    inputs <bos> The mill          labels The mill grinds
    segment    [3, 5)    inputs grinds .                labels . <eos>

So a document that is split over rows loses no prediction at the cut, every label comes from its input's document, and
only the unfilled end of a row has no labels. A document longer than a row is split into whole rows and a rest, never
cropped. Then all pieces, longest first, go into the row that they fill best (Ding et al., "Fewer Truncations Improve
Language Modeling", 2024). From some 10,000 rows of web text on, rows are over 99.9 % full.

A document of weight w stands in an epoch w times. Its pieces are packed in w rounds, so no row holds a piece twice, and
the order of rows spreads them over the epoch.
"""

from dataclasses import dataclass, replace

import numpy as np

from shards.compiled import kernel

VERSION = 1  # raised when the same lengths give other rows; part of a plan's identity


@dataclass(frozen=True)
class Packing:
    """Rows of segments; row r has the segments first[r] … first[r + 1] - 1."""

    row_length: int  # predictions in a full row
    first: np.ndarray  # int64[rows + 1]
    document: np.ndarray  # int64[segments]: index of the document
    start: np.ndarray  # int64[segments]: index of the first input in its document
    end: np.ndarray  # int64[segments]: index after the last input, which is that of the last label

    @property
    def num_rows(self) -> int:
        return len(self.first) - 1

    @property
    def max_segments(self) -> int:
        """Most segments in one row, counting an unfilled end as one."""
        return int(np.diff(self.first).max(initial=0)) + 1

    def segments(self, row: int) -> list[tuple[int, int, int]]:
        """(document, start, end) of each segment of a row, in order."""
        own = slice(self.first[row], self.first[row + 1])
        return list(zip(self.document[own].tolist(), self.start[own].tolist(), self.end[own].tolist(), strict=True))


def pack_weighted(num_predictions: np.ndarray, weights: np.ndarray, row_length: int) -> Packing:
    """Rows that hold each prediction of each document as often as its weight says, and none of them twice in a row.

    `num_predictions` and `weights` are int64[documents]; a weight of 0 leaves the document out.
    """
    rounds = []
    for k in range(max(1, weights.max(initial=0))):
        documents = np.flatnonzero(weights > k)
        packing = pack(num_predictions[documents], row_length)
        rounds.append(replace(packing, document=documents[packing.document]))
    document, start, end = (np.concatenate([getattr(r, name) for r in rounds]) for name in ("document", "start", "end"))
    num_segments = np.concatenate([np.diff(r.first) for r in rounds])
    return Packing(row_length, np.concatenate([[0], np.cumsum(num_segments)]), document, start, end)


def pack(num_predictions: np.ndarray, row_length: int) -> Packing:
    """Rows that hold each prediction of each document exactly once; `num_predictions` is int64[documents]."""
    num_pieces = -(-num_predictions // row_length)
    document = np.repeat(np.arange(len(num_predictions)), num_pieces)
    piece_number = np.arange(len(document)) - np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
    start = piece_number * row_length
    end = np.minimum(start + row_length, num_predictions[document])

    longest_first = np.argsort(start - end, kind="stable")
    row_of_piece, num_rows = _best_fit((end - start)[longest_first], row_length)
    by_row = longest_first[np.argsort(row_of_piece, kind="stable")]
    first = np.concatenate([[0], np.cumsum(np.bincount(row_of_piece, minlength=num_rows))])
    return Packing(row_length, first, document[by_row], start[by_row], end[by_row])


@kernel
def _best_fit(lengths, capacity):
    """(row of each piece, number of rows): each piece goes into the row with the least room that suffices.

    Rows with c free positions form a stack, newest on top. A binary tree over c = 0 … capacity records which stacks
    are not empty, so the least sufficient c is found in log(capacity) steps.
    """
    leaves = 1
    while leaves <= capacity:
        leaves *= 2
    filled = np.zeros(2 * leaves, np.bool_)  # node i has the children 2i and 2i + 1; leaf of c is leaves + c
    top = np.full(capacity + 1, -1, np.int64)
    below = np.empty(len(lengths), np.int64)
    row_of_piece = np.empty(len(lengths), np.int64)
    num_rows = 0
    for i in range(len(lengths)):
        node = leaves + lengths[i]
        if not filled[node]:
            while node > 1 and (node & 1 or not filled[node + 1]):
                node >>= 1
            if node > 1:
                node += 1
                while node < leaves:
                    node *= 2
                    if not filled[node]:
                        node += 1
        if node > 1:
            free = node - leaves
            row = top[free]
            top[free] = below[row]
            if top[free] < 0:
                while node >= 1:
                    filled[node] = node < leaves and (filled[2 * node] or filled[2 * node + 1])
                    node >>= 1
        else:
            free, row = capacity, num_rows
            num_rows += 1
        row_of_piece[i] = row
        free -= lengths[i]
        below[row] = top[free]
        top[free] = row
        node = leaves + free
        while node >= 1 and not filled[node]:
            filled[node] = True
            node >>= 1
    return row_of_piece, num_rows
