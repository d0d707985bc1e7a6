"""The plan: what is trained on and in which order, known and checked before the first step.

It is made from TRAIN.toml and the token folders, holds no tokens, and is the same on every machine. A checkpoint is
resumed only under a plan of the same `identity`.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.config import ModelConfig, OptimizerConfig, PackingConfig, TokenSourceConfig, TrainConfig
from pretrain.order.mixture import Mixture, MixtureSource, Phase
from pretrain.order.packing import VERSION as PACKING_VERSION
from pretrain.order.planned_rows import PlannedRows, PlannedSource, keep_rows, open_rows
from shards.config import Config
from shards.errors import UserError
from shards.token_manifest import TOKENIZER, read_token_manifest
from shards.tokens import HELD_OUT, TokenDocuments

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
class Plan:
    """The rows of all sources and their order; a place of the order is one row of one global batch."""

    config: TrainConfig
    planned: PlannedRows
    mixture: Mixture

    @property
    def sources(self) -> tuple[PlannedSource, ...]:
        return self.planned.sources

    @property
    def vocab_size(self) -> int:
        return self.sources[0].manifest.vocab_size

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that the training curve depends on, by dotted key; token folders are digests."""
        settings = _flat(self.config.model_dump(exclude=FREE_SETTINGS))
        return settings | self.token_digests | {"packing.version": PACKING_VERSION}

    @property
    def token_digests(self) -> dict[str, str]:
        """The digest of each token folder by the dotted key of the setting that names it."""
        return {f"source.{source.name}.tokens": source.digest for source in self.sources}

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
        counts = self.mixture.counts(self.num_places)
        return [
            f"source {source.name}: {source.num_documents:,} documents, {source.num_epoch_tokens:,} tokens an epoch, "
            f"{source.num_rows:,} rows of {self.config.sequence_length}, share {count / self.num_places:.3f}, "
            f"{count / source.num_rows:.2f} epochs"
            for source, count in zip(self.sources, counts, strict=True)
        ]


def make_plan(config: TrainConfig) -> Plan:
    """The plan of a training; UserError for sources that are empty, too small or of different tokenizers."""
    _require_one_tokenizer(config)
    _require_one_fraction(config)
    planned = open_rows(config)
    sources = tuple(MixtureSource(s.name, s.num_rows, config.source[s.name].max_epochs) for s in planned.sources)
    weights = tuple(source.weight for source in config.source.values())
    plan = Plan(config, planned, Mixture(sources, (Phase(0, weights),), config.seed))
    plan.mixture.check(plan.num_places)
    return plan


def keep_plan(plan: Plan) -> Plan:
    """The same plan with its rows in one file in `out`, which other processes and later starts map."""
    return replace(plan, planned=keep_rows(plan.config, plan.planned))


def _require_one_tokenizer(config: TrainConfig) -> None:
    """UserError where two token folders were made by different tokenizers."""
    manifests = {name: read_token_manifest(Path(source.tokens)) for name, source in config.source.items()}
    first = next(iter(manifests))
    for name, manifest in manifests.items():
        if manifest.tokenizer_sha256 != manifests[first].tokenizer_sha256:
            raise UserError(
                f"source {name}: its tokenizer {Path(config.source[name].tokens) / TOKENIZER} is not that of source "
                f"{first}; tokenize both with the same one"
            )


def _require_one_fraction(config: TrainConfig) -> None:
    """UserError where token folders hold out different fractions: what is held out of one may be trained on in another.

    The split follows from a document's text, and a larger fraction holds out more of the same documents.
    """
    fractions = {
        Path(source.tokens): shard.held_out_fraction
        for source in config.source.values()
        for shard in read_token_manifest(Path(source.tokens)).shards.values()
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
    by_source = {source.name: TokenDocuments(source.folder, HELD_OUT) for source in plan.sources}
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
