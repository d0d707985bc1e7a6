"""Causal attention within documents, on whose segments a batch's rows are packed.

    CUDA   varlen_attn over all rows laid end to end, with the offsets at which segments begin
    CPU    scaled_dot_product_attention on one segment after the other (varlen_attn has no CPU kernel)

Shapes: B rows, T positions, H query heads, K key-value heads, D width of a head.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class PackedDocuments:
    """The segments of a batch on CUDA."""

    cu_seqlens: Tensor
    """int32: where in the flattened rows each segment begins; then their end, up to a power of two and one."""

    row_length: int
    """Longest segment that there can be; a constant, so that no kernel waits for the device."""

    def attend(self, q_BTHD: Tensor, k_BTKD: Tensor, v_BTKD: Tensor) -> Tensor:
        """[B, T, H, D]: each position attends to itself and to the earlier positions of its segment."""
        from torch.nn.attention.varlen import varlen_attn

        q, k, v = (x.flatten(0, 1) for x in (q_BTHD, k_BTKD, v_BTKD))
        causal, is_grouped = (-1, 0), k.shape[1] != q.shape[1]
        offsets, length = self.cu_seqlens, self.row_length
        flat = varlen_attn(q, k, v, offsets, offsets, length, length, window_size=causal, enable_gqa=is_grouped)
        assert isinstance(flat, Tensor)  # no auxiliary output was asked for
        return flat.view(q_BTHD.shape)


@dataclass(frozen=True)
class SeparateDocuments:
    """The segments of a batch on CPU."""

    lengths: list[int]
    """Of all segments, in the order of the flattened rows."""

    def attend(self, q_BTHD: Tensor, k_BTKD: Tensor, v_BTKD: Tensor) -> Tensor:
        """[B, T, H, D]: each position attends to itself and to the earlier positions of its segment."""
        segments = zip(*(x.flatten(0, 1).split(self.lengths) for x in (q_BTHD, k_BTKD, v_BTKD)), strict=True)
        outputs = [_attend_to_segment(*(x.transpose(0, 1) for x in qkv)).transpose(0, 1) for qkv in segments]
        return torch.cat(outputs).view(q_BTHD.shape)


Documents = PackedDocuments | SeparateDocuments


def documents(
    starts: np.ndarray, row_length: int, device: torch.device, starts_on_device: Tensor | None = None
) -> Documents:
    """The segments of a batch, made once and used by every layer.

    `starts`, int32[segments + 1], says where in the flattened rows each segment begins, and then where the last one
    ends. `starts_on_device` are the same numbers, where they are on a CUDA device already.
    """
    if device.type != "cuda":
        return SeparateDocuments(np.diff(starts).tolist())
    if starts_on_device is None:
        starts_on_device = torch.from_numpy(starts).to(device, non_blocking=True)
    # The kernel starts work for each entry, also for those without positions: on 32 rows of web text 84 of them are
    # needed and 3,168 would hold any. A power of two leaves few shapes to allocate.
    num_segments = len(starts) - 1
    num_padded = (1 << (num_segments - 1).bit_length()) - num_segments
    return PackedDocuments(F.pad(starts_on_device, (0, num_padded), value=int(starts[-1])), row_length)


def _attend_to_segment(q_HTD: Tensor, k_KTD: Tensor, v_KTD: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q_HTD[None], k_KTD[None], v_KTD[None], is_causal=True, enable_gqa=True)[0]
