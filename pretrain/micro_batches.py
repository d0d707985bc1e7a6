"""A batch on the device, where it arrives in one transfer, and its micro-batches.

    host     int32   │ tokens B · T │ labels B · T │ starts of segments, and B · T │ groups of segments │
    device   the same; positions and the group of each token are made of it

Shapes: B rows, T positions in a row, N = B · T tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pretrain.attention import Documents, documents
from pretrain.order.batch import NO_LABEL, Batch


@dataclass(frozen=True)
class MicroBatch:
    """Rows that go through the model at once."""

    tokens_BT: Tensor
    positions_BT: Tensor
    documents: Documents
    labels_BT: Tensor
    group_N: Tensor  # int64: whose losses the token's is added to

    def add_by_group(self, values_BT: Tensor, sums: Tensor) -> None:
        """Add the values of all tokens to the float64 sums of their groups."""
        sums.index_add_(0, self.group_N, values_BT.flatten().to(sums.dtype))


class DeviceBatch:
    """The arrays of a batch as tensors; nothing here waits for the device."""

    def __init__(self, batch: Batch, device: torch.device) -> None:
        self._batch, self._device = batch, device
        (B, T), num_segments = batch.tokens_BT.shape, len(batch.starts) - 1
        data = torch.from_numpy(batch.buffer).to(device, non_blocking=True)
        tokens_N, labels_N, self._starts, groups = data.split([B * T, B * T, num_segments + 1, len(batch.groups)])
        place_N = torch.arange(B * T, dtype=torch.int32, device=device)
        segment_N = torch.searchsorted(self._starts[1:], place_N, right=True)
        self.tokens_BT, self.labels_BT = tokens_N.view(B, T), labels_N.view(B, T)
        self.positions_BT = (place_N - self._starts[segment_N]).view(B, T)
        self._group_BT = (groups[segment_N].long() if len(batch.groups) else torch.zeros_like(segment_N)).view(B, T)

    def labels_by_group(self, num_groups: int) -> Tensor:
        """float64[groups]: tokens with a label."""
        counts = torch.zeros(num_groups, dtype=torch.float64, device=self._device)
        return counts.index_add_(0, self._group_BT.flatten(), (self.labels_BT != NO_LABEL).flatten().double())

    def split(self, num_rows: int) -> Iterator[MicroBatch]:
        """Micro-batches of `num_rows` rows; the last one may be smaller."""
        B, T = self.tokens_BT.shape
        first = [0, *np.cumsum(self._batch.num_segments_B).tolist()]
        for i in range(0, B, num_rows):
            rows, end = slice(i, i + num_rows), min(i + num_rows, B)
            own = slice(first[i], first[end] + 1)
            yield MicroBatch(
                self.tokens_BT[rows],
                self.positions_BT[rows],
                documents(self._batch.starts[own] - i * T, T, self._device, self._starts[own] - i * T),
                self.labels_BT[rows],
                self._group_BT[rows].flatten(),
            )
