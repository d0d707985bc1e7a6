"""AdamW and its learning rate.

    lr  ▲   ______________             wsd: warm up, stay, decay linearly in the last `decay_fraction` of the steps
        │  /  ` .         \\            cosine: warm up, then half a cosine down to min_lr_fraction
        │ /        ` .     \\
        └──────────────────────▶ step
"""

import math

import torch
from torch import nn

from pretrain.config import OptimizerConfig


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices and none on norms."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, config.lr, (config.beta1, config.beta2), config.epsilon, fused=True)


def learning_rate(step: int, num_steps: int, config: OptimizerConfig) -> float:
    """The learning rate of `step` = 1 … num_steps; in the last step it is `min_lr_fraction` of the peak."""
    if step < config.warmup_steps:
        return config.lr * step / config.warmup_steps
    if config.schedule == "cosine":
        decay_start = min(config.warmup_steps, num_steps - 1)
        decay = 0.5 * (1 + math.cos(math.pi * (step - decay_start) / (num_steps - decay_start)))
    else:
        decay_start = num_steps - max(1, round(num_steps * config.decay_fraction))
        decay = 1 - max(0, step - decay_start) / (num_steps - decay_start)
    return config.lr * (config.min_lr_fraction + (1 - config.min_lr_fraction) * decay)
