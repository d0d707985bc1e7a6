"""The plan: what is trained on and in which order, known and checked before the first step.

It is made from TRAIN.toml and the token folders, holds no tokens, and is the same on every machine. A checkpoint is
resumed only under a plan of the same `identity`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.config import (
    MixtureConfig,
    ModelConfig,
    OptimizerConfig,
    PackingConfig,
    TokenSourceConfig,
    TrainConfig,
    load_config,
)
from pretrain.metrics import METRICS
from pretrain.order.blend import blend, continued
from pretrain.order.left_out import Windows, skipped_places, trained_places
from pretrain.order.mixture import Mixture, MixtureSource, Phase
from pretrain.order.packing import VERSION as PACKING_VERSION
from pretrain.order.planned_rows import PlannedRows, PlannedSource, keep_rows, make_rows, open_rows
from pretrain.state import CHECKPOINTS, newest_state
from pretrain.weights_folder import find_weights
from shards.config import Config
from shards.errors import UserError
from shards.token_manifest import TOKENIZER, read_token_manifest
from shards.tokens import HELD_OUT, TokenDocuments

Phases = tuple[tuple[int, dict[str, float]], ...]  # first place, weights by source

SETTINGS = "train.toml"  # name, in a training's `out`, of its settings with all defaults and overrides

# Settings that leave the training curve as it is, so that a run may be resumed with other values.
FREE_SETTINGS = {
    "out",
    "deterministic",
    "device",
    "evaluate",
    "checkpoint",
    "spikes",
    "token_cache_gb",
    "monitor",
}


@dataclass(frozen=True)
class Plan:
    """The rows of all sources and their order; a place of the order is one row of one global batch."""

    config: TrainConfig
    planned: PlannedRows
    mixture: Mixture
    left_out: Windows = ()

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
        if self.config.init is not None:
            settings["init"] = find_weights(Path(self.config.init)).digest
        return settings | self.token_digests | {"packing.version": PACKING_VERSION}

    @property
    def token_digests(self) -> dict[str, str]:
        """The digest of each token folder by the dotted key of the setting that names it."""
        return {f"source.{source.name}.tokens": source.digest for source in self.sources}

    @cached_property
    def hash(self) -> str:
        return hash_of(self.identity, self.phases, self.left_out)

    @property
    def phases(self) -> Phases:
        """(first place, weights by source) of the mixture's phases, as checkpoints record them."""
        names = [source.name for source in self.sources]
        return tuple((phase.first, dict(zip(names, phase.weights, strict=True))) for phase in self.mixture.phases)

    @property
    def num_places(self) -> int:
        """Places of the order up to the last one that is trained on."""
        return self.first_place(self.config.steps)

    def first_place(self, step: int) -> int:
        """The place after those of the first `step` steps."""
        num_trained = step * self.config.batch_size
        return 1 + int(trained_places(np.array([num_trained - 1]), self.skipped)[0]) if num_trained else 0

    def step_at(self, place: int) -> int:
        """The number of steps whose places are all before this one."""
        return (place - int(np.searchsorted(self.skipped, place))) // self.config.batch_size

    @cached_property
    def skipped(self) -> np.ndarray:
        """int64, increasing: the places that are left out."""
        return skipped_places(self.mixture, self.left_out, self.config.steps * self.config.batch_size)

    def in_order_of(self, old: Phases, new: tuple[Phase, ...], place: int) -> "Plan":
        """The same plan with the phases `old` up to a place, and `new` from there on."""
        phases = continued(old, new, list(self.config.source), place)
        return replace(self, mixture=replace(self.mixture, phases=phases))

    def used(self, num_steps: int) -> np.ndarray:
        """int64[sources]: rows that the first steps take from each source."""
        place = self.first_place(num_steps)
        source, _, _ = self.mixture.sample(self.skipped[self.skipped < place])
        used: np.ndarray = self.mixture.counts(place) - np.bincount(source, minlength=len(self.sources))
        return used

    def rows_of_step(self, step: int, rank: int = 0, world: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(source, epoch, row), each int64[batch_size / world], of `step` = 0, 1, … for one of `world` devices."""
        size = self.config.batch_size
        assert size % world == 0, f"batch_size {size} does not divide by a world of {world}"
        places = np.arange(step * size + rank, (step + 1) * size, world)
        return self.mixture.sample(trained_places(places, self.skipped))


def hash_of(identity: Mapping[str, Any], phases: Phases, left_out: Windows = ()) -> str:
    """sha256 of the identity, the phases and what is left out of a plan, as checkpoints record them."""
    what = [identity, phases, left_out] if left_out else [identity, phases]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def load_training(path: Path) -> TrainConfig:
    """The settings of a training: of its folder, wherever that lies now, or of its TRAIN.toml.

    UserError for a folder of no training, and as `load_config` does.
    """
    if not path.is_dir():
        return load_config(path, {})
    if missing := [name for name in (SETTINGS, METRICS) if not (path / name).exists()]:
        raise UserError(f"{path}: no training: has no {missing[0]}; name the `out` of one, or a TRAIN.toml")
    return load_config(path / SETTINGS, {"out": str(path.resolve())})


def make_plan(
    config: TrainConfig, *, continued_from: int | None = None, check: bool = True, anew: bool = False
) -> Plan:
    """The plan of a training.

    A training that was continued with other settings has the phases that its newest checkpoint records. With
    `continued_from`, steps, that checkpoint's phases stand for so many steps, and those of `config` after them. `anew`
    makes the rows from the token folders even where the file in `out` has them.

    UserError for sources that are empty, smaller than a row, of different tokenizers or held-out fractions, and with
    `check` for a source that needs more epochs than its maximum.
    """
    _require_one_tokenizer(config)
    _require_one_fraction(config)
    planned = make_rows(config) if anew else open_rows(config)
    for source in planned.sources:
        if source.num_epoch_tokens < config.sequence_length:
            raise UserError(
                f"source {source.name}: its {source.num_epoch_tokens:,} tokens do not fill one row of "
                f"{config.sequence_length:,}; remove it, or lower sequence_length"
            )
    sources = tuple(MixtureSource(s.name, s.num_rows, config.source[s.name].max_epochs) for s in planned.sources)
    phases = blend(config, [source.num_rows for source in sources])
    plan = Plan(config, planned, Mixture(sources, phases, config.seed))
    state = newest_state(Path(config.out) / CHECKPOINTS)
    if state and state.phases and (continued_from is not None or not differing_keys(plan.identity, state.identity)):
        end = config.steps * config.batch_size + sum(end - first for first, end in state.left_out)
        plan = replace(plan, left_out=state.left_out).in_order_of(state.phases, phases, end)
        if continued_from is not None:
            plan = plan.in_order_of(state.phases, phases, plan.first_place(continued_from))
    if check:
        plan.mixture.check(config.steps * config.batch_size)
    return plan


def keep_plan(plan: Plan) -> Plan:
    """The same plan with its rows in one file in `out`, which other processes and later starts map."""
    return replace(plan, planned=keep_rows(plan.config, plan.planned))


def _require_one_tokenizer(config: TrainConfig) -> None:
    """UserError where two token folders were made by different tokenizers."""
    manifests = {name: read_token_manifest(source.folder) for name, source in config.source.items()}
    first = next(iter(manifests))
    for name, manifest in manifests.items():
        if manifest.tokenizer_sha256 != manifests[first].tokenizer_sha256:
            raise UserError(
                f"source {name}: its tokenizer {config.source[name].folder / TOKENIZER} is not that of source "
                f"{first}; tokenize both with the same one"
            )


def _require_one_fraction(config: TrainConfig) -> None:
    """UserError where token folders hold out different fractions: what is held out of one may be trained on in another.

    The split follows from a document's text, and a larger fraction holds out more of the same documents.
    """
    fractions = {
        source.folder: shard.held_out_fraction
        for source in config.source.values()
        for shard in read_token_manifest(source.folder).shards.values()
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
    ours, theirs = _as_json(ours), _as_json(theirs)  # a checkpoint that is read has tuples for lists
    both = ours.keys() | theirs.keys()
    return sorted(key for key in both if ours.get(key, default_of(key)) != theirs.get(key, default_of(key)))


_TABLES: dict[str, type[Config]] = {
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "mixture": MixtureConfig,
    "packing": PackingConfig,
    "source": TokenSourceConfig,
}


def default_of(key: str) -> Any:
    """The default of a setting of TRAIN.toml by its dotted key; None where it has none."""
    table, _, name = key.rpartition(".")
    of_table: type[Config] = _TABLES.get(table.partition(".")[0], TrainConfig)
    field = of_table.model_fields.get(name)
    return None if field is None or field.is_required() else _as_json(field.default)


def _as_json(values: Any) -> Any:
    return json.loads(json.dumps(values))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
