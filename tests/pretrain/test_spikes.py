import math
from random import Random

import pytest

from pretrain.config import SpikesConfig
from pretrain.spikes import Limits, Spikes, fresh_steps

CONFIG = SpikesConfig(window=64)


def watched(num_steps: int, level: float = 3.0, spikes: Spikes | None = None, first: int = 1) -> Spikes:
    """The watch after steps of losses around a level and gradient norms around 0.5."""
    spikes, random = spikes or Spikes(CONFIG), Random(first)
    for step in range(first, first + num_steps):
        assert spikes.observe(step, random.gauss(level, 0.05), 0.5 * math.exp(random.gauss(0, 0.3))) is None
    return spikes


def test_what_stands_far_above_the_steps_before_is_a_spike() -> None:
    spikes = watched(200)
    limits = spikes.limits(201)
    assert limits.loss == pytest.approx(3.3, abs=0.1)
    assert 3.0 < limits.grad_norm < 9.0
    assert spikes.observe(201, limits.loss, limits.grad_norm) is None
    assert "the loss is 3.8, its limit 3." in str(spikes.observe(202, 3.8, 0.5))
    assert "the gradient norm is 20, its limit " in str(spikes.observe(203, 3.0, 20.0))
    assert spikes.observe(204, 0.1, 1e-9) is None  # falling is no spike


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 0.5), (math.inf, 0.5), (3.0, math.nan), (3.0, math.inf)])
def test_what_is_not_finite_is_a_spike_from_the_first_step_on(loss: float, norm: float) -> None:
    spike = Spikes(CONFIG).observe(1, loss, norm)
    assert spike is not None
    assert not spike.is_finite
    assert str(spike) == f"the {'loss' if loss != 3.0 else 'gradient norm'} is {norm if loss == 3.0 else loss:.4g}"


def test_the_first_quarter_of_a_window_has_no_limits() -> None:
    assert watched(16).limits(17) == Limits()  # step 16 is read too late for step 17
    assert watched(17).limits(18) != Limits()


def test_spikes_do_not_raise_the_limits() -> None:
    spikes = watched(200)
    before = spikes.limits(201)
    for step in range(201, 300):
        assert spikes.observe(step, 30.0, 0.5) is not None
    assert spikes.limits(300).loss == pytest.approx(before.loss, abs=0.05)


def test_a_resumed_watch_has_the_limits_of_one_that_was_not() -> None:
    whole = watched(150)
    half = watched(100)
    resumed = watched(50, spikes=Spikes(CONFIG, half.recent), first=101)
    again = watched(50, spikes=half, first=101)
    assert resumed.limits(151) == again.limits(151) != whole.limits(151)
    assert resumed.recent == again.recent
    assert len(resumed.recent) == CONFIG.window + 2


def test_limits_of_a_step_do_not_depend_on_when_the_one_before_was_read() -> None:
    spikes = watched(100)
    early = spikes.limits(102)  # when step 101 is not read yet
    watched(1, spikes=spikes, first=101)
    assert spikes.limits(102) == early


def test_losses_of_another_mixture_are_compared_with_their_own() -> None:
    phases = [(0, {"web": 0.9, "code": 0.1}), (100, {"web": 0.88, "code": 0.12}), (200, {"web": 0.2, "code": 0.8})]
    assert fresh_steps(phases) == [201]
    spikes = Spikes(CONFIG, watched(200).recent, fresh_steps(phases))
    assert spikes.limits(200) != Limits()
    assert spikes.limits(201) == Limits()
    watched(100, level=5.0, spikes=spikes, first=201)
    assert spikes.limits(301).loss == pytest.approx(5.3, abs=0.1)
