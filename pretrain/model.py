"""A Llama-shaped decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU; no biases.

Module names and the rotary layout are those of Llama in `transformers`, so weights carry over one to one. The loss
is computed inside of `Model.forward`, where it applies the output matrix in chunks and never holds all logits at once
(`pretrain.loss`). So whatever wraps the model, such as DDP or FSDP2, has all of its parameters at hand.

Shapes: B rows, T positions, C model width, H query heads, K key-value heads, D width of a head, V vocabulary.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pretrain.attention import Documents
from pretrain.config import ModelConfig
from pretrain.loss import Losses, losses

_INIT_STD = 0.02


class Model(nn.Module):
    def __init__(self, config: ModelConfig, vocab_size: int, z_loss: float = 0.0) -> None:
        super().__init__()
        self.config, self.z_loss = config, z_loss
        self.embed_tokens = nn.Embedding(vocab_size, config.width)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.width, config.norm_epsilon)
        self.lm_head = None if config.tied_embeddings else nn.Linear(config.width, vocab_size, bias=False)
        self._initialise()

    def forward(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor,
        documents: Documents,
        labels_BT: Tensor,
        scale: Tensor | float = 1.0,
    ) -> Losses:
        """The losses of int[B, T] labels; their sum times `scale` is what to call backward on."""
        hidden_BTC = self.hidden(tokens_BT, positions_BT, documents)
        return losses(hidden_BTC, self.head_VC, labels_BT, scale, z_loss=self.z_loss)

    def hidden(self, tokens_BT: Tensor, positions_BT: Tensor, documents: Documents) -> Tensor:
        """Hidden states [B, T, C]; their product with `head_VC` is the logits."""
        rotation = rotations(positions_BT, self.config.width // self.config.num_heads, self.config.rope_theta)
        x_BTC = self.embed_tokens(tokens_BT)
        for layer in self.layers:
            x_BTC = layer(x_BTC, rotation, documents)
        out: Tensor = self.norm(x_BTC)
        return out

    @property
    def head_VC(self) -> Tensor:
        """The output matrix."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def training_flops(self, num_tokens: int, sum_squared_lengths: int) -> int:
        """Floating-point operations of a forward and backward pass (PaLM, appendix B, with causal attention halved).

        They are 6 for each multiplying weight and each token, and 6 C in each layer for each pair of positions in a
        segment.
        """
        multiplying = self.num_parameters() - (self.embed_tokens.weight.numel() if self.lm_head is not None else 0)
        attention = 6 * self.config.num_layers * self.config.width * sum_squared_lengths
        return 6 * multiplying * num_tokens + attention

    def _initialise(self) -> None:
        # Outputs that are added to the residual stream start smaller, so that its variance does not grow with depth.
        residual_std = _INIT_STD / math.sqrt(2 * self.config.num_layers)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(
                    parameter, std=residual_std if name.endswith(("o_proj.weight", "down_proj.weight")) else _INIT_STD
                )


class Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.width, config.norm_epsilon)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.width, config.norm_epsilon)
        self.mlp = FeedForward(config)

    def forward(self, x_BTC: Tensor, rotation: tuple[Tensor, Tensor], documents: Documents) -> Tensor:
        x_BTC = x_BTC + self.self_attn(self.input_layernorm(x_BTC), rotation, documents)
        x_BTC = x_BTC + self.mlp(self.post_attention_layernorm(x_BTC))
        return x_BTC


class Attention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_width = config.width // config.num_heads
        kv_width = config.num_kv_heads * self.head_width
        self.q_proj = nn.Linear(config.width, config.width, bias=False)
        self.k_proj = nn.Linear(config.width, kv_width, bias=False)
        self.v_proj = nn.Linear(config.width, kv_width, bias=False)
        self.o_proj = nn.Linear(config.width, config.width, bias=False)
        self.q_norm = nn.RMSNorm(self.head_width, config.norm_epsilon) if config.qk_norm else nn.Identity()
        self.k_norm = nn.RMSNorm(self.head_width, config.norm_epsilon) if config.qk_norm else nn.Identity()

    def forward(self, x_BTC: Tensor, rotation: tuple[Tensor, Tensor], documents: Documents) -> Tensor:
        q, k, v = (proj(x_BTC).unflatten(-1, (-1, self.head_width)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotate(self.q_norm(q), rotation), rotate(self.k_norm(k), rotation)
        out: Tensor = self.o_proj(documents.attend(q.type_as(v), k.type_as(v), v).flatten(2))
        return out


class FeedForward(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.feed_forward_width, bias=False)
        self.up_proj = nn.Linear(config.width, config.feed_forward_width, bias=False)
        self.down_proj = nn.Linear(config.feed_forward_width, config.width, bias=False)

    def forward(self, x_BTC: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x_BTC)) * self.up_proj(x_BTC))
        return out


def rotations(positions_BT: Tensor, head_width: int, theta: float) -> tuple[Tensor, Tensor]:
    """(cos, sin), each float32[B, T, 1, D / 2], of position · theta^(-2i / D) for i = 0 … D / 2 - 1."""
    exponents = torch.arange(0, head_width, 2, device=positions_BT.device) / head_width
    angles = positions_BT[:, :, None, None] * theta**-exponents
    return angles.cos(), angles.sin()


def rotate(x_BTHD: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary embedding (Su et al., 2021) of the pairs (i, i + D / 2), as Llama's published weights have them."""
    cos, sin = rotation
    a, b = x_BTHD.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
