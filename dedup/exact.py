"""Exact duplicates: documents whose normalised texts have one xxh3-128 hash.

`normalize = "case_and_space"` compares normal forms (`dedup.normal_form`), and ignores case and differences in white
space: runs are collapsed, ends stripped. `"none"` compares every byte. With 128 bits a trillion documents have one
false pair in 10^14 runs. A document without text has no duplicates: other rules deal with empty documents.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import xxhash

from dedup.equal_keys import Fingerprint, remove_equal
from dedup.index import Index
from dedup.keep import KeepConfig
from dedup.normal_form import VERSION, comparable
from dedup.replay import recorded_groups, remove_equal_rows, remove_for_others
from shards.exchange import Block, Cost, Executor
from shards.replay import FinishedRun
from shards.schema import COPIES

Normalize = Literal["case_and_space", "none"]


class ExactConfig(KeepConfig):
    """Kind `exact`."""

    version: ClassVar[int] = 3  # 3: normal forms are compared
    normal_form: ClassVar[int] = VERSION
    reason: ClassVar[str] = "dedup.exact"
    removes_copies: ClassVar[bool] = True

    normalize: Normalize = "case_and_space"
    index: str | None = None  # folder of earlier kept documents, with which those of this run are compared too

    @property
    def index_folder(self) -> str | None:
        return self.index

    @property
    def cost(self) -> Cost:
        return Cost(seconds_per_mb=0.0166, bytes_per_text_byte=3, disk_per_document=62)

    @property
    def fingerprint(self) -> Fingerprint:
        return partial(_digests, normalize=self.normalize)

    def columns(self) -> pa.Schema:
        return pa.schema([COPIES])

    def digests(self) -> dict[str, str]:
        return Index.of(self, "exact").digests()

    def resolve(self, units: Sequence[Block], folder: Path, executor: Executor) -> None:
        earlier = Index.of(self, "exact").files()
        remove_equal(
            units,
            folder,
            executor,
            column="text",
            fingerprint=self.fingerprint,
            keep=self.keep_by,
            earlier=earlier,
        )

    def replay(self, run: FinishedRun, *, changed: bool) -> None:
        """Texts are not read, so nobody knows whether a row that is new to this stage equals another."""
        new = run.possible & ~run.entered
        remove_for_others(run)
        rows = np.flatnonzero(run.possible & run.entered)
        remove_equal_rows(run, rows, recorded_groups(run, rows), self.keep_by)
        run.doubt(new, "uncompared")


def _digests(batch: pa.RecordBatch, normalize: Normalize) -> pa.Array:
    texts = batch["text"].to_pylist()
    if normalize == "case_and_space":
        texts = [" ".join((text or "").lower().split()) for text in comparable(batch["text"]).to_pylist()]
    return pa.array([xxhash.xxh3_128_digest(text.encode()) if text else None for text in texts], pa.binary(16))
