"""The plan: what is trained on and in which order, known and checked before the first step.

It is made from TRAIN.toml and the token folders, holds no tokens, and is the same on every machine. A checkpoint is
resumed only under a plan of the same `identity`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.config import ModelConfig, OptimizerConfig, PackingConfig, TokenSourceConfig, TrainConfig
from pretrain.order.mixture import Mixture, MixtureSource
from pretrain.order.packing import VERSION as PACKING_VERSION
from pretrain.order.packing import Packing, pack_weighted
from shards.config import Config
from shards.errors import UserError
from shards.token_manifest import TOKENIZER
from shards.tokens import HELD_OUT, TRAIN, TokenDocuments

SETTINGS = "train.toml"  # name, in a training's `out`, of its settings with all defaults and overrides

# Settings that leave the training curve as it is, so that a run may be resumed with other values.
FREE_SETTINGS = {
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
    documents: TokenDocuments  # those that are trained on
    packing: Packing  # of an epoch

    @property
    def num_epoch_tokens(self) -> int:
        """Predictions in an epoch, masked ones included."""
        return int((self.packing.end - self.packing.start).sum())


@dataclass(frozen=True)
class Plan:
    """The rows of all sources and their order; a place of the order is one row of one global batch."""

    config: TrainConfig
    sources: tuple[PlannedSource, ...]
    mixture: Mixture
    vocab_size: int

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that the training curve depends on, by dotted key; token folders are digests."""
        settings = _flat(self.config.model_dump(exclude=FREE_SETTINGS))
        return settings | self.token_digests | {"packing.version": PACKING_VERSION}

    @property
    def token_digests(self) -> dict[str, str]:
        """The digest of each token folder by the dotted key of the setting that names it."""
        return {f"source.{source.name}.tokens": source.documents.digest for source in self.sources}

    @cached_property
    def hash(self) -> str:
        """sha256 of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    @property
    def num_places(self) -> int:
        return self.config.steps * self.config.batch_size

    def rows_of_step(self, step: int, rank: int = 0, world: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(source, epoch, row), each int64[batch_size / world], of `step` = 0, 1, … for one of `world` devices."""
        size = self.config.batch_size
        assert size % world == 0, f"batch_size {size} does not divide by a world of {world}"
        return self.mixture.sample(np.arange(step * size + rank, (step + 1) * size, world))

    def describe(self) -> list[str]:
        """One line for each source: its documents, the tokens of an epoch, its share of the rows, and its epochs.

        An epoch has each document as often as its weight says.
        """
        epochs = self.mixture.epochs(self.num_places)
        shares = self.mixture.slots / self.mixture.slots.sum()
        return [
            f"source {source.name}: {len(source.documents):,} documents, {source.num_epoch_tokens:,} tokens an epoch, "
            f"{source.packing.num_rows:,} rows of {self.config.sequence_length}, share {share:.3f}, "
            f"{num_epochs:.2f} epochs"
            for source, share, num_epochs in zip(self.sources, shares, epochs, strict=True)
        ]


def make_plan(config: TrainConfig) -> Plan:
    """The plan of a training; UserError for sources that are empty, too small or of different tokenizers."""
    sources = []
    for name, source in config.source.items():
        documents = TokenDocuments(Path(source.tokens), TRAIN)
        packing = pack_weighted(
            documents.num_tokens - 1,
            documents.weights,
            config.sequence_length,
            kind=config.packing.kind,
            max_segments=config.packing.max_segments,
        )
        if not packing.num_rows:
            raise UserError(f"source {name}: {source.tokens} has no training documents; remove the source")
        sources.append(PlannedSource(name, documents, packing))
    for other in sources[1:]:
        if other.documents.manifest.tokenizer_sha256 != sources[0].documents.manifest.tokenizer_sha256:
            raise UserError(
                f"source {other.name}: its tokenizer {other.documents.folder / TOKENIZER} is not that of source "
                f"{sources[0].name}; tokenize both with the same one"
            )
    _require_one_fraction(sources)
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


def _require_one_fraction(sources: Sequence[PlannedSource]) -> None:
    """UserError where token folders hold out different fractions: what is held out of one may be trained on in another.

    The split follows from a document's text, and a larger fraction holds out more of the same documents.
    """
    fractions = {
        source.documents.folder: shard.held_out_fraction
        for source in sources
        for shard in source.documents.manifest.shards.values()
    }
    first, *others = fractions
    for folder in others:
        if fractions[folder] != fractions[first]:
            raise UserError(
                f"{folder}: holds out {fractions[folder]:g} of its documents and {first} {fractions[first]:g}, so that "
                "documents of the one may be measured and trained on in the other; tokenize both with one --held-out"
            )


def held_out_documents(plan: Plan) -> dict[str, TokenDocuments]:
    """The held-out documents of each source that has some."""
    by_source = {source.name: TokenDocuments(source.documents.folder, HELD_OUT) for source in plan.sources}
    return {name: documents for name, documents in by_source.items() if len(documents)}


def differing_keys(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """The keys of two identities whose values differ, in order of name.

    A setting that one of them lacks, since a gristmill that did not know it made it, has its default there.
    """
    both = ours.keys() | theirs.keys()
    return sorted(key for key in both if ours.get(key, default_of(key)) != theirs.get(key, default_of(key)))


_TABLES: dict[str, type[Config]] = {
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "packing": PackingConfig,
    "source": TokenSourceConfig,
}


def default_of(key: str) -> Any:
    """The default of a setting of TRAIN.toml by its dotted key; None where it has none."""
    table, _, name = key.rpartition(".")
    of_table: type[Config] = _TABLES.get(table.partition(".")[0], TrainConfig)
    field = of_table.model_fields.get(name)
    return None if field is None or field.is_required() else field.default


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
