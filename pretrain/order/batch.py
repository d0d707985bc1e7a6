"""Rows of a packing as arrays: tokens, labels and the boundaries of segments, in one buffer for one transfer.

    buffer  int32   │ tokens B · T │ labels B · T │ starts of segments, and B · T │ groups of segments │

A segment's tokens are its document's, its labels are the tokens that follow each. Positions count from 0 in each
segment and in the unfilled end, which is a segment without labels.

Shapes: B rows, T positions in a row.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xxhash
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, types  # type: ignore[attr-defined]
from numba.extending import intrinsic

from pretrain.order.packing import Packing
from shards.compiled import kernel
from shards.token_map import TokenMap

NO_LABEL = -100  # of a position that predicts nothing; torch's cross entropy ignores it


@dataclass(frozen=True)
class Batch:
    """Rows to train on."""

    tokens_BT: np.ndarray  # int32
    labels_BT: np.ndarray  # int32; NO_LABEL where nothing is predicted
    starts: np.ndarray  # int32[segments + 1]: where in the flattened rows each segment begins; then B · T
    num_segments_B: np.ndarray  # int64: in each row, an unfilled end included
    num_labels_B: np.ndarray  # int64
    source_B: np.ndarray  # int64: number of the row's source
    groups: np.ndarray  # int32[segments], by which losses are summed (`pretrain.order.groups`); empty: not asked for
    buffer: np.ndarray  # int32: tokens, labels, starts and groups

    @property
    def num_labels(self) -> int:
        return int(self.num_labels_B.sum())

    @cached_property
    def positions_BT(self) -> np.ndarray:
        """int64: the place of each token in its segment; 0 begins one."""
        positions = np.arange(self.tokens_BT.size)
        positions -= np.repeat(self.starts[:-1], np.diff(self.starts))
        return positions.reshape(self.tokens_BT.shape)

    def labels_by_source(self, num_sources: int) -> np.ndarray:
        """int64[sources]: labels in each source's rows."""
        return np.bincount(self.source_B, weights=self.num_labels_B, minlength=num_sources).astype(np.int64)

    def checksum(self) -> int:
        """The sum over rows of xxh3 of their tokens and labels, modulo 2^64.

        It does not depend on the order of rows; those of all ranks of a step sum to that of the global batch.
        """
        rows = zip(self.tokens_BT, self.labels_BT, strict=True)
        return sum(
            xxhash.xxh3_64_intdigest(labels.data, xxhash.xxh3_64_intdigest(tokens.data)) for tokens, labels in rows
        ) % (1 << 64)

    def sum_squared_lengths(self) -> int:
        """Over all segments: the pairs of positions that attention works on, before the causal half is left out."""
        lengths = self.starts[1:].astype(np.int64) - self.starts[:-1]
        return int(lengths @ lengths)


@dataclass(frozen=True)
class Rows:
    """Rows of segments by the positions of their tokens in a `TokenMap`: 16 bytes a segment, 8 a row."""

    row_length: int
    first: np.ndarray  # int64[rows + 1]: row r has the segments first[r] … first[r + 1] - 1
    position: np.ndarray  # int64[segments]: of the first input; the labels end one after the inputs
    length: np.ndarray  # uint32[segments]: inputs
    document: np.ndarray  # uint32[segments]: index in its source

    @classmethod
    def of(cls, packing: Packing, first_token: np.ndarray) -> "Rows":
        """The rows of a packing of documents that begin at these positions, int64[documents + 1]."""
        return cls(
            packing.row_length,
            packing.first,
            first_token[packing.document] + packing.start,
            (packing.end - packing.start).astype(np.uint32),
            packing.document.astype(np.uint32),
        )

    @property
    def num_rows(self) -> int:
        return len(self.first) - 1

    def with_empty_row(self) -> "Rows":
        """The same rows and one without segments after them."""
        return replace(self, first=np.append(self.first, self.first[-1]))

    @cached_property
    def max_segments(self) -> int:
        """Most segments in one row, counting an unfilled end as one."""
        return int(np.diff(self.first).max(initial=0)) + 1


def fill(
    tokens: TokenMap,
    rows: Rows,
    numbers: np.ndarray,
    *,
    source_B: np.ndarray | None = None,
    groups_of: Callable[[np.ndarray], np.ndarray] | None = None,
    into: np.ndarray | None = None,
) -> Batch:
    """The rows with these numbers, int64[B].

    `groups_of` gives the groups of all segments by the number of segments in each row.

    `into` is an int32 buffer to use, of `buffer_length` or more; by default there is a new one. Labels are `NO_LABEL`
    in the unfilled end, and where the label is a masked token, which is an input all the same. RunError for a damaged
    block of a token file.
    """
    B, T = len(numbers), rows.row_length
    segments = _segments(numbers, rows.first)
    positions, lengths = rows.position[segments], rows.length[segments].astype(np.int64)
    tokens.prepare(positions, lengths + 1)
    buffer = np.empty(buffer_length(B, T, rows.max_segments), np.int32) if into is None else into
    num_segments_B, num_labels_B = np.empty(B, np.int64), np.empty(B, np.int64)
    layout = tokens.layout
    num_starts = _fill(
        buffer,
        numbers,
        T,
        rows.first,
        positions,
        lengths,
        layout.first,
        tokens.addresses,
        tokens.item_bytes == 2,
        layout.masked,
        num_segments_B,
        num_labels_B,
    )
    end = 2 * B * T + num_starts
    groups = buffer[end : end + (num_starts - 1 if groups_of is not None else 0)]
    if groups_of is not None:
        groups[:] = groups_of(num_segments_B)
    return Batch(
        buffer[: B * T].reshape(B, T),
        buffer[B * T : 2 * B * T].reshape(B, T),
        buffer[2 * B * T : end],
        num_segments_B,
        num_labels_B,
        np.zeros(B, np.int64) if source_B is None else source_B,
        groups,
        buffer[: end + len(groups)],
    )


def buffer_length(num_rows: int, row_length: int, max_segments: int) -> int:
    """int32s that hold any batch of so many rows."""
    return num_rows * (2 * row_length + 2 * max_segments) + 1


@kernel(nogil=True)
def _segments(numbers, first):
    """Numbers of all segments of the rows, in order."""
    count = 0
    for row in numbers:
        count += first[row + 1] - first[row]
    segments = np.empty(count, np.int64)
    n = 0
    for row in numbers:
        for segment in range(first[row], first[row + 1]):
            segments[n] = segment
            n += 1
    return segments


@kernel(nogil=True)
def _fill(
    buffer,
    numbers,
    T,
    row_first,
    positions,
    lengths,
    stretch_first,
    addresses,
    is_short,
    masked,
    num_segments_B,
    num_labels_B,
):
    """Write tokens, labels and starts of rows, whose segments are given in order; returns the number of starts."""
    BT = len(numbers) * T
    labels, starts = buffer[BT : 2 * BT], buffer[2 * BT :]
    segment = num_starts = 0
    for b in range(len(numbers)):
        at = b * T
        first_start = num_starts
        num_labels = 0
        for _ in range(row_first[numbers[b] + 1] - row_first[numbers[b]]):
            position, length = positions[segment], lengths[segment]
            segment += 1
            stretch = np.searchsorted(stretch_first, position, side="right") - 1
            offset = position - stretch_first[stretch]
            if is_short:
                _copy(_shorts_at(addresses[stretch] + np.uint64(2 * offset), length + 1), buffer, labels, at, length)
            else:
                _copy(_words_at(addresses[stretch] + np.uint64(4 * offset), length + 1), buffer, labels, at, length)
            num_labels += length
            if len(masked):
                num_labels -= _unlabel(masked, position + 1, length, labels, at)
            starts[num_starts] = at
            num_starts += 1
            at += length
        if at < (b + 1) * T:
            starts[num_starts] = at
            num_starts += 1
            buffer[at : (b + 1) * T] = 0
            labels[at : (b + 1) * T] = NO_LABEL
        num_segments_B[b] = num_starts - first_start
        num_labels_B[b] = num_labels
    starts[num_starts] = BT
    return num_starts + 1


@kernel(nogil=True)
def _copy(ids, tokens, labels, at, length):
    for i in range(length):
        tokens[at + i] = ids[i]
    for i in range(length):
        labels[at + i] = ids[i + 1]


@kernel(nogil=True)
def _unlabel(masked, position, length, labels, at):
    """Take the labels away of masked tokens among `length` from `position` on; returns their number."""
    count = 0
    number = np.searchsorted(masked, position, side="right") // 2  # the first range that ends after it
    while 2 * number < len(masked) and masked[2 * number] < position + length:
        start = max(masked[2 * number], position) - position
        end = min(masked[2 * number + 1] - position, length)
        for i in range(start, end):
            labels[at + i] = NO_LABEL
            count += 1
        number += 1
    return count


def _generate_pointer(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())


@intrinsic
def _pointer(_context, address):
    return types.voidptr(types.uint64), _generate_pointer


@kernel(nogil=True)
def _shorts_at(address, length):
    return carray(_pointer(address), length, np.uint16)  # type: ignore[call-arg]


@kernel(nogil=True)
def _words_at(address, length):
    return carray(_pointer(address), length, np.uint32)  # type: ignore[call-arg]
