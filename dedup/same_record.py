"""One record given twice: overlapping inputs, or a file listed in two sources. The same `id` is the same record.

The first in the order of source, WARC file and offset stays, which is the order of row addresses. Only the id column is
read, and no Python object is made per row.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from dedup.documents import parse_ids
from dedup.equal import remove_equal
from dedup.keep import KeepBy
from shards.exchange import ExchangeUnit, Executor, GlobalStageConfig


class SameRecordConfig(GlobalStageConfig):
    version: ClassVar[int] = 1
    reason: ClassVar[str] = "dedup.same_record"

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
        remove_equal(units, folder, executor, column="id", fingerprint=_ids, keep=KeepBy("first"), copies=False)


def _ids(batch: pa.RecordBatch) -> pa.Array:
    raw = parse_ids(batch["id"]).astype(">u8").tobytes()
    return pa.Array.from_buffers(pa.binary(16), len(batch), [None, pa.py_buffer(raw)])
