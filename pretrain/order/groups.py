"""The groups of documents by which losses are summed: one for each bucket of each source.

group of a document = first group of its source + number of its bucket in the source
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from pretrain.order.batch import Rows
from pretrain.order.planned_rows import PlannedSource
from shards.compiled import kernel

log = logging.getLogger(__name__)

MAX_BUCKETS = 100  # of a source; a line of metrics.jsonl has a loss for each


@dataclass(frozen=True)
class Groups:
    names: tuple[tuple[str, str], ...]  # (source, bucket) by group; the bucket is "" where none is known
    first: np.ndarray  # int64[sources]: the first group of each
    bucket: tuple[np.ndarray, ...]  # by source uint16[documents], or [0] where all have one bucket

    @classmethod
    def of(cls, sources: Sequence[PlannedSource]) -> "Groups":
        """The groups of the documents that are trained on."""
        names: list[tuple[str, str]] = []
        first, bucket = [], []
        for source in sources:
            known, numbers = _buckets(source)
            first.append(len(names))
            bucket.append(numbers)
            names += [(source.name, name) for name in known]
        return cls(tuple(names), np.array(first, np.int64), tuple(bucket))

    def of_segments(
        self, rows: Rows, numbers: np.ndarray, source_B: np.ndarray, num_segments_B: np.ndarray
    ) -> np.ndarray:
        """int32[segments]: the groups of all segments of the rows in order, unfilled ends included."""
        groups = np.repeat(self.first[source_B], num_segments_B).astype(np.int32)
        first_segment = np.cumsum(num_segments_B) - num_segments_B
        for source, bucket in enumerate(self.bucket):
            if len(bucket) > 1:
                own = np.flatnonzero(source_B == source)
                _add_buckets(groups, first_segment[own], numbers[own], rows.first, rows.document, bucket)
        return groups


def _buckets(source: PlannedSource) -> tuple[list[str], np.ndarray]:
    """The names of a source's buckets in order, and the number of each document's."""
    if all(shard.bucket_column is None for shard in source.manifest.shards.values()):
        return [""], np.zeros(1, np.uint16)
    column = pc.dictionary_encode(source.documents.column("bucket")).combine_chunks()
    names = column.dictionary.to_pylist()
    if len(names) > MAX_BUCKETS:
        log.warning(
            "event=buckets_ignored source=%s: has %d buckets, too many to sum losses by", source.name, len(names)
        )
        return [""], np.zeros(1, np.uint16)
    order = np.argsort(np.array(names, dtype=object), kind="stable")
    rank = np.empty(len(names), np.uint16)
    rank[order] = np.arange(len(names))
    return [names[i] for i in order], rank[column.indices.to_numpy()]


@kernel
def _add_buckets(groups, first_segment, numbers, row_first, document, bucket):
    for b in range(len(numbers)):
        row = numbers[b]
        for i in range(row_first[row + 1] - row_first[row]):
            groups[first_segment[b] + i] += bucket[document[row_first[row] + i]]
