"""Equal texts: xxh3-128 of the normalised text.

`normalize = "case_and_space"` takes two texts for one that differ only in case or in white space (runs are collapsed,
ends stripped); `"none"` compares every byte. At 128 bits a trillion documents have one false pair in 10^14 runs. A
document without text has no twin: that it is empty is another rule's matter.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
import xxhash

from dedup.documents import Keep
from dedup.equal import remove_equal
from shards.exchange import ExchangeUnit, Executor, GlobalStageConfig

Normalize = Literal["case_and_space", "none"]


class ExactConfig(GlobalStageConfig):
    version: ClassVar[int] = 1
    reason: ClassVar[str] = "dedup.exact"

    normalize: Normalize = "case_and_space"
    keep: Keep = "longest"

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
        fingerprint = partial(_digests, normalize=self.normalize)
        remove_equal(units, folder, executor, column="text", fingerprint=fingerprint, keep=self.keep)


def normalized(text: str, normalize: Normalize) -> str:
    return " ".join(text.lower().split()) if normalize == "case_and_space" else text


def _digests(batch: pa.RecordBatch, normalize: Normalize) -> pa.Array:
    texts = (normalized(text or "", normalize) for text in batch["text"].to_pylist())
    return pa.array([xxhash.xxh3_128_digest(text.encode()) if text else None for text in texts], pa.binary(16))
