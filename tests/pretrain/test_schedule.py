"""The learning rate of each step."""

import pytest

from pretrain.config import OptimizerConfig
from pretrain.schedule import learning_rate, picture


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_learning_rate_warms_up_and_ends_at_its_minimum(schedule: str) -> None:
    config = OptimizerConfig(lr=1.0, min_lr_fraction=0.1, warmup_steps=10, schedule=schedule, decay_fraction=0.25)
    rates = [learning_rate(step, 100, config) for step in range(1, 101)]
    assert rates[0] == 0.1
    assert rates[9] == max(rates) == 1
    assert rates[-1] == pytest.approx(0.1)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[74] == (1 if schedule == "wsd" else pytest.approx(0.1 + 0.9 * 0.1786, abs=1e-3))


@pytest.mark.parametrize("warmup_steps", [0, 1, 5])
def test_learning_rate_of_very_short_runs_is_finite(warmup_steps: int) -> None:
    config = OptimizerConfig(lr=1.0, warmup_steps=warmup_steps)
    for num_steps in (1, 2, 5):
        assert all(0 < learning_rate(step, num_steps, config) <= 1 for step in range(1, num_steps + 1))


def test_a_constant_rate_stays_after_the_warm_up() -> None:
    config = OptimizerConfig(lr=1.0, warmup_steps=10, schedule="constant")
    assert [learning_rate(step, 20, config) for step in (5, 10, 15, 20)] == [0.5, 1, 1, 1]


@pytest.mark.parametrize(
    ("schedule", "bars"), [("constant", "▃▇████████"), ("wsd", "▃▇█████▇▅▃"), ("cosine", "▃▇█▇▆▅▄▃▂▂")]
)
def test_the_picture_is_that_of_the_rates(schedule: str, bars: str) -> None:
    config = OptimizerConfig(lr=3e-4, warmup_steps=20, schedule=schedule, decay_fraction=0.3, min_lr_fraction=0.1)
    assert picture(100, config, width=10) == bars
    assert len(picture(1, config)) == 30
