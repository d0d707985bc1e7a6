"""Bits per byte on held-out documents, by source: the cost of storing a document with the model as compressor.

    -log2 p(all tokens of all documents) / UTF-8 bytes of all documents         masked tokens count in neither

Unlike loss or perplexity it does not depend on the tokenizer, so trainings with different vocabularies compare.
Held-out documents are packed as training rows are. Each token is predicted once, the end of a document included. Where
a document is split over rows, the first tokens of a later segment are predicted without the segments before.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xxhash

from pretrain.metrics import read_records
from pretrain.micro_batches import DeviceBatch
from pretrain.order.batch import Rows, fill
from pretrain.order.mixture import permute
from pretrain.order.packing import pack
from pretrain.order.plan import Plan, held_out_documents
from pretrain.parallel import SpreadModel
from pretrain.ranks import Ranks
from shards.token_map import TokenMap
from shards.tokens import TokenDocuments

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """The held-out documents of a source that are evaluated."""

    source: str
    tokens: TokenMap  # of all of the split
    rows: Rows  # of the evaluated ones
    num_bytes: int  # of UTF-8 text in the evaluated ones, without masked tokens


def held_out_of(plan: Plan) -> list[HeldOut]:
    """The held-out documents to evaluate; sources that have none, or only empty ones, are named in a warning."""
    config = plan.config
    held_out = [
        choose_held_out(name, documents, config.sequence_length, config.evaluate.max_tokens)
        for name, documents in held_out_documents(plan).items()
    ]
    measured = [h for h in held_out if h.num_bytes]
    if missing := sorted(config.source.keys() - {h.source for h in measured}):
        log.warning("event=not_measured source=%s: no text of it is held out (tokenize --held-out)", ",".join(missing))
    return measured


def choose_held_out(source: str, documents: TokenDocuments, row_length: int, max_tokens: int) -> HeldOut:
    """All held-out documents, or a sample of about `max_tokens` where they have more; the same in every call."""
    chosen = chosen_documents(source, documents, max_tokens)
    num_predictions = np.zeros(len(documents), np.int64)
    num_predictions[chosen] = documents.num_tokens[chosen] - 1
    rows = Rows.of(pack(num_predictions, row_length), documents.first_token)
    return HeldOut(source, documents.token_map(), rows, int(documents.num_bytes[chosen].sum()))


def chosen_documents(source: str, documents: TokenDocuments, max_tokens: int) -> np.ndarray:
    """Numbers of the documents of `choose_held_out`."""
    order = permute(np.arange(len(documents)), len(documents), xxhash.xxh3_64_intdigest(source.encode()))
    return order[: 1 + int(np.searchsorted(np.cumsum(documents.num_tokens[order]), max_tokens))]


def bits_per_byte(spread: SpreadModel, held_out: Sequence[HeldOut], num_rows: int, ranks: Ranks) -> dict[str, float]:
    """Bits per byte by source; `num_rows` rows go through the model at once on each rank, as in training."""
    nats = torch.stack([_nats(spread, h, num_rows, ranks) for h in held_out]) if held_out else torch.zeros(0)
    sums = ranks.sum(nats.to(spread.device)).tolist()
    return {h.source: value / math.log(2) / h.num_bytes for h, value in zip(held_out, sums, strict=True)}


def recorded_evaluations(path: Path, held_out: Sequence[HeldOut]) -> dict[int, dict[str, float]]:
    """Bits per byte by step and source, from the records that have exactly the sources of `held_out`."""
    sources = {h.source for h in held_out}
    by_step = {record["step"]: record.get("held_out_bits_per_byte") for record in read_records(path)}
    return {step: values for step, values in by_step.items() if isinstance(values, dict) and values.keys() == sources}


def _nats(spread: SpreadModel, held_out: HeldOut, num_rows: int, ranks: Ranks) -> torch.Tensor:
    """float64: -ln p of the evaluated tokens of this rank, whose micro-batches are every `world`-th one.

    All ranks have equally many micro-batches of equally many rows, since those of FSDP2 work on each together; what is
    missing is filled with empty rows.
    """
    rows = held_out.rows
    total = torch.zeros((), dtype=torch.float64, device=spread.device)
    for first in range(0, rows.num_rows, num_rows * ranks.world):
        numbers = first + ranks.rank * num_rows + np.arange(num_rows)
        batch = fill(held_out.tokens, rows.with_empty_row(), np.minimum(numbers, rows.num_rows))
        (part,) = DeviceBatch(batch, spread.device).split(num_rows)
        total += spread.losses(part).sum(dtype=torch.float64)
    return total
