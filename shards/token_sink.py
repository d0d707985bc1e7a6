"""Writes the files of token shards, each with the proof that its shard's manifest holds."""

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from shards.block_hashes import BlockHasher
from shards.sink import ArrowSink
from shards.token_figures import FiguresHasher
from shards.token_manifest import TokenFile
from shards.tokens import token_schema


class TokenSink:
    """Writes rows of `token_schema` to `path`; the file appears when the `with` block ends without an error."""

    def __init__(self, path: Path, vocab_size: int, *, synced: bool = True) -> None:
        """`synced` is that of `shards.atomic.atomic_file`."""
        schema = token_schema(vocab_size)
        self._blocks, self._figures = BlockHasher(), FiguresHasher()
        self._sink = ArrowSink(path, schema, compressed=False, synced=synced, blocks=self._blocks)
        self._counts = Counter(_counts(pa.RecordBatch.from_pylist([], schema)))

    def __enter__(self) -> Self:
        self._sink.__enter__()
        return self

    def write(self, rows: pa.RecordBatch) -> None:
        self._sink.write(rows)
        self._figures.update(rows)
        self._counts.update(_counts(rows))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._sink.__exit__(kind, error, tb)

    @property
    def proof(self) -> TokenFile:
        """The file's entry in the manifest of its shard, after the block."""
        return TokenFile(
            num_rows=self._sink.num_rows,
            num_file_bytes=self._sink.num_bytes,
            sha256=self._sink.sha256,
            blocks_xxh3=self._blocks.hexdigests(),
            figures_xxh3=self._figures.hexdigest(),
            **self._counts,
        )


def _counts(rows: pa.RecordBatch) -> dict[str, int]:
    """What the rows add to the counts of a `TokenFile`."""
    bounds = rows["masked"].flatten().to_numpy()
    num_tokens = pc.list_value_length(rows["tokens"]).to_numpy()
    return {
        "num_tokens": int(num_tokens.sum()),
        "num_masked_tokens": int((bounds[1::2] - bounds[::2]).sum()),
        "num_epoch_tokens": int(num_tokens @ rows["weight"].to_numpy()),
        "num_text_bytes": pc.sum(rows["num_bytes"]).as_py() or 0,
    }
