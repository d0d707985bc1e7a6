"""The learning rate of each step."""

import pytest

from pretrain.config import OptimizerConfig
from pretrain.schedule import learning_rate


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
