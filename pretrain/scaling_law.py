"""The law of loss by size and data, fitted to a grid of small trainings: pure functions.

    L(N, D) = E + A / N^α + B / D^β            nats or bits; N parameters of the layers, D tokens

Fitted as approach 3 of Hoffmann et al., "Training Compute-Optimal Large Language Models", 2022: the Huber loss, of
δ = 1e-3, of ln L, from a grid of beginnings, with E, A and B as exponentials so that they stay positive. Intervals are
those of a bootstrap of the residuals. Of C = 6 N D operations, the loss is least where

    N = G (C / 6)^a,   D = (C / 6) / N,   a = β / (α + β),   G = (α A / β B)^(1 / (α + β))
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, least_squares, nnls

from shards.errors import UserError

MIN_RUNS, MIN_VALUES = 6, 3  # of a grid: five numbers are fitted, and each exponent needs sizes to bend between
FLOPS = 6  # operations a parameter and token (Kaplan et al., "Scaling Laws for Neural Language Models", 2020)
_DELTA = 1e-3  # of the Huber loss of ln L (Hoffmann et al., 2022, section D.2)
_EXPONENTS = np.linspace(0.1, 1.2, 9)  # of the beginnings; for each pair of them E, A and B follow by least squares
_BEGINNINGS = 3  # the best of these that are gone on with
_DRAWS = 100
_LIMITS = ([-10.0, -10.0, -10.0, 0.01, 0.01], [10.0, 40.0, 40.0, 3.0, 3.0])


@dataclass(frozen=True)
class Law:
    """L(N, D) = E + A / N^α + B / D^β."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def loss(self, N: np.ndarray | float, D: np.ndarray | float) -> np.ndarray:
        """The loss of N parameters after D tokens."""
        return np.asarray(self.E + self.A / np.power(N, self.alpha) + self.B / np.power(D, self.beta))

    def best_size(self, flops: float) -> tuple[float, float]:
        """(N, D) of the least loss for so many operations."""
        share = self.beta / (self.alpha + self.beta)
        scale = (self.alpha * self.A / (self.beta * self.B)) ** (1 / (self.alpha + self.beta))
        N = scale * (flops / FLOPS) ** share
        return N, flops / FLOPS / N


@dataclass(frozen=True)
class Fit:
    """A law, and those that other draws of the same trainings give."""

    law: Law
    draws: tuple[Law, ...]
    residual: float  # root mean square of ln L

    def interval(self, value: Callable[[Law], float], *, noise: bool = False) -> tuple[float, float]:
        """The 95 % interval of something that follows from the law; with `noise`, of one more training."""
        values = np.array([value(law) for law in self.draws])
        if noise:
            random = np.random.default_rng(0)
            values = np.repeat(values, 20)
            values = values * np.exp(random.normal(0, self.residual, len(values)))
        low, high = np.percentile(values, [2.5, 97.5])
        return float(low), float(high)


def fit(N: np.ndarray, D: np.ndarray, loss: np.ndarray, *, draws: int = _DRAWS) -> Fit:
    """The law of trainings with N parameters, D tokens and a loss, each float64[trainings].

    UserError for a grid that is too small to fit five numbers.
    """
    N, D, loss = (np.asarray(values, float) for values in (N, D, loss))
    require_grid(N, D)
    solved = (_solve(N, D, loss, begin) for begin in _beginnings(N, D, loss))
    law = _law(min(solved, key=lambda result: float(result.cost)).x)
    residual = np.log(loss) - np.log(law.loss(N, D))
    # Residuals are drawn, not trainings: a draw without the only large ones would leave an exponent open. Five numbers
    # were fitted, so the residuals are too small by that.
    spread = residual * np.sqrt(len(N) / max(1, len(N) - 5))
    random, laws = np.random.default_rng(0), []
    begin = _parameters(law)
    for _ in range(draws):
        drawn = law.loss(N, D) * np.exp(random.choice(spread, len(N)))
        laws.append(_law(_solve(N, D, drawn, begin).x))
    return Fit(law, tuple(laws), float(np.sqrt(np.mean(spread**2))))


def without_largest(N: np.ndarray, D: np.ndarray, loss: np.ndarray, *, draws: int = _DRAWS) -> tuple[int, Fit]:
    """(the training of most operations, the law of the others), to compare its loss with what they predict."""
    largest = int(np.argmax(np.asarray(N, float) * np.asarray(D, float)))
    others = np.arange(len(N)) != largest
    return largest, fit(np.asarray(N)[others], np.asarray(D)[others], np.asarray(loss)[others], draws=draws)


def require_grid(N: np.ndarray, D: np.ndarray) -> None:
    """UserError for a grid that is too small to fit."""
    sizes, lengths = len(np.unique(N)), len(np.unique(D))
    if len(N) < MIN_RUNS or sizes < MIN_VALUES or lengths < MIN_VALUES:
        raise UserError(
            f"the grid has {len(N)} trainings of {sizes} sizes and {lengths} numbers of tokens, which is too small to "
            f"fit five numbers; train {MIN_RUNS} or more, of {MIN_VALUES} sizes and {MIN_VALUES} numbers of tokens"
        )


def _beginnings(N: np.ndarray, D: np.ndarray, loss: np.ndarray) -> list[np.ndarray]:
    """The parameters of the best laws by non-negative least squares of loss / L, over a grid of exponents."""
    found = []
    for alpha, beta in itertools.product(_EXPONENTS, _EXPONENTS):
        terms = np.stack([np.ones(len(N)), N**-alpha, D**-beta], axis=1)
        factors, error = nnls(terms / loss[:, None], np.ones(len(N)))
        least = 1e-3 * loss.min() / terms.max(axis=0)  # a logarithm needs more than zero
        found.append((error, np.array([*np.log(np.maximum(factors, least)), alpha, beta])))
    return [parameters for _, parameters in sorted(found, key=lambda one: float(one[0]))[:_BEGINNINGS]]


def _law(parameters: np.ndarray) -> Law:
    e, a, b, alpha, beta = parameters.tolist()
    return Law(float(np.exp(e)), float(np.exp(a)), float(np.exp(b)), alpha, beta)


def _parameters(law: Law) -> np.ndarray:
    return np.array([np.log(law.E), np.log(law.A), np.log(law.B), law.alpha, law.beta])


class _Problem:
    """Residuals of ln L and their derivatives by (ln E, ln A, ln B, α, β)."""

    def __init__(self, N: np.ndarray, D: np.ndarray, loss: np.ndarray) -> None:
        self._log_N, self._log_D, self._log_loss = np.log(N), np.log(D), np.log(loss)

    def _terms(self, p: np.ndarray) -> np.ndarray:
        return np.exp([np.full_like(self._log_N, p[0]), p[1] - p[3] * self._log_N, p[2] - p[4] * self._log_D])

    def residuals(self, p: np.ndarray) -> np.ndarray:
        result: np.ndarray = np.log(self._terms(p).sum(axis=0)) - self._log_loss
        return result

    def jacobian(self, p: np.ndarray) -> np.ndarray:
        terms = self._terms(p)
        e, a, b = terms / terms.sum(axis=0)
        return np.stack([e, a, b, -a * self._log_N, -b * self._log_D], axis=1)


def _solve(N: np.ndarray, D: np.ndarray, loss: np.ndarray, begin: np.ndarray) -> OptimizeResult:
    problem = _Problem(N, D, loss)
    inside = np.clip(begin, np.array(_LIMITS[0]) + 1e-6, np.array(_LIMITS[1]) - 1e-6)
    return least_squares(
        problem.residuals,
        inside,
        problem.jacobian,
        bounds=_LIMITS,
        loss="huber",
        f_scale=_DELTA,
        max_nfev=300,
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
        x_scale="jac",
    )
