"""Effects of training data: planted ones come out, and intervals cover them as often as they say."""

import math

import numpy as np
import pytest

from pipelines.worth.effects import Scores, added, bootstrap, expected_smallest, joined, smallest_effect


def planted(
    effect: float,
    random: np.random.Generator,
    *,
    seeds: int = 3,
    items: int = 60,
    of_seed: float = 0.02,
    of_residual: float = 0.01,
    of_item: float = 0.05,
    sides: int = 2,
) -> Scores:
    """Scores of 3 + an item's own + a seed's + effect · side, with noise of side and seed and of side and item."""
    weights = random.integers(50, 500, items).astype(float)
    score = 3 + random.normal(0, 0.5, items)[None, None, :]
    score = score + random.normal(0, of_seed, seeds)[None, :, None]
    score = score + random.normal(0, of_residual, (sides, seeds))[:, :, None]
    score = score + random.normal(0, of_item, (sides, items))[:, None, :]
    score = score + effect * np.arange(sides)[:, None, None]
    return Scores(tuple("abcdef"[:sides]), score * weights, weights)


def test_a_planted_effect_is_recovered_and_named() -> None:
    random = np.random.default_rng(1)
    (effect,) = planted(-0.2, random, items=400, seeds=5).effects()
    assert effect.mean == pytest.approx(-0.2, abs=0.02)
    assert effect.whole.low < -0.2 < effect.whole.high
    assert effect.winner == "b"
    assert effect.smallest < 0.05


@pytest.mark.parametrize("sides", [2, 3])
def test_the_whole_interval_covers_the_truth_as_often_as_it_says(sides: int) -> None:
    random = np.random.default_rng(sides)
    effects = [next(planted(-0.03, random, sides=sides).effects(seed=i)) for i in range(300)]
    covered = sum(e.whole.low < -0.03 < e.whole.high for e in effects) / len(effects)
    assert 0.92 <= covered <= 0.99
    # Either part alone is too narrow: they are shown, and name no winner.
    assert sum(e.over_documents.low < -0.03 < e.over_documents.high for e in effects) / len(effects) < covered


def test_equal_sides_have_no_winner_but_in_one_of_twenty() -> None:
    random = np.random.default_rng(7)
    winners = [next(planted(0, random).effects(seed=i)).winner for i in range(300)]
    assert sum(winner is not None for winner in winners) <= 0.08 * 300


def test_an_effect_of_the_smallest_size_is_shown_about_as_often_as_the_power_says() -> None:
    deviation, of_items = math.sqrt(2) * 0.01, 0.05 * math.sqrt(2 / 60)
    effect = expected_smallest(deviation, of_items, num_sides=2, num_seeds=3)
    random = np.random.default_rng(3)
    shown = [next(planted(effect, random).effects(seed=i)).winner == "a" for i in range(300)]
    assert 0.7 <= sum(shown) / 300 <= 0.95


def test_the_bootstrap_deviates_as_the_plain_one_does() -> None:
    random = np.random.default_rng(5)
    weights = random.integers(1, 9, 50).astype(float)
    numerators = weights * random.normal(0, 1, 50)
    plain = []
    for _ in range(4000):
        drawn = random.integers(0, 50, 50)
        plain.append(numerators[drawn].sum() / weights[drawn].sum())
    ours = bootstrap(numerators, weights, seed=0)
    assert ours.std() == pytest.approx(np.std(plain), rel=0.06)
    assert np.array_equal(ours, bootstrap(numerators, weights, seed=0))


def test_the_spread_leaves_out_what_a_seed_does_to_all_sides() -> None:
    random = np.random.default_rng(2)
    scores = planted(0.5, random, seeds=200, of_seed=3.0, of_residual=0.01, items=5, of_item=0)
    deviation, freedom = scores.spread
    assert deviation == pytest.approx(0.01 * math.sqrt(2), rel=0.15)
    assert freedom == 199


def test_for_two_sides_the_spread_is_that_of_their_differences() -> None:
    scores = planted(0.1, np.random.default_rng(4), seeds=4)
    assert scores.spread[0] == pytest.approx(np.std(scores.table[1] - scores.table[0], ddof=1))


def test_one_seed_shows_nothing() -> None:
    (effect,) = planted(-5, np.random.default_rng(1), seeds=1).effects()
    assert effect.winner is None
    assert effect.smallest == math.inf


def test_parts_add_as_satterthwaite_says() -> None:
    error, freedom = added(3.0, 2, 4.0, 10)
    assert error == 5
    assert freedom == pytest.approx(625 / (81 / 2 + 256 / 10))
    assert smallest_effect(2.0, 1e9) == pytest.approx(2 * (1.95996 + 0.84162), rel=1e-4)


def test_joined_sets_have_equal_weight_and_pages_are_single_items() -> None:
    one = Scores(("a",), np.array([[[2.0, 4.0]]]), np.array([1.0, 1.0]))  # score 3
    other = Scores(("a",), np.array([[[500.0]]]), np.array([100.0]))  # score 5
    both = joined([one, other], [np.array(["x", "y"]), np.array(["y"])])
    assert both.table[0, 0] == pytest.approx(4)
    assert len(both.weights) == 2  # y stands in both sets
