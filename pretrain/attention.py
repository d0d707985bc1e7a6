"""Causal attention within documents, on whose segments a batch's rows are packed.

    CUDA   varlen_attn over all rows laid end to end, with the offsets at which segments begin
    CPU    scaled_dot_product_attention on one segment after the other (varlen_attn has no CPU kernel)

Shapes: B rows, T positions, H query heads, K key-value heads, D width of a head, L positions of one segment.
"""

import inspect
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

from shards.errors import UserError

# Before torch 2.12 it took fewer key-value heads as they were.
_ASKS_FOR_GROUPS = "enable_gqa" in inspect.signature(varlen_attn).parameters


@dataclass(frozen=True)
class PackedDocuments:
    """The segments of a batch on CUDA."""

    cu_seqlens: Tensor
    """int32: where in the flattened rows each segment begins; then their end, up to a power of two and one."""

    row_length: int
    """Longest segment that there can be; a constant, so that no kernel waits for the device."""

    def attend(self, q_BTHD: Tensor, k_BTKD: Tensor, v_BTKD: Tensor, slopes_H: Tensor | None = None) -> Tensor:
        """[B, T, H, D]: each position attends to itself and to the earlier positions of its segment."""
        assert slopes_H is None, "`choose_kernel` refuses ALiBi on CUDA"
        q, k, v = (x.flatten(0, 1) for x in (q_BTHD, k_BTKD, v_BTKD))
        causal, offsets, length = (-1, 0), self.cu_seqlens, self.row_length
        grouped: dict[str, Any] = {"enable_gqa": k.shape[1] != q.shape[1]} if _ASKS_FOR_GROUPS else {}
        flat = varlen_attn(q, k, v, offsets, offsets, length, length, window_size=causal, **grouped)
        assert isinstance(flat, Tensor)  # no auxiliary output was asked for
        return flat.view(q_BTHD.shape)


@dataclass(frozen=True)
class SeparateDocuments:
    """The segments of a batch on CPU."""

    lengths: list[int]
    """Of all segments, in the order of the flattened rows."""

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # each batch's lengths would be compiled anew
    def attend(self, q_BTHD: Tensor, k_BTKD: Tensor, v_BTKD: Tensor, slopes_H: Tensor | None = None) -> Tensor:
        """[B, T, H, D]: each position attends to itself and to the earlier positions of its segment.

        With ALiBi's slopes each score is lowered by the slope times the distance.
        """
        segments = zip(*(x.flatten(0, 1).split(self.lengths) for x in (q_BTHD, k_BTKD, v_BTKD)), strict=True)
        outputs = [_attend_to_segment(q, k, v, slopes_H) for q, k, v in segments]
        return torch.cat(outputs).view(q_BTHD.shape)


class Documents(Protocol):
    """Whose positions attend to which."""

    def attend(self, q_BTHD: Tensor, k_BTKD: Tensor, v_BTKD: Tensor, slopes_H: Tensor | None = None) -> Tensor:
        """[B, T, H, D]: each position attends to itself and to the earlier positions of its document."""


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
    return PackedDocuments(padded(starts_on_device, int(starts[-1])), row_length)


def padded(starts: Tensor, end: int) -> Tensor:
    """`starts`, with its last value repeated until a power of two of segments begins in it.

    The kernel starts work for each segment, also for empty ones: 32 rows of web text have 84, where 3,168 would hold
    any batch. A power of two leaves few sizes to allocate, and all of them are one compiled graph.
    """
    num_segments = len(starts) - 1
    cu_seqlens = F.pad(starts, (0, (1 << (num_segments - 1).bit_length()) - num_segments), value=end)
    torch._dynamo.mark_dynamic(cu_seqlens, 0)
    return cu_seqlens


def choose_kernel(device: torch.device, positions: str) -> str:
    """The name of the attention kernel that the device has, for the log; FlashAttention 3 is activated where it can be.

    FlashAttention 3 is for Hopper (compute capability 9), and torch takes it from the package flash_attn_interface.
    UserError for ALiBi on CUDA.
    """
    if device.type != "cuda":
        return "SDPA by document"
    if positions == "alibi":
        raise UserError('model.positions = "alibi": the CUDA kernel takes no bias; use "rope", or device = "cpu"')
    if torch.cuda.get_device_capability(device)[0] == 9:
        try:
            from torch.nn.attention import activate_flash_attention_impl

            activate_flash_attention_impl("FA3")
        except (ImportError, RuntimeError, ValueError, AttributeError, OSError):
            pass  # not in this build, or not fit for it
        else:
            return "varlen_attn, FlashAttention 3"
    return "varlen_attn, FlashAttention 2"


def alibi_slopes(num_heads: int) -> Tensor:
    """float32[H]: 2^(-8 h / H) for h = 1 … H (Press et al., "Train Short, Test Long", 2022, section 3)."""
    return 2.0 ** (-8 * torch.arange(1, num_heads + 1) / num_heads)


def _attend_to_segment(q_LHD: Tensor, k_LKD: Tensor, v_LKD: Tensor, slopes_H: Tensor | None) -> Tensor:
    q, k, v = (x.transpose(0, 1)[None] for x in (q_LHD, k_LKD, v_LKD))
    if slopes_H is None:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    else:
        place = torch.arange(len(q_LHD))
        bias_HLL = (place - place[:, None]) * slopes_H[:, None, None].type_as(q)
        bias_HLL = bias_HLL.masked_fill(place > place[:, None], -torch.inf)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias_HLL, enable_gqa=True)
    return out[0].transpose(0, 1)
