"""Masks: from spans of a text to tokens that a model reads and does not learn.

    text      T h e   m i l l   g r i n d s          spans in UTF-8 bytes, as deduplication marks them
    span            └───────┘                        a token is masked if it shares a byte with one
    tokens   │The│ mill│ grind│s│                    " mill" is masked, and "The" is not

The bytes of a token are those that the tokenizer tells (`Tokenizer.byte_spans`). A document without tokens, as an empty
one is, teaches nothing: its <|eos|> is masked.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pretrain.tokenizing.tokenizer import Tokenizer
from shards.errors import UserError
from shards.schema import MASKED
from shards.sink import open_arrow


def check_mask_column(shard: Path) -> bool:
    """Whether a text shard has a column of masked spans; UserError where it has another type."""
    schema = open_arrow(shard).schema
    if MASKED.name not in schema.names:
        return False
    if (kind := schema.field(MASKED.name).type) != MASKED.type:
        raise UserError(f"{shard}: column {MASKED.name}: expected {MASKED.type}, found {kind}; rename the column")
    return True


def mask_documents(
    batch: pa.RecordBatch, shard: Path, encoded: Sequence[np.ndarray], tokenizer: Tokenizer
) -> pa.RecordBatch:
    """`masked` and `num_bytes` of each document, as `shards.tokens.token_schema` describes them.

    `encoded` holds the token ids of each text without special tokens; ranges in `masked` count <|bos|> as token 0.
    UserError for a span that does not lie in its text; `shard` names the file in its message.
    """
    num_bytes = pc.binary_length(batch["text"]).cast(pa.int64()).to_numpy().copy()
    ranges = [np.zeros(0, np.int64)] * batch.num_rows
    has_spans = np.zeros(batch.num_rows, np.bool_)
    if MASKED.name in batch.schema.names:
        has_spans = pc.fill_null(pc.list_value_length(batch[MASKED.name]), 0).to_numpy() > 0
    for i in np.flatnonzero(has_spans).tolist():
        spans = batch[MASKED.name][i].values.to_numpy()
        if len(spans) % 2 or spans.min() < 0 or spans.max() > num_bytes[i]:
            raise UserError(
                f"{shard}: column {MASKED.name}: document {batch['id'][i]} has {num_bytes[i]:,} bytes, and not all of "
                "its spans lie in them; clean its input again"
            )
        starts, ends = tokenizer.byte_spans(batch["text"][i].as_py(), encoded[i])
        bounds = masked_tokens(starts, ends, spans)
        num_bytes[i] -= _num_bytes(starts, ends, bounds)
        ranges[i] = bounds + 1
    for i in [i for i, ids in enumerate(encoded) if len(ids) == 0]:
        ranges[i], num_bytes[i] = np.array([1, 2]), 0
    offsets = np.cumsum([0] + [len(bounds) for bounds in ranges])
    masked = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(np.concatenate(ranges)))
    return pa.record_batch({"masked": masked, "num_bytes": pa.array(num_bytes)})


def masked_tokens(starts: np.ndarray, ends: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """int64[2 n]: start, end, … of the ranges of tokens that share a byte with a span.

    Ranges ascend and do not touch. `starts` and `ends` are int64[tokens], the bytes of each token, and ascend; `spans`
    is int64[2 m], start, end, … in bytes, in any order, and may overlap or be empty.
    """
    firsts, lasts = spans.reshape(-1, 2)[spans[::2] < spans[1::2]].T
    first_tokens = np.searchsorted(ends, firsts, side="right")
    change = np.zeros(len(ends) + 1, np.int64)  # spans that a token shares, less those of the token before
    np.add.at(change, first_tokens, 1)
    np.add.at(change, np.maximum(first_tokens, np.searchsorted(starts, lasts, side="left")), -1)
    return np.flatnonzero(np.diff(np.cumsum(change) > 0, prepend=False))


def _num_bytes(starts: np.ndarray, ends: np.ndarray, bounds: np.ndarray) -> int:
    """Bytes of the tokens in the ranges of `bounds`; a byte that two ranges share counts once."""
    firsts, lasts = starts[bounds[::2]], ends[bounds[1::2] - 1]
    return int((lasts - np.maximum(firsts, np.concatenate([[0], lasts[:-1]]))).sum()) if len(bounds) else 0
