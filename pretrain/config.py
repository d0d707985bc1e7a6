"""TRAIN.toml: what is trained, on what, and how. Paths in it are relative to the file.

out = "../runs/small"
steps = 400                       # or: tokens = 10_000_000
sequence_length = 256
batch_size = 16                   # sequences in one step

[model]
preset = "3m"

[source.web]
tokens = "../tokens/web"
weight = 0.8
max_epochs = 4
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from shards.config import Config, load_toml
from shards.errors import UserError


class SourceConfig(Config):
    """A token folder and its share of the training rows."""

    tokens: str
    weight: float = Field(default=1.0, gt=0, le=1e15)  # any scale, a source's size for example; they are summed
    # Up to four epochs are nearly as good as new data (Muennighoff et al., "Scaling Data-Constrained LMs", 2023).
    max_epochs: float = Field(default=4.0, gt=0)


class ModelConfig(Config):
    """A Llama-shaped decoder."""

    preset: str | None = None  # a name of PRESETS, whose values stand where the file gives none
    width: int = Field(gt=0, le=1 << 16)
    num_layers: int = Field(gt=0, le=1 << 10)
    num_heads: int = Field(gt=0, le=1 << 10)
    num_kv_heads: int = Field(gt=0, le=1 << 10)  # fewer than num_heads: grouped-query attention
    feed_forward_width: int = Field(gt=0, le=1 << 20)
    rope_theta: float = Field(default=10_000.0, gt=0)
    norm_epsilon: float = Field(default=1e-5, gt=0)
    qk_norm: bool = False  # RMSNorm on each head's queries and keys: steadier at high learning rates
    tied_embeddings: bool = False  # the output matrix is the embedding


class OptimizerConfig(Config):
    """AdamW with linear warm-up, then a cosine or a constant-and-linear-decay ("wsd") schedule."""

    lr: float = Field(default=6e-4, gt=0)
    min_lr_fraction: float = Field(default=0.1, ge=0, le=1)  # of lr, reached at the last step
    warmup_steps: int = Field(default=100, ge=0, le=1 << 40)
    schedule: Literal["cosine", "wsd"] = "cosine"
    decay_fraction: float = Field(default=0.2, gt=0, le=1)  # of all steps; wsd decays over these
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)  # of matrices; norms have none
    max_grad_norm: float = Field(default=1.0, gt=0)


class TrainConfig(Config):
    out: str
    # The bounds keep the places of the training order, steps times batch_size, within 64 bits.
    steps: int = Field(gt=0, le=1 << 40)
    sequence_length: int = Field(gt=0, le=1 << 20)
    batch_size: int = Field(gt=0, le=1 << 20)  # sequences in one step, over all devices and micro-batches
    micro_batch_size: int | None = Field(default=None, gt=0)  # sequences in memory at once; None: the whole batch
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False  # torch.compile: faster steps, a minute of start-up
    checkpoint_every: int = Field(default=500, gt=0)  # steps
    keep_checkpoints: int = Field(default=2, gt=0)
    eval_every: int | None = Field(default=None, gt=0)  # steps; None: only before the first and after the last
    eval_max_tokens: int = Field(
        default=1_000_000, gt=0, lt=1 << 63
    )  # held-out tokens of each source that are measured
    model: ModelConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    source: dict[str, SourceConfig] = Field(min_length=1)


_WIDTHS = ("width", "num_layers", "num_heads", "num_kv_heads", "feed_forward_width")
_SMALL: dict[str, Any] = {"qk_norm": True, "tied_embeddings": True}
# The name says how many parameters there are without embeddings. Two CPU cores train "1m" at about 8,000 tokens/s and
# "3m" at about 4,000 (vocabulary 4,096, rows of 256).
# 1b and 3b have the shapes of Llama 3.2.
PRESETS: dict[str, dict[str, Any]] = {
    "1m": dict(zip(_WIDTHS, (128, 4, 4, 2, 384), strict=True)) | _SMALL,
    "3m": dict(zip(_WIDTHS, (256, 4, 4, 2, 640), strict=True)) | _SMALL,
    "25m": dict(zip(_WIDTHS, (512, 8, 8, 4, 1408), strict=True)) | _SMALL,
    "85m": dict(zip(_WIDTHS, (768, 12, 12, 4, 2304), strict=True)) | _SMALL,
    "300m": dict(zip(_WIDTHS, (1024, 24, 16, 8, 3072), strict=True)) | _SMALL,
    "1b": dict(zip(_WIDTHS, (2048, 16, 32, 8, 8192), strict=True)) | {"rope_theta": 5e5, "tied_embeddings": True},
    "3b": dict(zip(_WIDTHS, (3072, 28, 24, 8, 8192), strict=True)) | {"rope_theta": 5e5, "tied_embeddings": True},
}


def load_config(path: Path, overrides: Mapping[str, str]) -> TrainConfig:
    """The settings of TRAIN.toml with `overrides` ("optimizer.lr" → "1e-3") put in, and its paths made absolute."""
    values = load_toml(path)
    for key, text in overrides.items():
        _set(values, key, text)
    _fill_in_preset(values, path)
    _fill_in_steps(values, path)
    sources = values.get("source")
    for table, key in [
        (values, "out"),
        *((s, "tokens") for s in (sources.values() if isinstance(sources, dict) else ())),
    ]:
        if isinstance(table, dict) and isinstance(table.get(key), str):
            table[key] = str((path.parent / table[key]).resolve())
    config = TrainConfig.parse(values, str(path))
    _check(config, path)
    return config


def _set(values: dict[str, Any], key: str, text: str) -> None:
    """Put `text`, read as a TOML value or else as a string, at a dotted key."""
    *tables, last = key.split(".")
    for name in tables:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise UserError(f"{key}: {name} is a value, not a table")
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = text


def _fill_in_preset(values: dict[str, Any], path: Path) -> None:
    model = values.get("model")
    if isinstance(model, dict) and "preset" in model:
        if not isinstance(model["preset"], str) or model["preset"] not in PRESETS:
            raise UserError(f"{path}: model.preset: expected one of {', '.join(PRESETS)}, found {model['preset']!r}")
        values["model"] = PRESETS[model["preset"]] | model


def _fill_in_steps(values: dict[str, Any], path: Path) -> None:
    """Turn `tokens` into `steps`."""
    if ("steps" in values) == ("tokens" in values):
        raise UserError(f"{path}: give either steps or tokens")
    if "tokens" in values:
        sizes = [values.pop("tokens"), values.get("batch_size"), values.get("sequence_length")]
        if not all(type(size) is int and size > 0 for size in sizes):
            raise UserError(f"{path}: tokens, batch_size, sequence_length: expected positive integers, found {sizes}")
        values["steps"] = -(-sizes[0] // (sizes[1] * sizes[2]))  # in integers: 10**400 is no float


def _check(config: TrainConfig, path: Path) -> None:
    model, micro = config.model, config.micro_batch_size
    if model.width % model.num_heads or model.width // model.num_heads % 2:
        raise UserError(f"{path}: model.width {model.width} must be an even multiple of num_heads {model.num_heads}")
    if model.num_heads % model.num_kv_heads:
        raise UserError(
            f"{path}: model.num_heads {model.num_heads} must be a multiple of num_kv_heads {model.num_kv_heads}"
        )
    if micro and config.batch_size % micro:
        raise UserError(f"{path}: batch_size {config.batch_size} must be a multiple of micro_batch_size {micro}")
