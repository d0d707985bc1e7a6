"""The choice of blocks against all possible choices, and copies against plain Python."""

import itertools

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cleaners.extraction import choice
from cleaners.extraction.choice import COPY_WORDS, MIN_P, choose, drop_copies
from cleaners.extraction.features.measures import MEASURE


def measures_of(words: list[float]) -> np.ndarray:
    measures = np.zeros(len(words), MEASURE)
    measures["words"] = words
    measures["chars"] = 1
    return measures


def expected_f1(words: np.ndarray, p: np.ndarray, chosen: np.ndarray) -> float:
    weight = words.astype(np.float64) + 0.5
    main = weight * p.astype(np.float64)
    return float(2 * main[chosen].sum() / (weight[chosen].sum() + main.sum()))


blocks = st.lists(st.tuples(st.integers(0, 60), st.floats(0, 1, width=16)), min_size=1, max_size=9)


@settings(max_examples=200)
@given(blocks)
@example([(10, 0.0), (3, 0.0)])
@example([(10, 0.5), (10, 0.5), (10, 0.5)])
@example([(10, 0.1), (10, 0.1)])
def test_no_other_choice_has_a_greater_expected_f1(drawn: list[tuple[int, float]]) -> None:
    words, p = np.array([w for w, _ in drawn], np.float32), np.array([q for _, q in drawn], np.float32)
    measures = measures_of([w for w, _ in drawn])
    chosen = choose(measures, p)
    every = [np.array(c) for c in itertools.product([False, True], repeat=len(drawn)) if any(c)]
    assert not p.any() or abs(choice.expected_f1(measures, p, chosen) - expected_f1(words, p, chosen)) < 1e-6
    assert not chosen[p < MIN_P].any()
    if chosen.any() and p[chosen].min() > MIN_P + 1e-6:
        sure = [c & (p >= MIN_P) for c in every]
        assert abs(expected_f1(words, p, chosen) - max(expected_f1(words, p, c) for c in sure if c.any())) < 1e-6


@given(blocks)
def test_chosen_blocks_have_a_greater_p_than_others(drawn: list[tuple[int, float]]) -> None:
    p = np.array([q for _, q in drawn], np.float32)
    chosen = choose(measures_of([w for w, _ in drawn]), p)
    assert p[chosen].min(initial=1) > p[~chosen].max(initial=-1) or chosen.all() or not chosen.any()


def test_the_threshold_falls_with_the_shares_of_the_page() -> None:
    clear = choose(measures_of([50, 50, 50]), np.array([0.95, 0.9, 0.3], np.float32))
    doubtful = choose(measures_of([50, 50, 50]), np.array([0.35, 0.3, 0.3], np.float32))
    assert clear.tolist() == [True, True, False]
    assert doubtful.all()


def test_a_page_without_blocks_has_an_empty_choice() -> None:
    chosen = choose(measures_of([]), np.empty(0, np.float32))
    assert len(chosen) == 0
    assert choice.expected_f1(measures_of([]), np.empty(0, np.float32), chosen) == 0


def plain_copies(rows: list[tuple[int, int, bool, bool]]) -> list[bool]:
    """The first block of each text that is not hidden, else the first; blocks are (words, hash, hidden, chosen)."""
    kept = [chosen for *_, chosen in rows]
    groups: dict[int, list[int]] = {}
    for b, (words, text, _, chosen) in enumerate(rows):
        if chosen and words >= COPY_WORDS:
            groups.setdefault(text, []).append(b)
    for group in groups.values():
        shown = [b for b in group if not rows[b][2]]
        for b in group:
            kept[b] = b == (shown or group)[0]
    return kept


copies = st.tuples(
    st.sampled_from([0, 4, 5, 30]), st.sampled_from([0, 1, 2, 2**31, 2**32 - 1]), st.booleans(), st.booleans()
)


@settings(max_examples=300)
@given(st.lists(copies, max_size=20))
def test_of_equal_texts_one_is_kept_preferably_a_visible_one(rows: list[tuple[int, int, bool, bool]]) -> None:
    measures = measures_of([words for words, *_ in rows])
    measures["hash"] = [text for _, text, *_ in rows]
    measures["hidden"] = [hidden for _, _, hidden, _ in rows]
    chosen = np.array([chosen for *_, chosen in rows], np.bool_)
    drop_copies(measures, chosen)
    assert chosen.tolist() == plain_copies(rows)
