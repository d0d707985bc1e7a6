"""Duplicates by equal normalised URL: one address that was fetched more than once.

    HTTPS://WWW.Example.org:443/a%7eb?utm_source=x&id=2#top   →   //example.org/a~b?id=2

Normalisation removes what servers treat as the same: http and https, case of the host, `www.`, the default port, an
empty path, the spelling of percent-encoding (RFC 3986, 6.2.2), the fragment, and parameters that only track a visitor.
Other parameters keep their order: servers may read it (repeated keys, positional forms), and a page that was fetched
under two orders is found by its text.

URL deduplication is usually the last stage (RefinedWeb): a fetch that a filter drops must not replace a good one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import xxhash

from dedup.equal_keys import Fingerprint, remove_equal
from dedup.index import Index
from dedup.keep import KeepBy
from dedup.replay import groups_of_keys, recorded_groups, remove_equal_rows, remove_for_others
from dedup.url_keys import keys_to_compare, normalized
from shards.exchange import Block, Cost, Executor, GlobalStageConfig
from shards.replay import FinishedRun
from shards.schema import COPIES


class UrlDedupConfig(GlobalStageConfig):
    """Kind `url_dedup`."""

    version: ClassVar[int] = 2
    reason: ClassVar[str] = "dedup.url"
    reads_text: ClassVar[bool] = False
    removes_copies: ClassVar[bool] = True

    keep: Literal["newest", "oldest", "first"] = "newest"
    index: str | None = None  # folder of earlier kept documents; documents of this run with their URLs are removed

    @property
    def index_folder(self) -> str | None:
        return self.index

    @property
    def cost(self) -> Cost:
        return Cost(seconds_per_document=1e-6, disk_per_document=62)

    @property
    def fingerprint(self) -> Fingerprint:
        return _digests

    def columns(self) -> pa.Schema:
        return pa.schema([COPIES])

    def digests(self) -> dict[str, str]:
        return Index.of(self, "url_dedup").digests()

    def resolve(self, units: Sequence[Block], folder: Path, executor: Executor) -> None:
        earlier = Index.of(self, "url_dedup").files()
        remove_equal(
            units,
            folder,
            executor,
            column="url",
            fingerprint=_digests,
            keep=KeepBy(self.keep),
            earlier=earlier,
        )

    def replay(self, run: FinishedRun, *, changed: bool) -> None:
        new = run.possible & ~run.entered
        remove_for_others(run)
        rows = np.flatnonzero(run.possible)
        if new.any():
            rows, groups = _recomputed_groups(run, rows, new | run.removed)
        else:
            groups = recorded_groups(run, rows)
        remove_equal_rows(run, rows, groups, KeepBy(self.keep))
        if self.index is not None:
            run.doubt(new & run.possible, "uncompared")


def _recomputed_groups(run: FinishedRun, rows: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, groups): those of `rows` whose URL equals the URL of a row of the mask `asked`."""
    mask = np.zeros(len(asked), np.bool_)
    mask[rows] = True
    urls = [part.filter(pa.array(mask[first : first + len(part)])) for first, part in run.parts("url")]
    positions, keys = keys_to_compare(pa.concat_arrays(urls), asked[rows])
    return groups_of_keys(run, rows[positions], keys, asked)


def _digests(batch: pa.RecordBatch) -> pa.Array:
    urls = (normalized(url or "") for url in batch["url"].to_pylist())
    return pa.array([xxhash.xxh3_128_digest(url.encode()) if url else None for url in urls], pa.binary(16))
