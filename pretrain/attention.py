"""Causal attention within documents: one function, two kernels.

    CUDA   varlen_attn over all rows laid end to end, with the offsets at which segments begin
    CPU    scaled_dot_product_attention with a boolean mask (varlen_attn has no CPU kernel)

Shapes: B rows, T positions, H query heads, K key-value heads, D width of a head.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Documents:
    """The segments of a batch in the form that the device's kernel takes; made once, used by every layer."""

    mask_B1TT: Tensor | None
    """CPU: bool, whether the query may see the key."""

    cu_seqlens: Tensor | None
    """CUDA: int32, offsets of the segments in the flattened batch; its end is repeated up to a fixed length."""

    @classmethod
    def of(cls, positions_BT: np.ndarray, max_segments: int, device: torch.device) -> "Documents":
        """The segments of int64 `positions_BT`: a position of 0 begins one, and a row has at most `max_segments`."""
        if device.type == "cuda":
            starts = np.flatnonzero(positions_BT == 0)
            cu_seqlens = np.full(len(positions_BT) * max_segments + 1, positions_BT.size, np.int32)
            cu_seqlens[: len(starts)] = starts
            return cls(None, torch.from_numpy(cu_seqlens).to(device, non_blocking=True))
        segment_BT = torch.from_numpy((positions_BT == 0).cumsum(axis=1))
        mask = (segment_BT[:, :, None] == segment_BT[:, None, :]).tril()
        return cls(mask[:, None], None)


def attend(q_BTHD: Tensor, k_BTKD: Tensor, v_BTKD: Tensor, documents: Documents) -> Tensor:
    """[B, T, H, D]: each position attends to itself and to the earlier positions of its segment."""
    B, T, H, D = q_BTHD.shape
    if documents.cu_seqlens is None:
        q, k, v = (x.transpose(1, 2) for x in (q_BTHD, k_BTKD, v_BTKD))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=documents.mask_B1TT, enable_gqa=True)
        return out.transpose(1, 2)

    from torch.nn.attention.varlen import varlen_attn

    q, k, v = (x.flatten(0, 1) for x in (q_BTHD, k_BTKD, v_BTKD))
    causal = (-1, 0)
    offsets = documents.cu_seqlens
    flat = varlen_attn(q, k, v, offsets, offsets, T, T, window_size=causal, enable_gqa=k.shape[1] != H)
    assert isinstance(flat, Tensor)  # no auxiliary output was asked for
    return flat.view(B, T, H, D)
