"""The learning rate of each step, as a pure function; all schedules begin with a linear warm-up.

constant   ▁▃▅▇██████████████████████████
wsd        ▁▃▅▇██████████████████▇▆▅▅▄▃▂▁     decays linearly in the last `decay_fraction` of the steps
cosine     ▁▃▅▇██████▇▇▇▆▆▅▅▄▄▃▃▂▂▂▁▁▁▁▁▁     half a cosine down to `min_lr_fraction`
"""

import math

from pretrain.config import OptimizerConfig

_BARS = "▁▂▃▄▅▆▇█"


def plateau_end(num_steps: int, config: OptimizerConfig) -> int:
    """The last step of "wsd" before the learning rate falls."""
    return num_steps - max(1, round(num_steps * config.decay_fraction))


def learning_rate(step: int, num_steps: int, config: OptimizerConfig) -> float:
    """The learning rate of `step` = 1 … num_steps.

    In the last step it is `min_lr_fraction` of the peak, or the peak where it is constant.
    """
    if step < config.warmup_steps:
        return config.lr * step / config.warmup_steps
    return config.lr * (config.min_lr_fraction + (1 - config.min_lr_fraction) * _decay(step, num_steps, config))


def _decay(step: int, num_steps: int, config: OptimizerConfig) -> float:
    """What is left after the warm-up, from 1 to 0."""
    match config.schedule:
        case "constant":
            return 1.0
        case "wsd":
            start = plateau_end(num_steps, config)
            return 1 - max(0, step - start) / (num_steps - start)
        case "cosine":
            start = min(config.warmup_steps, num_steps - 1)
            return 0.5 * (1 + math.cos(math.pi * (step - start) / (num_steps - start)))


def picture(num_steps: int, config: OptimizerConfig, width: int = 30) -> str:
    """The schedule as a row of `width` bars, each the rate of the step in its middle; the highest is `lr`."""
    steps = (1 + int((column + 0.5) * num_steps / width) for column in range(width))
    shares = (learning_rate(min(step, num_steps), num_steps, config) / config.lr for step in steps)
    return "".join(_BARS[round(share * (len(_BARS) - 1))] for share in shares)
