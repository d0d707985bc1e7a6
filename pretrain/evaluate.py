"""Bits per byte on held-out documents, by source: the cost of storing a document with the model as compressor.

    -log2 p(all tokens of all documents) / UTF-8 bytes of all documents         masked tokens count in neither

Unlike loss or perplexity it does not depend on the tokenizer, so trainings with different vocabularies compare.
Held-out documents are packed as training rows are. Each token is predicted once, the end of a document included. Where
a document is split over rows, the first tokens of a later segment are predicted without the segments before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xxhash

from pretrain.attention import documents
from pretrain.model import Model
from pretrain.order.batch import Rows, fill
from pretrain.order.mixture import permute
from pretrain.order.packing import pack
from shards.token_map import TokenMap
from shards.tokens import TokenDocuments


@dataclass(frozen=True)
class HeldOut:
    """The held-out documents of a source that are evaluated."""

    source: str
    tokens: TokenMap  # of all of the split
    rows: Rows  # of the evaluated ones
    num_bytes: int  # of UTF-8 text in the evaluated ones, without masked tokens


def choose_held_out(source: str, documents: TokenDocuments, row_length: int, max_tokens: int) -> HeldOut:
    """All held-out documents, or a sample of about `max_tokens` where they have more; the same in every call."""
    order = permute(np.arange(len(documents)), len(documents), xxhash.xxh3_64_intdigest(source.encode()))
    chosen = order[: 1 + int(np.searchsorted(np.cumsum(documents.num_tokens[order]), max_tokens))]
    num_predictions = np.zeros(len(documents), np.int64)
    num_predictions[chosen] = documents.num_tokens[chosen] - 1
    rows = Rows.of(pack(num_predictions, row_length), documents.first_token)
    return HeldOut(source, documents.token_map(), rows, int(documents.num_bytes[chosen].sum()))


@torch.inference_mode()
def bits_per_byte(model: Model, held_out: Sequence[HeldOut], num_rows: int) -> dict[str, float]:
    """Bits per byte by source; `num_rows` rows go through the model at once."""
    return {h.source: _nats(model, h, num_rows) / math.log(2) / h.num_bytes for h in held_out}


def _nats(model: Model, held_out: HeldOut, num_rows: int) -> float:
    """-ln p of all evaluated tokens."""
    device = model.head_VC.device
    total = torch.zeros((), dtype=torch.float64, device=device)
    for first in range(0, held_out.rows.num_rows, num_rows):
        numbers = np.arange(first, min(first + num_rows, held_out.rows.num_rows))
        batch = fill(held_out.tokens, held_out.rows, numbers)
        segments = documents(batch.starts, batch.tokens_BT.shape[1], device)
        tokens, positions, labels = (
            torch.from_numpy(x).to(device) for x in (batch.tokens_BT, batch.positions_BT, batch.labels_BT)
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            total += model(tokens, positions, segments, labels).tokens_BT.sum(dtype=torch.float64)
    return float(total)
