"""The plan: what will be trained on, in which order, known and checked before the first step.

It is made from TRAIN.toml and the token folders in seconds, holds no tokens, and is the same on every machine; its
`identity` says what a checkpoint must agree with to be resumed.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pretrain.config import TrainConfig
from pretrain.order import packing
from pretrain.order.mixture import Mixture, MixtureSource
from pretrain.order.packing import Packing, pack_weighted
from shards.errors import UserError
from shards.tokens import HELD_OUT, TOKENIZER, TRAIN, TokenDocuments

SETTINGS = "train.toml"  # in a training's out: its settings, with all defaults and overrides

# Settings that leave the training curve as it is, so that a run may be resumed with others.
FREE = {
    "out",
    "device",
    "compile",
    "micro_batch_size",
    "checkpoint_every",
    "keep_checkpoints",
    "eval_every",
    "eval_max_tokens",
}


@dataclass(frozen=True)
class PlannedSource:
    name: str
    documents: TokenDocuments
    packing: Packing

    @property
    def num_epoch_tokens(self) -> int:
        """Predictions of an epoch, masked ones too."""
        return int((self.packing.end - self.packing.start).sum())


@dataclass(frozen=True)
class Plan:
    config: TrainConfig
    sources: tuple[PlannedSource, ...]
    mixture: Mixture
    vocab_size: int

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that the training curve depends on, by dotted key; digests stand for token folders."""
        settings = _flat(self.config.model_dump(exclude=FREE))
        return settings | self.token_digests | {"packing.version": packing.VERSION}

    @property
    def token_digests(self) -> dict[str, str]:
        """By the dotted key of the setting that names the folder."""
        return {f"source.{source.name}.tokens": source.documents.digest for source in self.sources}

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    @property
    def num_places(self) -> int:
        return self.config.steps * self.config.batch_size

    def describe(self) -> list[str]:
        """One line a source: what an epoch of it is, its share, and how often it will be gone through.

        An epoch has each document as often as its weight says.
        """
        epochs = self.mixture.epochs(self.num_places)
        shares = self.mixture.slots / self.mixture.slots.sum()
        return [
            f"source {source.name}: {len(source.documents):,} documents, {source.num_epoch_tokens:,} tokens an epoch, "
            f"{source.packing.num_rows:,} rows of {self.config.sequence_length}, share {share:.3f}, {times:.2f} epochs"
            for source, share, times in zip(self.sources, shares, epochs, strict=True)
        ]


def make_plan(config: TrainConfig) -> Plan:
    """The plan of a training file; refuses sources that are empty, too small or of different tokenizers."""
    sources = []
    for name, source in config.source.items():
        documents = TokenDocuments(Path(source.tokens), TRAIN)
        rows = pack_weighted(documents.num_tokens - 1, documents.weights, config.sequence_length)
        if not rows.num_rows:
            raise UserError(f"source {name}: {source.tokens} has no training documents; remove the source")
        sources.append(PlannedSource(name, documents, rows))
    for other in sources[1:]:
        if other.documents.manifest.tokenizer_sha256 != sources[0].documents.manifest.tokenizer_sha256:
            raise UserError(
                f"source {other.name}: its tokenizer {other.documents.folder / TOKENIZER} is not that of source "
                f"{sources[0].name}; tokenize both with the same one"
            )
    mixture = Mixture(
        tuple(
            MixtureSource(s.name, config.source[s.name].weight, s.packing.num_rows, config.source[s.name].max_epochs)
            for s in sources
        ),
        config.seed,
    )
    plan = Plan(config, tuple(sources), mixture, sources[0].documents.manifest.vocab_size)
    mixture.check(plan.num_places)
    return plan


def held_out_documents(plan: Plan) -> dict[str, TokenDocuments]:
    """The held-out documents of each source that has some."""
    found = {s.name: TokenDocuments(s.documents.folder, HELD_OUT) for s in plan.sources}
    return {name: documents for name, documents in found.items() if len(documents)}


def differing_keys(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    return sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
