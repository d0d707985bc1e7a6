"""Batches by number: `batch(step)` is a function of the plan, so resuming is asking for the next number.

    places of step n          n · batch_size … (n + 1) · batch_size - 1 of the training order
    rank r in a world of w    every w-th of them, from the r-th on

The union over ranks is the same for every world size. The loader's whole state is the step and the plan's hash: nothing
is read ahead that would have to be remembered.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from pretrain.order.batch import Batch, buffer_length, fill
from pretrain.order.groups import Groups
from pretrain.order.plan import Plan


class Loader:
    """The batches of a rank. As a map-style data set of arrays by step it may go to `torch.utils.data.DataLoader` with
    `batch_size=None`."""

    def __init__(self, plan: Plan, rank: int = 0, world: int = 1, *, groups: Groups | None = None) -> None:
        """`rank` = 0 … world - 1; `world` must divide the batch size. Batches have the groups of their segments where
        `groups` are given."""
        self.plan, self.rank, self.world, self._groups = plan, rank, world, groups
        self._first_row = np.array([source.first_row for source in plan.sources], np.int64)

    def batch(self, step: int, into: np.ndarray | None = None) -> Batch:
        """The rows of `step` = 0, 1, …, in a new buffer or the int32 buffer `into` of `buffer_length`."""
        planned = self.plan.planned
        source_B, _, row_B = self.plan.rows_of_step(step, self.rank, self.world)
        numbers = self._first_row[source_B] + row_B
        of = self._groups
        groups_of = None if of is None else partial(of.of_segments, planned.rows, numbers, source_B)
        return fill(planned.tokens, planned.rows, numbers, source_B=source_B, groups_of=groups_of, into=into)

    @property
    def buffer_length(self) -> int:
        """int32s that hold any batch."""
        config = self.plan.config
        rows = self.plan.planned.rows
        return buffer_length(config.batch_size // self.world, config.sequence_length, rows.max_segments)

    def batches(self, first: int, end: int, buffers: Sequence[np.ndarray]) -> Iterator[Batch]:
        """The batches `first` … `end` - 1 in three buffers by turns, each made while the one before is trained on.

        A batch is overwritten when the one after the next is asked for.
        """
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(self.batch, first, buffers[first % 3])
            for step in range(first + 1, end + 1):
                batch = coming.result()
                if step < end:
                    coming = thread.submit(self.batch, step, buffers[step % 3])
                yield batch

    def __len__(self) -> int:
        """Steps of the training."""
        return self.plan.config.steps

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        if not 0 <= step < len(self):
            raise IndexError(step)
        batch = self.batch(step)
        return {
            "tokens": batch.tokens_BT,
            "labels": batch.labels_BT,
            "starts": batch.starts,
            "source": batch.source_B,
        }
