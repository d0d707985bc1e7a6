"""AdamW and its learning rate.

    lr  ▲   ______________             wsd: warm up, stay, decay linearly over the last `decay_fraction`
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
    """Of the update that ends `step` = 1 … num_steps; the last one's is min_lr_fraction of the peak."""
    if step < config.warmup_steps:
        return config.lr * step / config.warmup_steps
    if config.schedule == "cosine":
        begin = min(config.warmup_steps, num_steps - 1)
        shape = 0.5 * (1 + math.cos(math.pi * (step - begin) / (num_steps - begin)))
    else:
        begin = num_steps - max(1, round(num_steps * config.decay_fraction))
        shape = 1 - max(0, step - begin) / (num_steps - begin)
    return config.lr * (config.min_lr_fraction + (1 - config.min_lr_fraction) * shape)
