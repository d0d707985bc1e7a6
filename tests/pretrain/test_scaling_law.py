"""Scaling laws: planted ones are recovered, intervals hold them, and too small a grid is one line."""

import math

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize

from pretrain.scaling_law import FLOPS, Law, _Problem, fit, without_largest
from shards.errors import UserError

PLANTED = Law(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)  # Hoffmann et al., 2022, equation 10
SMALL = Law(E=1.2, A=30.0, B=900.0, alpha=0.35, beta=0.45)


def grid(law: Law, noise: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sizes, tokens = np.meshgrid(np.geomspace(3e5, 3e8, 5), np.geomspace(3e6, 3e9, 5))
    N, D = sizes.ravel(), tokens.ravel()
    return N, D, law.loss(N, D) * np.exp(np.random.default_rng(seed).normal(0, noise, len(N)))


@pytest.mark.parametrize("law", [PLANTED, SMALL])
def test_a_planted_law_is_recovered_to_two_percent(law: Law) -> None:
    found = fit(*grid(law), draws=2).law
    for name in ("E", "A", "B", "alpha", "beta"):
        assert getattr(found, name) == pytest.approx(getattr(law, name), rel=0.02), name


def test_a_noisy_law_predicts_to_two_percent_and_its_interval_holds_the_truth() -> None:
    found = fit(*grid(SMALL, noise=0.003))
    assert float(found.law.loss(1e9, 2e10)) == pytest.approx(float(SMALL.loss(1e9, 2e10)), rel=0.02)
    low, high = found.interval(lambda law: float(law.loss(1e9, 2e10)))
    assert low < float(SMALL.loss(1e9, 2e10)) < high
    assert found.residual == pytest.approx(0.003, rel=0.5)


def test_the_largest_training_is_predicted_by_the_others_within_its_interval() -> None:
    inside = 0
    for seed in range(8):
        N, D, loss = grid(SMALL, noise=0.004, seed=seed)
        largest, found = without_largest(N, D, loss, draws=40)
        assert N[largest] * D[largest] == max(N * D)
        at = N[largest], D[largest]
        low, high = found.interval(lambda law, at=at: float(law.loss(*at)), noise=True)
        inside += low < loss[largest] < high
    assert inside >= 7


def test_the_best_size_is_that_of_the_least_loss() -> None:
    flops = 1e18
    N, D = PLANTED.best_size(flops)
    assert pytest.approx(flops) == FLOPS * N * D
    plain = minimize(lambda x: float(PLANTED.loss(math.exp(x[0]), flops / 6 / math.exp(x[0]))), [18.0])
    assert pytest.approx(N, rel=1e-2) == math.exp(plain.x[0])


def test_the_derivatives_are_those_of_differences() -> None:
    problem = _Problem(*grid(SMALL, noise=0.1))
    at = np.array([0.1, 3.0, 6.0, 0.3, 0.4])
    for k in range(5):
        error = check_grad(lambda p, k=k: problem.residuals(p)[k], lambda p, k=k: problem.jacobian(p)[k], at)
        assert error < 1e-5


def test_a_grid_too_small_is_one_line() -> None:
    N, D, loss = grid(SMALL)
    with pytest.raises(UserError, match="4 trainings of 4 sizes and 1 numbers of tokens, which is too small to fit"):
        fit(N[:4], D[:4], loss[:4])
