"""The documents of a token folder one after the other, as often as an epoch has them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from shards.sink import mapped_batches
from shards.token_manifest import TokenManifest
from shards.token_map import require_whole, token_parts
from shards.tokens import HELD_OUT, item_bytes


class Documents:
    """Those of a split; held-out ones once."""

    def __init__(self, folder: Path, manifest: TokenManifest, split: str) -> None:
        """Read and check all files; RunError for a damaged one."""
        self._parts = token_parts(folder, split, manifest)
        self._is_weighted = split != HELD_OUT
        self.item_bytes = item_bytes(manifest.vocab_size)
        for part in self._parts:
            require_whole(part)

    def rows(self) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """Record batches of the token shards, and how often each row is wanted, int64[rows]."""
        for part in self._parts:
            for batch in mapped_batches(part.path)[1]:
                yield batch, batch["weight"].to_numpy() if self._is_weighted else np.ones(batch.num_rows, np.int64)

    def lengths(self) -> Iterator[np.ndarray]:
        """int64: the number of tokens of each document, in pieces."""
        for batch, weights in self.rows():
            yield np.repeat(np.diff(np.asarray(batch["tokens"].offsets)), weights)

    def __len__(self) -> int:
        return sum(map(len, self.lengths()))
