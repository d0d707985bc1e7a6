from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.config import TrainConfig, load_config
from pretrain.order.blend import blend, continued, unimax
from pretrain.order.mixture import Phase
from shards.errors import UserError

ROWS = [900, 100]


@pytest.fixture
def config(train_file: Callable[..., Path]) -> Callable[..., TrainConfig]:
    """Settings of 1,000 rows of 64 tokens, 4 a step."""

    def make(
        stages: list[dict[str, object]] | None = None, weights: tuple[float, ...] = (3, 1), **mixture: object
    ) -> TrainConfig:
        sources = {name: {"tokens": "t", "weight": float(w)} for name, w in zip(("web", "books"), weights, strict=True)}
        return load_config(train_file(steps=250, source=sources, mixture={**mixture, "stage": stages or []}), {})

    return make


def test_policies_follow_from_the_table_or_from_sizes(config: Callable[..., TrainConfig]) -> None:
    assert blend(config(), ROWS) == (Phase(0, (0.75, 0.25)),)
    (by_size,) = blend(config(weights=(1, 1), policy="proportional"), ROWS)
    assert by_size.weights == (0.9, 0.1)
    (even,) = blend(config(weights=(1, 1), policy="temperature", temperature=2.0), ROWS)
    assert even.weights == pytest.approx((0.75, 0.25))  # √900 : √100
    (capped,) = blend(config(weights=(1, 1), policy="unimax"), ROWS)
    assert capped.weights == pytest.approx((0.6, 0.4))  # books have 4 epochs of 100 rows
    with pytest.raises(UserError, match=r'source web: has a weight, and mixture.policy = "unimax" follows from sizes'):
        blend(config(policy="unimax"), ROWS)


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.floats(0.5, 20)), min_size=1, max_size=8),
    st.integers(1, 20_000),
)
def test_unimax_is_as_even_as_the_plain_way_of_pouring_until_a_source_is_full(
    sources: list[tuple[int, float]], num_places: int
) -> None:
    rows, epochs = zip(*sources, strict=True)
    most = np.array(rows) * np.array(epochs)
    low, high = 0.0, float(num_places)
    for _ in range(200):  # the level at which all sources together hold the budget
        level = (low + high) / 2
        low, high = (level, high) if np.minimum(most, level).sum() < num_places else (low, level)
    assert unimax(rows, epochs, num_places) == pytest.approx(np.minimum(most, high), rel=1e-6)


def test_stages_change_weights_at_once_or_along_a_line(config: Callable[..., TrainConfig]) -> None:
    stages: list[dict[str, object]] = [
        {"from_tokens": 100 * 64, "weights": {"books": 1}},
        {"from_tokens": 200 * 64, "to_tokens": 840 * 64, "weights": {"web": 1, "books": 1}, "change": "linear"},
    ]
    phases = blend(config(stages), ROWS)
    assert phases[:2] == (Phase(0, (0.75, 0.25)), Phase(100, (0, 1)))
    assert phases[-1] == Phase(840, (0.5, 0.5))
    line = phases[2:-1]
    assert [phase.first for phase in line] == list(range(200, 840, 20))
    for phase in line:
        assert phase.weights[0] == pytest.approx(0.5 * (phase.first + 10 - 200) / 640)
        assert sum(phase.weights) == pytest.approx(1)
    assert all(phase.first % 4 == 0 for phase in phases)


def test_a_stage_from_the_beginning_stands_in_place_of_the_table(config: Callable[..., TrainConfig]) -> None:
    assert blend(config([{"from_tokens": 0, "weights": {"books": 2}}]), ROWS) == (Phase(0, (0, 1)),)


def stage(**changes: object) -> dict[str, object]:
    return {"from_tokens": 0, "weights": {"web": 1}} | changes


@pytest.mark.parametrize(
    ("stages", "weights", "message"),
    [
        ([stage(weights={"bokks": 1})], (1, 1), r"stage\.0: weight of the unknown source bokks; known are web, books"),
        ([stage(weights={"web": 0})], (1, 1), r"stage\.0: weights are all zero"),
        ([], (0, 0), "the weights of all sources: weights are all zero"),
        ([], (float("nan"), 1), r"source\.web\.weight: .*found nan"),
        ([stage(weights={"web": float("nan")})], (1, 1), r"mixture\.stage\.0\.weights\.web: .*found nan"),
        ([], (-1, 1), r"source\.web\.weight"),
        ([stage(from_tokens=64_000)], (1, 1), r"stage\.0: begins after the last step"),
        ([stage(from_tokens=6400)] * 2, (1, 1), r"stage\.1: begins before the one before it is"),
        ([stage(to_tokens=9)], (1, 1), r"stage\.0: to_tokens is the end of a linear change"),
        ([stage(from_tokens=9, change="linear")], (1, 1), r"stage\.0: a linear change needs to_tokens above"),
    ],
)
def test_what_makes_no_mixture_is_refused_in_one_line(
    config: Callable[..., TrainConfig], stages: list[dict[str, object]], weights: tuple[float, float], message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        blend(config(stages, weights), ROWS)
    assert "\n" not in str(error.value)


def test_a_continued_order_keeps_what_was_consumed() -> None:
    old = ((0, {"a": 1.0}), (40, {"a": 0.5, "b": 0.5}), (80, {"a": 0.1, "b": 0.9}))
    names = ["a", "b", "c"]
    new = (Phase(0, (0.2, 0.2, 0.6)), Phase(90, (0, 0, 1)))
    consumed = (Phase(0, (1, 0, 0)), Phase(40, (0.5, 0.5, 0)))
    assert continued(old, new, names, 60) == (*consumed, Phase(60, (0.2, 0.2, 0.6)), Phase(90, (0, 0, 1)))
    assert continued(old, new, names, 40) == (Phase(0, (1, 0, 0)), Phase(40, (0.2, 0.2, 0.6)), Phase(90, (0, 0, 1)))
    assert continued(old, new, names, 95)[-1] == Phase(95, (0, 0, 1))
    same = (Phase(0, (0.5, 0.5, 0)),)
    assert continued(old, same, names, 60) == consumed, "weights that stay go on in their cycle"
