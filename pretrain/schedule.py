"""The learning rate of each step.

    lr  ▲   ______________             wsd: warm up, stay, decay linearly in the last `decay_fraction` of the steps
        │  /  ` .         \\            cosine: warm up, then half a cosine down to min_lr_fraction
        │ /        ` .     \\
        └──────────────────────▶ step
"""

import math

from pretrain.config import OptimizerConfig


def plateau_end(num_steps: int, config: OptimizerConfig) -> int:
    """The last step of "wsd" before the learning rate falls."""
    return num_steps - max(1, round(num_steps * config.decay_fraction))


def learning_rate(step: int, num_steps: int, config: OptimizerConfig) -> float:
    """The learning rate of `step` = 1 … num_steps; in the last step it is `min_lr_fraction` of the peak."""
    if step < config.warmup_steps:
        return config.lr * step / config.warmup_steps
    if config.schedule == "cosine":
        decay_start = min(config.warmup_steps, num_steps - 1)
        decay = 0.5 * (1 + math.cos(math.pi * (step - decay_start) / (num_steps - decay_start)))
    else:
        decay_start = plateau_end(num_steps, config)
        decay = 1 - max(0, step - decay_start) / (num_steps - decay_start)
    return config.lr * (config.min_lr_fraction + (1 - config.min_lr_fraction) * decay)
