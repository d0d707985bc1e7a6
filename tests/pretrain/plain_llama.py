"""Llama (Qwen3 with qk_norm) of one document, written out by heads and positions from its published formulas.

It has the logits of `transformers` 5.24 with the same weights: `python -m benchmarks.train_cpu` compares them.
"""

import math

import torch
from torch import Tensor

from pretrain.config import ModelConfig


def plain_logits(weights: dict[str, Tensor], config: ModelConfig, ids: Tensor) -> Tensor:
    """[T, V] for int64[T] ids of one document."""
    x = weights["embed_tokens.weight"][ids]
    for number in range(config.num_layers):
        layer = {
            name.removeprefix(f"layers.{number}."): value
            for name, value in weights.items()
            if name.startswith(f"layers.{number}.")
        }
        x = x + _attention(layer, config, _norm(x, layer["input_layernorm.weight"], config))
        h = _norm(x, layer["post_attention_layernorm.weight"], config)
        gate, up = h @ layer["mlp.gate_proj.weight"].T, h @ layer["mlp.up_proj.weight"].T
        x = x + (gate * torch.sigmoid(gate) * up) @ layer["mlp.down_proj.weight"].T
    head = weights["embed_tokens.weight" if config.tied_embeddings else "lm_head.weight"]
    return _norm(x, weights["norm.weight"], config) @ head.T


def _attention(layer: dict[str, Tensor], config: ModelConfig, x: Tensor) -> Tensor:
    T, D = len(x), config.width // config.num_heads
    outputs = []
    for head in range(config.num_heads):
        of_group = head * config.num_kv_heads // config.num_heads
        q = x @ layer["self_attn.q_proj.weight"][head * D : (head + 1) * D].T
        k, v = (x @ layer[f"self_attn.{n}_proj.weight"][of_group * D : (of_group + 1) * D].T for n in "kv")
        if config.qk_norm:
            q = _norm(q, layer["self_attn.q_norm.weight"], config)
            k = _norm(k, layer["self_attn.k_norm.weight"], config)
        if config.positions == "rope":
            q, k = _rotated(q, config), _rotated(k, config)
        out = torch.empty_like(q)
        for t in range(T):
            scores = k[: t + 1] @ q[t] / math.sqrt(D)
            if config.positions == "alibi":
                scores = scores - 2 ** (-8 * (head + 1) / config.num_heads) * (t - torch.arange(t + 1))
            out[t] = scores.softmax(0) @ v[: t + 1]
        outputs.append(out)
    return torch.cat(outputs, dim=1) @ layer["self_attn.o_proj.weight"].T


def _norm(x: Tensor, weight: Tensor, config: ModelConfig) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + config.norm_epsilon).sqrt() * weight


def _rotated(x: Tensor, config: ModelConfig) -> Tensor:
    """Each pair (i, i + D / 2) turned by position · theta^(-2 i / D), as one complex number."""
    T, D = x.shape
    turn = torch.arange(T)[:, None] * config.rope_theta ** -(torch.arange(0, D, 2, dtype=torch.float64) / D)
    turned = torch.complex(x[:, : D // 2], x[:, D // 2 :]) * torch.polar(torch.ones_like(turn), turn)
    return torch.cat((turned.real, turned.imag), dim=1)
