"""Attention to a document that is read piece by piece, whose earlier keys and values are kept.

    read 5 tokens     q of 5 · k of 5        keep 5
    read 1 token      q of 1 · k of 6        keep 6        instead of 6 · 6
    …

Shapes: T positions that are read, L read so far, H query heads, K key-value heads, D width of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class KeyValueCache:
    """Stands in `Model.hidden` for the documents of a batch: one document, of which the next tokens are read.

    Layers call it in their order, all of them for each piece.
    """

    def __init__(self, num_layers: int) -> None:
        self._kept: list[tuple[Tensor, Tensor] | None] = [None] * num_layers  # [1, L, K, D] with room for more
        self._layer = 0
        self.length = 0  # tokens that all layers have read

    def attend(self, q_1THD: Tensor, k_1TKD: Tensor, v_1TKD: Tensor, slopes_H: Tensor | None = None) -> Tensor:
        """[1, T, H, D]: each position attends to itself and to all earlier ones."""
        T, before = q_1THD.shape[1], self.length
        k_1LKD, v_1LKD = self._with(k_1TKD, v_1TKD)
        self._layer = (self._layer + 1) % len(self._kept)
        if self._layer == 0:
            self.length += T
        q, k, v = (x.transpose(1, 2) for x in (q_1THD, k_1LKD, v_1LKD))
        place = torch.arange(before + T, device=q.device)
        distance_TL = place - place[before:, None]  # 0 or less where a key is read already
        bias = torch.zeros_like(distance_TL, dtype=q.dtype).masked_fill_(distance_TL > 0, -torch.inf)
        if slopes_H is not None:
            bias = bias + distance_TL * slopes_H[:, None, None].to(q)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, enable_gqa=True).transpose(1, 2)

    def _with(self, k_1TKD: Tensor, v_1TKD: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values of this layer, these ones included."""
        end = self.length + k_1TKD.shape[1]
        kept = self._kept[self._layer]
        if kept is None or kept[0].shape[1] < end:
            room = [torch.empty_like(x[:, :1]).repeat(1, 2 * end, 1, 1) for x in (k_1TKD, v_1TKD)]
            for new, old in zip(room, kept or (), strict=False):
                new[:, : self.length] = old[:, : self.length]
            kept = self._kept[self._layer] = (room[0], room[1])
        for x, new in zip(kept, (k_1TKD, v_1TKD), strict=True):
            x[:, self.length : end] = new
        return kept[0][:, :end], kept[1][:, :end]
