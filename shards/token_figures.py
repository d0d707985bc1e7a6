"""A checksum of the figures of documents in a token shard: all that a plan of the training reads, and no tokens.

It covers whole columns, however rows are cut into batches: hashes of texts, numbers of tokens and bytes, masked ranges,
weights and buckets.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

FIGURES = ("text_hash", "tokens", "num_bytes", "masked", "weight", "bucket")  # columns; of tokens the number


class FiguresHasher:
    def __init__(self) -> None:
        self._columns = {name: (xxhash.xxh3_64(), xxhash.xxh3_64()) for name in FIGURES}

    def update(self, rows: pa.RecordBatch) -> None:
        """Add rows that have the columns of `shards.tokens.token_schema`."""
        for name, (lengths, values) in self._columns.items():
            column = rows[name]
            if pa.types.is_string(column.type):
                lengths.update(_bytes(pc.binary_length(column).cast(pa.int64())))
                _, offsets, data = column.buffers()
                first, last = np.frombuffer(offsets, np.int32)[[column.offset, column.offset + len(column)]].tolist()
                values.update(memoryview(data)[first:last] if data is not None else b"")
            elif pa.types.is_primitive(column.type):
                values.update(_bytes(column))
            else:
                lengths.update(_bytes(pc.list_value_length(column).cast(pa.int64())))
                values.update(b"" if name == "tokens" else _bytes(column.flatten()))

    def hexdigest(self) -> str:
        digests = [hasher.digest() for pair in self._columns.values() for hasher in pair]
        return xxhash.xxh3_64_hexdigest(b"".join(digests))


def _bytes(column: pa.Array) -> memoryview:
    return np.ascontiguousarray(column.to_numpy(zero_copy_only=False)).data
