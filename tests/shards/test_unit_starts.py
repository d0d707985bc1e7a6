"""Units begin where they would if the file were read in one go, however it is cut and in whatever order it is read."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from shards.unit_starts import Openings, Piece, UnitStarts, tile

MAX_RECORDS, MAX_BYTES = 5, 100
Opening = tuple[int, int, int]  # offset, records, bytes


def is_full(records: int, num_bytes: int) -> bool:
    return records >= MAX_RECORDS or num_bytes >= MAX_BYTES


def in_one_go(openings: Sequence[Opening]) -> list[int]:
    starts, records, num_bytes = [], 0, 0
    for offset, more_records, more_bytes in openings:
        if is_full(records, num_bytes):
            starts.append(offset)
            records = num_bytes = 0
        records, num_bytes = records + more_records, num_bytes + more_bytes
    return starts


def read(openings: Sequence[Opening], decoys: Sequence[int], piece: Piece, end: int) -> Openings:
    """Reads a piece from its first opening, true or not, to the first true one after it."""
    places = sorted({offset for offset, _, _ in openings} | set(decoys))
    start = piece.begin if piece.at_begin else next((p for p in places if piece.begin <= p < piece.end), None)
    if start is None:
        return Openings.of([], piece.end)
    found = [opening for opening in openings if start <= opening[0] < piece.end]
    if start in decoys:
        found = [(start, 1, 3), *found]
    return Openings.of(found, next((offset for offset, _, _ in openings if offset >= piece.end), end))


@given(
    openings=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 3), st.integers(0, 60)), min_size=1, max_size=40),
    size=st.integers(1, 90),
    decoys=st.lists(st.integers(0, 1000), max_size=20),
    order=st.randoms(use_true_random=False),
)
def test_starts_are_those_of_one_go(openings: list[Opening], size: int, decoys: list[int], order) -> None:
    offset, placed = 0, []
    for length, records, num_bytes in openings:
        placed.append((offset, records, num_bytes))
        offset += length
    false = [place for place in decoys if place not in {opening[0] for opening in placed}]
    pieces = tile(0, offset, size)
    starts = UnitStarts(pieces, is_full)
    todo, num_read = list(pieces), 0
    order.shuffle(todo)
    while todo:
        piece = todo.pop()
        num_read += 1
        todo += starts.take(piece.number, read(placed, false, piece, offset))
    assert starts.found == in_one_go(placed)
    assert num_read <= 2 * len(pieces)


def test_a_piece_without_an_opening_is_part_of_the_one_before() -> None:
    starts = UnitStarts(tile(0, 300, 100), lambda records, _: records >= 1)
    assert starts.take(0, Openings.of([(0, 1, 5)], 250)) == []
    assert starts.take(1, Openings.of([], 200)) == []
    assert starts.take(2, Openings.of([(250, 1, 5)], 300)) == []
    assert starts.found == [250]


def test_a_piece_that_begins_elsewhere_is_read_again_from_where_the_one_before_ends() -> None:
    starts = UnitStarts(tile(0, 200, 100), lambda records, _: records >= 1)
    assert starts.take(1, Openings.of([(130, 4, 5), (180, 1, 5)], 200)) == []
    assert starts.take(0, Openings.of([(0, 1, 5)], 160)) == [Piece(1, 160, 200, at_begin=True)]
    assert starts.take(1, Openings.of([(160, 1, 5), (180, 1, 5)], 200)) == []
    assert starts.found == [160, 180]
