from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.tokenizing.merges import END, MIN_COUNT, NEVER, Pieces, learn_merges

FIRST_ID, MAX_MERGES = 200, 30


def made_pieces(counts: dict[str, int], need: dict[int, int] | None = None) -> Pieces:
    symbols, weights = [END], [0]
    for piece, count in counts.items():
        symbols += [*piece.encode("latin-1"), END]
        weights += [count] * (len(piece) + 1)
    pieces = Pieces(
        np.array(symbols, np.int32),
        np.array(weights, np.int32),
        np.ones(FIRST_ID + MAX_MERGES, np.uint8),
        np.zeros(FIRST_ID + MAX_MERGES, np.int8),
    )
    for id_, value in (need or {}).items():
        pieces.need[id_] = value
    return pieces


def plain_merges(counts: dict[str, int], max_merges: int, max_bytes: int) -> list[tuple[int, int, int]]:
    """The definition: count every pair anew, merge the most frequent one, from left to right."""
    words = {piece: [(symbol, 1) for symbol in piece.encode("latin-1")] for piece in counts}
    merges = []
    while len(merges) < max_merges:
        pairs: Counter[tuple[int, int]] = Counter()
        for piece, word in words.items():
            last = None
            for i, ((a, m), (b, n)) in enumerate(pairwise(word)):
                if m + n <= max_bytes and last != (i - 1, a, b):
                    pairs[a, b] += counts[piece]
                    last = (i, a, b)
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < MIN_COUNT:
            break
        for piece, word in words.items():
            merged: list[tuple[int, int]] = []
            i = 0
            while i < len(word):
                if i + 1 < len(word) and (word[i][0], word[i + 1][0]) == best:
                    merged.append((FIRST_ID + len(merges), word[i][1] + word[i + 1][1]))
                    i += 2
                else:
                    merged.append(word[i])
                    i += 1
            words[piece] = merged
        merges.append((*best, pairs[best]))
    return merges


COUNTS = st.dictionaries(st.text("abc", min_size=1, max_size=12), st.integers(1, 9), min_size=1, max_size=12)


@settings(max_examples=150)
@given(COUNTS, st.integers(2, 9))
def test_merges_are_those_of_the_definition(counts: dict[str, int], max_bytes: int) -> None:
    learned = learn_merges(made_pieces(counts), FIRST_ID, MAX_MERGES, max_bytes)
    assert learned == plain_merges(counts, MAX_MERGES, max_bytes)


def test_rare_pairs_are_merged_when_frequent_ones_are_used_up() -> None:
    """The first look is at pairs above a floor; here a hundred times the rarest one's count."""
    counts = {"ab": 100_000, "cd": 40, "ef": 3, "gh": 1}
    merges = learn_merges(made_pieces(counts), FIRST_ID, 4, 9)
    assert merges == [(97, 98, 100_000), (99, 100, 40), (101, 102, 3)]


def test_a_new_token_is_whole_characters_or_the_first_bytes_of_one() -> None:
    """a lacks two bytes, b is one byte from inside a character, w is whole, m is never merged."""
    need = {ord("a"): 2, ord("b"): -1, ord("m"): NEVER}
    merges = learn_merges(made_pieces({"wabbwmabb": 5, "abbw": 4}, need), FIRST_ID, MAX_MERGES, 9)
    ab, abb = FIRST_ID, FIRST_ID + 1
    assert merges[:2] == [(ord("a"), ord("b"), 14), (ab, ord("b"), 14)]
    assert {(a, b) for a, b, _ in merges[2:]} <= {(abb, ord("w")), (ord("w"), abb), (ord("w"), FIRST_ID + 2)}
    assert len(merges) > 2
