from collections import Counter

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.order.mixture import SLOTS, Cycle, Mixture, MixtureSource, Phase, permute
from shards.errors import UserError


def mixture(*sources: tuple[float, int], max_epochs: float = 1e9, seed: int = 7) -> Mixture:
    phase = Phase(0, tuple(weight for weight, _ in sources))
    return Mixture(tuple(MixtureSource(f"s{i}", n, max_epochs) for i, (_, n) in enumerate(sources)), (phase,), seed)


def plain_permute(index: np.ndarray, size: int, key: int) -> np.ndarray:
    """The same network on whole arrays."""
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    result, todo = index.astype(np.uint64), np.ones(index.shape, np.bool_)
    while todo.any():
        left, right = result[todo] >> half, result[todo] & mask
        for number in range(6):
            mixed = plain_mix(right ^ plain_mix(np.array((key + number) % 2**64, np.uint64)))
            left, right = right, left ^ (mixed & mask)
        result[todo] = left << half | right
        todo = result >= size
    return result.astype(np.int64)


def plain_mix(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def plain_sample(mix: Mixture, num_places: int) -> list[tuple[int, int, int]]:
    """(source, epoch, row) of the first places, counted one by one: slots of a phase begin anew, sources go on."""
    used = [0] * len(mix.sources)
    order = []
    for phase, following in zip(mix.phases, [*mix.phases[1:], None], strict=True):
        weights = np.array(phase.weights)
        exact = weights / weights.sum() * SLOTS
        slots = exact.astype(int)
        slots[np.argsort(slots - exact, kind="stable")[: SLOTS - slots.sum()]] += 1
        ideal = sorted(((2 * k + 1) / n, s) for s, n in enumerate(slots.tolist()) for k in range(n))
        for place in range(phase.first, num_places if following is None else min(num_places, following.first)):
            s = ideal[(place - phase.first) % SLOTS][1]
            source = mix.sources[s]
            epoch, index = divmod(used[s], source.num_rows)
            key = xxhash.xxh3_64_intdigest(source.name.encode(), mix.seed)
            mixed = int(plain_mix(np.array((key + epoch) % 2**64, np.uint64)))
            order.append((s, epoch, int(plain_permute(np.array([index]), source.num_rows, mixed)[0])))
            used[s] += 1
    return order


@given(st.integers(1, 5000), st.integers(0, 2**64 - 1))
def test_permute_is_that_of_whole_arrays(size: int, key: int) -> None:
    assert (permute(np.arange(size), size, key) == plain_permute(np.arange(size), size, key)).all()


def test_the_order_is_that_of_counting_place_by_place_through_all_phases() -> None:
    sources = tuple(MixtureSource(name, n, 1e9) for name, n in (("a", 37), ("b", 11), ("c", 64)))
    phases = (Phase(0, (0.5, 0.5, 0)), Phase(301, (0.2, 0.3, 0.5)), Phase(302, (1, 0, 1)), Phase(700, (0, 0, 1)))
    mix = Mixture(sources, phases, 3)
    plain = plain_sample(mix, 1000)
    order = list(zip(*(column.tolist() for column in mix.sample(np.arange(1000))), strict=True))
    assert order == plain
    for places in (0, 1, 300, 301, 302, 303, 700, 1000):
        assert mix.counts(places).tolist() == [sum(s == i for s, _, _ in plain[:places]) for i in range(3)]
    for first in range(0, 1000, 7):
        part = mix.sample(np.arange(first, 1000, 13))
        assert list(zip(*(column.tolist() for column in part), strict=True)) == plain[first::13]


@given(st.integers(1, 5000), st.integers(0, 2**64 - 1))
def test_permute_is_a_bijection(size: int, key: int) -> None:
    assert sorted(permute(np.arange(size), size, key)) == list(range(size))


def test_permute_of_a_huge_range_stays_inside_and_repeats_nothing() -> None:
    size = 10**12 + 39
    result = permute(np.arange(100_000), size, 1)
    assert len(np.unique(result)) == len(result)
    assert result.min() >= 0
    assert result.max() < size
    assert abs(result.mean() / size - 0.5) < 0.01


def test_permutations_of_different_keys_look_independent() -> None:
    size = 1000
    orders = [permute(np.arange(size), size, key) for key in range(50)]
    fixed_points = sum(int((a == b).sum()) for i, a in enumerate(orders) for b in orders[:i])
    pairs = 50 * 49 / 2
    assert 0.9 < fixed_points / pairs < 1.1  # two random permutations agree at one index on average


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 10), st.integers(1, 400)), min_size=1, max_size=6))
def test_counts_are_those_of_the_rows_in_order(sources: list[tuple[float, int]]) -> None:
    mix = mixture(*sources)
    places = 3000
    source, epoch, row = mix.sample(np.arange(places))
    used: Counter[int] = Counter()
    seen: dict[tuple[int, int], set[int]] = {}
    for s, e, r in zip(source.tolist(), epoch.tolist(), row.tolist(), strict=True):
        assert e == used[s] // sources[s][1]
        assert 0 <= r < sources[s][1]
        assert r not in seen.setdefault((s, e), set()), "a row came twice in an epoch"
        seen[s, e].add(r)
        used[s] += 1
    assert mix.counts(places).tolist() == [used[s] for s in range(len(sources))]


def test_any_stretch_of_the_order_is_mixed_by_weight() -> None:
    mix = mixture((0.6, 100), (0.3, 100), (0.1, 100))
    source, _, _ = mix.sample(np.arange(2 * SLOTS))
    for s, share in enumerate((0.6, 0.3, 0.1)):
        ahead = np.cumsum(source == s) - share * np.arange(1, 2 * SLOTS + 1)
        assert abs(ahead).max() < 2


def test_places_can_be_asked_in_any_order_and_any_cycle() -> None:
    mix = mixture((0.5, 37), (0.2, 11), (0.3, 64))
    places = np.arange(SLOTS - 50, SLOTS + 50)
    shuffled = np.random.default_rng(0).permutation(places)
    whole, parts = mix.sample(places), mix.sample(shuffled)
    for a, b in zip(whole, parts, strict=True):
        assert (a[shuffled - places[0]] == b).all()
    assert (mix.counts(SLOTS) == mix.shares(0) * SLOTS).all()
    assert (mix.counts(SLOTS + 50) - mix.counts(SLOTS - 50)).tolist() == np.bincount(whole[0], minlength=3).tolist()


def test_slots_follow_the_largest_remainder() -> None:
    assert Cycle((1, 1, 1)).slots.tolist() == [21846, 21845, 21845]
    assert Cycle((0.8, 0.2)).slots.tolist() == [52429, 13107]


def test_another_seed_or_epoch_is_another_order_and_another_source_is_not() -> None:
    rows = mixture((1, 50)).sample(np.arange(100))[2]
    assert (rows[:50] != rows[50:]).any()
    assert (rows != mixture((1, 50), seed=8).sample(np.arange(100))[2]).any()
    source, _, row = mixture((1, 50), (1, 30)).sample(np.arange(200))
    assert (row[source == 0] == rows).all()


def test_a_plan_of_too_many_epochs_is_refused_with_its_figures() -> None:
    mix = mixture((1, 100), (1, 1000), max_epochs=4)
    mix.check(800)
    with pytest.raises(UserError, match=r"source s0: the plan needs 5\.2 epochs of its 100 rows, max_epochs = 4"):
        mix.check(1040)


def test_a_weight_that_rounds_to_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="source s1: weight"):
        mixture((1, 10), (1e-6, 10)).check(1)
