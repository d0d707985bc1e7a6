"""Batches by number: `batch(step)` is a function of the plan, so resuming is asking for the next number.

    places of step n          n · batch_size … (n + 1) · batch_size - 1 of the training order
    rank r in a world of w    every w-th of them, from the r-th on

The union over ranks is the same for every world size. The loader's whole state is the step and the plan's hash: nothing
is read ahead that would have to be remembered.
"""

import numpy as np

from pretrain.order.batch import Batch, fill
from pretrain.order.plan import Plan


class Loader:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._max_segments = max(source.packing.max_segments for source in plan.sources)

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """The rows of `step` = 0, 1, … for device `rank` = 0 … world - 1; `world` must divide the batch size."""
        source_B, _, row_B = self.plan.rows_of_step(step, rank, world)
        shape = len(source_B), self.plan.config.sequence_length
        tokens, labels, positions = (np.empty(shape, np.int64) for _ in range(3))
        for s in np.unique(source_B):
            own = source_B == s
            source = self.plan.sources[s]
            tokens[own], labels[own], positions[own] = fill(source.documents, source.packing, row_B[own])
        return Batch(tokens, labels, positions, source_B, self._max_segments)
