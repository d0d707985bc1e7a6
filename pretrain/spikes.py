"""Spikes: steps whose loss or gradient norm stands far above those before, and what follows of one.

    loss ▲        ×            limit = median + sigma · 1.4826 · MAD   of the last `window` steps
         │ ╌╌╌╌╌╌╌╌╌╌╌╌╌╌      a step above it is not updated by:
         │ ~-~-~-~^ ~-~-~-
         └──────────────▶ step

    stop        the training ends, and a rerun begins before the spike
    skip        the update is not made, and the next step goes on with the weights before
    rollback    back to the newest checkpoint, and the last rows up to the spike are left out from then on

A spike in the window hardly moves median and MAD (1.4826: Rousseeuw and Croux, "Alternatives to the Median Absolute
Deviation", 1993). Going back and leaving out the data around a spike is PaLM's remedy (Chowdhery et al., 2022, section
5.1); the data that it left out made no spike with other weights.

Limits of a step follow from the steps up to the one before the last, whose figures the host has when it launches the
step. So the device itself decides whether to update, and limits are the same for any world and after any restart.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pretrain.config import SpikesConfig

Recent = tuple[tuple[int, float, float], ...]  # step, loss, gradient norm

READ_LATE = 2  # limits of a step are of those that are so many steps before it, or more
MAX_SKIPS = 8  # steps in a row that are skipped: more of them are no spike
_TO_STD = 1.4826  # of a normal distribution: standard deviation / MAD
# A few steps may have nearly equal figures. Smaller deviations than these count as these:
_MIN_LOSS_STD = 0.02  # nats
_MIN_NORM_STD = 0.4  # of the logarithm: norms have a long tail, and a healthy training's go up to three medians
_NEW_MIXTURE = 0.05  # share of the rows whose source is another: losses are compared with those of the new mixture


@dataclass(frozen=True)
class Limits:
    """Figures that a step may have and no more. What is not finite is above any limit."""

    loss: float = sys.float_info.max
    grad_norm: float = sys.float_info.max

    def allow(self, loss: float, grad_norm: float) -> bool:
        return loss <= self.loss and grad_norm <= self.grad_norm  # false for NaN


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Spike:
    """A step that was above its limits."""

    step: int
    loss: float
    grad_norm: float
    limits: Limits

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)

    def __str__(self) -> str:
        if not math.isfinite(self.loss) or self.loss > self.limits.loss:
            return f"the loss is {self.loss:.4g}" + self._limit(self.limits.loss)
        return f"the gradient norm is {self.grad_norm:.4g}" + self._limit(self.limits.grad_norm)

    def _limit(self, limit: float) -> str:
        return f", its limit {limit:.4g}" if limit < sys.float_info.max else ""


class Spikes:
    """The steps of late and the limits that follow from them."""

    def __init__(self, config: SpikesConfig, recent: Recent = (), fresh: Iterable[int] = ()) -> None:
        """`recent` is that of a checkpoint. From the steps `fresh` on the mixture is another."""
        self._config, self._recent, self._fresh = config, list(recent), sorted(fresh)
        self.num_in_row = 0  # spikes since the last step that was none

    @property
    def recent(self) -> Recent:
        """The steps that later limits follow from."""
        return tuple(self._recent)

    def limits(self, step: int) -> Limits:
        """Those of a step; none yet where there are less than a quarter of the window's steps before it."""
        begin = max((fresh for fresh in self._fresh if fresh <= step), default=0)
        figures = [values for at, *values in self._recent if begin <= at <= step - READ_LATE][-self._config.window :]
        if 4 * len(figures) < self._config.window:
            return Limits()
        loss, norm = np.array(figures).T
        with np.errstate(divide="ignore"):
            log_norm = np.log(np.maximum(norm, sys.float_info.min))
        sigma = self._config.sigma
        return Limits(_upper(loss, sigma, _MIN_LOSS_STD), math.exp(min(_upper(log_norm, sigma, _MIN_NORM_STD), 700.0)))

    def observe(self, step: int, loss: float, grad_norm: float, *, is_spike: bool | None = None) -> Spike | None:
        """The spike that a step is; a step that is none is remembered for later limits.

        The device has decided whether it `is_spike`; None: by its limits.
        """
        limits = self.limits(step)
        if is_spike or (is_spike is None and not limits.allow(loss, grad_norm)):
            self.num_in_row += 1
            return Spike(step, loss, grad_norm, limits)
        self.num_in_row = 0
        self._recent.append((step, loss, grad_norm))
        del self._recent[: -self._config.window - READ_LATE]
        return None


def fresh_steps(phases: Sequence[tuple[int, dict[str, float]]]) -> list[int]:
    """The steps, from 1 on, with which a phase of the mixture begins that is much another than the one before.

    `phases` has the step before which each begins, and its weights by source, which sum to 1.
    """
    fresh = []
    for (_, before), (step, after) in pairwise(phases):
        moved = sum(max(0.0, weight - before.get(name, 0.0)) for name, weight in after.items())
        if moved >= _NEW_MIXTURE:
            fresh.append(step + 1)
    return fresh


def _upper(values: np.ndarray, sigma: float, min_std: float) -> float:
    median = float(np.median(values))
    return median + sigma * max(_TO_STD * float(np.median(np.abs(values - median))), min_std)
