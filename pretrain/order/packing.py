"""Packing: documents into rows of fixed length, ahead of training, from their lengths alone.

A row holds *predictions*. A document of n tokens has n - 1 of them, (token i, token i + 1). Its segment [a, b) brings
the inputs a … b - 1 and the labels a + 1 … b:

    document   <bos> The mill grinds . <eos>           6 tokens, 5 predictions
    segment    [0, 3)    inputs <bos> The mill          labels The mill grinds
    segment    [3, 5)    inputs grinds .                labels . <eos>

So a document that is split over rows loses no prediction at the cut, every label comes from its input's document, and
only the unfilled end of a row has no labels.

best_fit      A document longer than a row is split into whole rows and a rest. Then all pieces, longest first, go into
              the row that they fill best (Ding et al., "Fewer Truncations Improve Language Modeling", 2024). Where
              more than `MAX_UNFILLED` of the room stays empty, the emptiest rows are dissolved: their pieces are poured
              into what room the others have, and cut at its end.
concatenate   Documents one after the other, cut where a row ends.

A row is closed at `max_segments` segments, since attention pays for each. In best fit the shortest pieces come last and
would close rows that are half empty. Where that happens, the pieces of those rows are dealt out to all rows first, and
the others are fitted around them.

A document of weight w stands in an epoch w times. Its pieces are packed in w rounds, so no row holds a piece twice, and
the order of rows spreads them over the epoch.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from shards.compiled import kernel

VERSION = 2  # raised when the same lengths give other rows; part of a plan's identity
MAX_UNFILLED = 0.0005  # fraction of all room; more of it is filled by cutting pieces

Kind = Literal["best_fit", "concatenate"]


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


def pack_weighted(
    num_predictions: np.ndarray,
    weights: np.ndarray,
    row_length: int,
    *,
    kind: Kind = "best_fit",
    max_segments: int = 64,
) -> Packing:
    """Rows that hold each prediction of each document as often as its weight says, and none of them twice in a row.

    `num_predictions` and `weights` are int64[documents]; a weight of 0 leaves the document out.
    """
    if (weights == 1).all():
        return pack(num_predictions, row_length, kind=kind, max_segments=max_segments)
    rounds = []
    for k in range(max(1, weights.max(initial=0))):
        documents = np.flatnonzero(weights > k)
        packing = pack(num_predictions[documents], row_length, kind=kind, max_segments=max_segments)
        rounds.append(replace(packing, document=documents[packing.document]))
    document, start, end = (np.concatenate([getattr(r, name) for r in rounds]) for name in ("document", "start", "end"))
    num_segments = np.concatenate([np.diff(r.first) for r in rounds])
    return Packing(row_length, np.concatenate([[0], np.cumsum(num_segments)]), document, start, end)


def pack(num_predictions: np.ndarray, row_length: int, *, kind: Kind = "best_fit", max_segments: int = 64) -> Packing:
    """Rows that hold each prediction of each document exactly once; `num_predictions` is int64[documents]."""
    if kind == "concatenate":
        document, start, length, row = _pour(num_predictions, _NONE, _NONE, row_length, max_segments)
    else:
        num_pieces = -(-num_predictions // row_length)
        document = np.repeat(np.arange(len(num_predictions)), num_pieces)
        piece_number = np.arange(len(document)) - np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
        start = piece_number * row_length
        length = np.minimum(row_length, num_predictions[document] - start)
        longest_first = _order(row_length - length, row_length)
        document, start, length = document[longest_first], start[longest_first], length[longest_first]
        row = _fit(length, row_length, max_segments)
        document, start, length, row = _fill_up(document, start, length, row, row_length, max_segments)
    count = np.bincount(row)
    by_row = _order(row, len(count))
    first = np.concatenate([[0], np.cumsum(count[count > 0])])
    return Packing(row_length, first, document[by_row], start[by_row], (start + length)[by_row])


_NONE = np.zeros(0, np.int64)


def _fit(length: np.ndarray, capacity: int, max_segments: int) -> np.ndarray:
    """The row of each piece, longest first, without cutting one."""
    row: np.ndarray = _best_fit(length, capacity, max_segments, 0, _NONE)
    room = capacity - np.bincount(row, weights=length)
    is_closed = np.bincount(row) == max_segments
    if room[is_closed].sum() > MAX_UNFILLED * len(room) * capacity:
        dealt = np.flatnonzero(is_closed[row] & (room[row] > 0))
        num_dealt_rows = max(int(length[length < capacity].sum()) // capacity, -(-len(dealt) // max_segments))
        row = _best_fit(length, capacity, max_segments, num_dealt_rows, dealt)
    return row


def _fill_up(
    document: np.ndarray, start: np.ndarray, length: np.ndarray, row: np.ndarray, capacity: int, max_segments: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(document, start, length, row) of pieces after the emptiest rows were poured into the room of the others.

    As few rows are dissolved as leave `MAX_UNFILLED` of the room empty. A document has at most one piece in a row that
    is not full, so its parts come to different rows.
    """
    count = np.bincount(row)
    room = np.where(count > 0, capacity - np.bincount(row, weights=length).astype(np.int64), 0)
    unusable = (room == 0) | (count >= max_segments)
    missing = room.sum() - MAX_UNFILLED * len(room) * capacity
    num_dissolved = min(int(np.ceil(missing / (1 - MAX_UNFILLED) / capacity)), int(room[~unusable].sum()) // capacity)
    if num_dissolved <= 0:
        return document, start, length, row
    emptiest_first = np.argsort(np.where(unusable, 0, -room), kind="stable")
    dissolved, rooms = np.split(emptiest_first[: np.count_nonzero(~unusable)], [num_dissolved])
    is_dissolved = np.zeros(len(room), np.bool_)
    is_dissolved[dissolved] = True
    loose = np.flatnonzero(is_dissolved[row])
    piece, offset, poured, place = _pour(length[loose], room[rooms], count[rooms], capacity, max_segments)
    if place.max(initial=-1) >= len(rooms) + num_dissolved - 1:  # the limit of segments left no row over
        return document, start, length, row
    row_of_place = np.concatenate([rooms, dissolved])
    stay, come = np.flatnonzero(~is_dissolved[row]), loose[piece]
    document = np.concatenate([document[stay], document[come]])
    start = np.concatenate([start[stay], start[come] + offset])
    row = np.concatenate([row[stay], row_of_place[place]])
    return document, start, np.concatenate([length[stay], poured]), row


@kernel
def _order(keys, num_keys):
    """The indices of `keys`, each 0 … num_keys, in ascending order of key; equal ones in their order."""
    next_place = np.zeros(num_keys + 2, np.int64)
    for key in keys:
        next_place[key + 1] += 1
    for key in range(num_keys + 1):
        next_place[key + 1] += next_place[key]
    order = np.empty(len(keys), np.int64)
    for i in range(len(keys)):
        order[next_place[keys[i]]] = i
        next_place[keys[i]] += 1
    return order


@kernel
def _pour(lengths, rooms, counts, capacity, max_segments):
    """(piece, offset in it, length, row) of each part of the pieces, in order.

    Pieces go into the rooms one after the other, which are the rows 0, 1, … and have `counts` segments already, and
    then into new rows. A piece is cut where a row ends; a row ends early at `max_segments` segments.
    """
    most = len(lengths) + len(rooms) + lengths.sum() // capacity  # since a part ends a piece, a room or a full row
    piece, offset = np.empty(most, np.int64), np.empty(most, np.int64)
    length, row = np.empty(most, np.int64), np.empty(most, np.int64)
    n = 0
    at = -1
    free = count = 0
    for i in range(len(lengths)):
        done = 0
        while done < lengths[i]:
            while free == 0 or count >= max_segments:
                at += 1
                free = rooms[at] if at < len(rooms) else capacity
                count = counts[at] if at < len(rooms) else 0
            part = min(free, lengths[i] - done)
            piece[n], offset[n], length[n], row[n] = i, done, part, at
            n += 1
            done += part
            free -= part
            count += 1
    return piece[:n], offset[:n], length[:n], row[:n]


@kernel
def _best_fit(lengths, capacity, max_segments, num_dealt_rows, dealt):
    """The row of each piece: it goes into the row with the least room that suffices and fewer than `max_segments`.

    The pieces `dealt` go to the rows 0 … num_dealt_rows - 1 first, in turn, where they fit. Rows with c free positions
    form a stack, newest on top. A binary tree over c = 0 … capacity records which stacks are not empty, so the least
    sufficient c is found in log(capacity) steps.
    """
    leaves = 1
    while leaves <= capacity:
        leaves *= 2
    filled = np.zeros(2 * leaves, np.bool_)  # node i has the children 2i and 2i + 1; leaf of c is leaves + c
    top = np.full(capacity + 1, -1, np.int64)
    below = np.empty(len(lengths) + num_dealt_rows, np.int64)
    count = np.zeros(len(lengths) + num_dealt_rows, np.int64)
    room = np.full(num_dealt_rows, capacity, np.int64)
    row_of_piece = np.full(len(lengths), -1, np.int64)
    for i in range(len(dealt)):
        row = i % num_dealt_rows
        if lengths[dealt[i]] <= room[row] and count[row] < max_segments:
            row_of_piece[dealt[i]] = row
            room[row] -= lengths[dealt[i]]
            count[row] += 1
    num_rows = num_dealt_rows
    for i in range(-num_dealt_rows, len(lengths)):
        if i < 0:
            row, free = -1 - i, room[-1 - i]
        elif row_of_piece[i] >= 0:
            continue
        else:
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
            count[row] += 1
        if count[row] >= max_segments:
            continue
        below[row] = top[free]
        top[free] = row
        node = leaves + free
        while node >= 1 and not filled[node]:
            filled[node] = True
            node >>= 1
    return row_of_piece
