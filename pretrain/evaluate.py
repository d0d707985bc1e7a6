"""Bits per byte on held-out documents, by source: what a document costs to store with the model as compressor.

    -log2 p(all tokens of all documents) / UTF-8 bytes of all documents         masked tokens count in neither

Unlike loss or perplexity it does not depend on the tokenizer, so runs with different vocabularies compare. Held-out
documents are packed as training rows are: each token is predicted once, the end of a document included, and the first
tokens of a document's further segments without what stood before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xxhash

from pretrain.attention import Documents
from pretrain.loss import token_losses
from pretrain.model import Model
from pretrain.order.mixture import permute
from pretrain.order.packing import Packing, fill, pack
from shards.tokens import TokenDocuments


@dataclass(frozen=True)
class HeldOut:
    """The held-out documents of a source that are measured."""

    source: str
    documents: TokenDocuments
    packing: Packing
    num_bytes: int


def choose_held_out(source: str, documents: TokenDocuments, row_length: int, max_tokens: int) -> HeldOut:
    """All held-out documents, or where they have more than `max_tokens`, a sample of that size; always the same."""
    key = np.array(xxhash.xxh3_64_intdigest(source.encode()), np.uint64)
    order = permute(np.arange(len(documents)), len(documents), key)
    taken = order[: 1 + int(np.searchsorted(np.cumsum(documents.num_tokens[order]), max_tokens))]
    lengths = np.zeros(len(documents), np.int64)
    lengths[taken] = documents.num_tokens[taken] - 1
    return HeldOut(source, documents, pack(lengths, row_length), int(documents.num_bytes[taken].sum()))


@torch.inference_mode()
def bits_per_byte(model: Model, held_out: Sequence[HeldOut], num_rows: int) -> dict[str, float]:
    """By source; `num_rows` rows go through the model at once."""
    return {h.source: _nats(model, h, num_rows) / math.log(2) / h.num_bytes for h in held_out}


def _nats(model: Model, held_out: HeldOut, num_rows: int) -> float:
    device = model.head_VC.device
    total = torch.zeros((), dtype=torch.float64, device=device)
    for first in range(0, held_out.packing.num_rows, num_rows):
        rows = range(first, min(first + num_rows, held_out.packing.num_rows))
        tokens, labels, positions = fill(held_out.documents, held_out.packing, rows)
        documents = Documents.of(positions, held_out.packing.max_segments, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            hidden = model(*(torch.from_numpy(x).to(device) for x in (tokens, positions)), documents)
            losses = token_losses(hidden.flatten(0, 1), model.head_VC, torch.from_numpy(labels).to(device).flatten())
        total += losses.sum(dtype=torch.float64)
    return float(total)
