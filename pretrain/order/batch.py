"""Rows of a packing as arrays: tokens, labels and positions.

Shapes: B rows, T positions in a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pretrain.order.packing import Packing
from shards.tokens import TokenDocuments

NO_LABEL = -100  # of a position that predicts nothing; torch's cross entropy ignores it


@dataclass(frozen=True)
class Batch:
    """Rows to train on. A position of 0 begins a document's segment."""

    tokens_BT: np.ndarray  # int64
    labels_BT: np.ndarray  # int64; NO_LABEL where nothing is predicted
    positions_BT: np.ndarray  # int64
    source_B: np.ndarray  # int64: number of the row's source
    max_segments: int  # most segments in a row of the whole plan, so it is the same in every batch

    @property
    def num_labels(self) -> int:
        return int((self.labels_BT != NO_LABEL).sum())

    def labels_by_source(self, num_sources: int) -> np.ndarray:
        """int64[sources]: labels in each source's rows."""
        labels_B = (self.labels_BT != NO_LABEL).sum(axis=1)
        return np.bincount(self.source_B, weights=labels_B, minlength=num_sources).astype(np.int64)

    def sum_squared_lengths(self) -> int:
        """Over all segments: the pairs of positions that attention works on, before the causal half is left out."""
        starts = np.flatnonzero(self.positions_BT == 0)
        return int((np.diff(starts, append=self.positions_BT.size) ** 2).sum())

    def split(self, num_rows: int) -> Iterator["Batch"]:
        """Micro-batches of `num_rows` rows; the last one may be smaller."""
        for i in range(0, len(self.source_B), num_rows):
            rows = slice(i, i + num_rows)
            yield Batch(
                self.tokens_BT[rows],
                self.labels_BT[rows],
                self.positions_BT[rows],
                self.source_B[rows],
                self.max_segments,
            )


def fill(documents: TokenDocuments, packing: Packing, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tokens, labels, positions) of these rows of the packing, each int64[B, T].

    Positions count from 0 in each segment and in the unfilled end. Labels are `NO_LABEL` in the unfilled end, and where
    the label is a masked token, which is an input all the same.
    """
    shape = len(rows), packing.row_length
    tokens, labels, positions = np.zeros(shape, np.int64), np.full(shape, NO_LABEL), np.zeros(shape, np.int64)
    for i, row in enumerate(rows):
        filled = 0
        for document, start, end in packing.segments(row):
            ids, own = documents.tokens(document, start, end + 1), slice(filled, filled + end - start)
            tokens[i, own], labels[i, own], positions[i, own] = ids[:-1], ids[1:], np.arange(end - start)
            for first, last in documents.masked(document, start + 1, end + 1):
                labels[i, filled + first : filled + last] = NO_LABEL
            filled = own.stop
        positions[i, filled:] = np.arange(packing.row_length - filled)
    return tokens, labels, positions
