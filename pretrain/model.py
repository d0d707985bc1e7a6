"""A Llama-shaped decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU; no biases.

Module names and the rotary layout are those of Llama in `transformers` (of Qwen3 with `qk_norm`), so weights carry over
one to one. The loss is computed inside of `Model.forward`, where it applies the output matrix in chunks and never holds
all logits at once (`pretrain.loss`). So whatever wraps the model, such as DDP or FSDP2, has all of its parameters at
hand.

Initial weights, of L layers:

    embed_tokens, lm_head, q_proj, k_proj, v_proj, gate_proj, up_proj   normal, deviation 0.02
    o_proj, down_proj                                                   normal, deviation 0.02 / √(2 L)
    norms                                                               1

What is added to the residual stream starts smaller, so that its variance does not grow with depth (Radford et al.,
"Language Models are Unsupervised Multitask Learners", 2019, section 2.3).

Shapes: B rows, T positions, C model width, H query heads, K key-value heads, D width of a head, V vocabulary.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
import xxhash
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pretrain.attention import Documents, alibi_slopes
from pretrain.config import ModelConfig
from pretrain.loss import Losses, losses

_INIT_STD = 0.02

Rotation = tuple[Tensor, Tensor]  # cos and sin


class Model(nn.Module):
    """Made on the meta device it has no weights yet: `to_empty` and `initialise` give them where they shall be, so that
    a large model, or its part of a rank, never lies in memory twice. On another device torch's seed draws them."""

    def __init__(self, config: ModelConfig, vocab_size: int, z_loss: float = 0.0) -> None:
        super().__init__()
        self.config, self.z_loss = config, z_loss
        self.recompute_blocks = False  # in the backward pass, from their inputs
        self.embed_tokens = nn.Embedding(vocab_size, config.width)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.width, config.norm_epsilon)
        self.lm_head = None if config.tied_embeddings else nn.Linear(config.width, vocab_size, bias=False)
        if not self.head_VC.is_meta:
            self.initialise(torch.initial_seed())

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
        rotation = None
        if self.config.positions == "rope":
            rotation = rotations(positions_BT, self.config.width_of_heads, self.config.rope_theta)
        x_BTC = self.embed_tokens(tokens_BT)
        if torch.is_autocast_enabled(x_BTC.device.type):  # which leaves embeddings, and so all that is added to them
            x_BTC = x_BTC.to(torch.get_autocast_dtype(x_BTC.device.type))
        for layer in self.layers:
            if self.recompute_blocks:
                x_BTC = checkpoint(
                    layer, x_BTC, rotation, documents, use_reentrant=False, preserve_rng_state=False
                )  # nothing in a block is random
            else:
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

        They are 6 for each multiplying weight and each token, and 6 H D in each layer for each pair of positions in a
        segment.
        """
        multiplying = self.num_parameters() - (self.embed_tokens.weight.numel() if self.lm_head is not None else 0)
        of_heads = self.config.num_heads * self.config.width_of_heads
        attention = 6 * self.config.num_layers * of_heads * sum_squared_lengths
        return 6 * multiplying * num_tokens + attention

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw the initial weights, each parameter's by its number and the seed: the same however they are sharded."""
        residual_std = _INIT_STD / math.sqrt(2 * self.config.num_layers)
        for number, (name, parameter) in enumerate(self.named_parameters()):
            if parameter.ndim == 1:
                parameter.fill_(1)
                continue
            generator = torch.Generator(parameter.device)
            generator.manual_seed(xxhash.xxh3_64_intdigest(number.to_bytes(8, "little"), seed % (1 << 64)))
            std = residual_std if name.endswith(("o_proj.weight", "down_proj.weight")) else _INIT_STD
            whole = torch.empty(parameter.shape, dtype=parameter.dtype, device=parameter.device)
            whole.normal_(std=std, generator=generator)
            parameter.copy_(part_of(whole, parameter))


def part_of(whole: Tensor, like: Any) -> Tensor:
    """This rank's part of a tensor that each rank has."""
    if not hasattr(like, "placements"):
        return whole
    from torch.distributed.tensor import distribute_tensor  # takes half a second to import

    part: Tensor = distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)
    return part


class RMSNorm(nn.RMSNorm):
    """RMSNorm in the dtype of its input. torch has a fused kernel for weights of that dtype only."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.width, config.norm_epsilon)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_epsilon)
        self.mlp = FeedForward(config)

    def forward(self, x_BTC: Tensor, rotation: Rotation | None, documents: Documents) -> Tensor:
        x_BTC = x_BTC + self.self_attn(self.input_layernorm(x_BTC), rotation, documents)
        x_BTC = x_BTC + self.mlp(self.post_attention_layernorm(x_BTC))
        return x_BTC


class Attention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_width = config.width_of_heads
        q_width, kv_width = (heads * self.head_width for heads in (config.num_heads, config.num_kv_heads))
        self.q_proj = nn.Linear(config.width, q_width, bias=False)
        self.k_proj = nn.Linear(config.width, kv_width, bias=False)
        self.v_proj = nn.Linear(config.width, kv_width, bias=False)
        self.o_proj = nn.Linear(q_width, config.width, bias=False)
        self.q_norm = RMSNorm(self.head_width, config.norm_epsilon) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(self.head_width, config.norm_epsilon) if config.qk_norm else nn.Identity()

    def forward(self, x_BTC: Tensor, rotation: Rotation | None, documents: Documents) -> Tensor:
        q, k, v = (proj(x_BTC).unflatten(-1, (-1, self.head_width)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        q, k = self.q_norm(q), self.k_norm(k)
        slopes = None
        if rotation is None:
            slopes = alibi_slopes(q.shape[2])
        else:
            q, k = rotate(q, rotation), rotate(k, rotation)
        out: Tensor = self.o_proj(documents.attend(q.type_as(v), k.type_as(v), v, slopes).flatten(2))
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


def rotations(positions_BT: Tensor, head_width: int, theta: float) -> Rotation:
    """(cos, sin), each float32[B, T, 1, D / 2], of position · theta^(-2i / D) for i = 0 … D / 2 - 1."""
    exponents = torch.arange(0, head_width, 2, device=positions_BT.device) / head_width
    angles = positions_BT[:, :, None, None] * theta**-exponents
    return angles.cos(), angles.sin()


def rotate(x_BTHD: Tensor, rotation: Rotation) -> Tensor:
    """Rotary embedding (Su et al., 2021) of the pairs (i, i + D / 2), as Llama's published weights have them."""
    cos, sin = rotation
    a, b = x_BTHD.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
