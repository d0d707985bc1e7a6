"""TRAIN.toml: the settings of a training. Paths in it are relative to the file.

out = "../runs/small"
steps = 400                       # or: tokens = 10_000_000
sequence_length = 256
batch_size = 16                   # sequences in one step

[model]
preset = "3m"                     # or: depth = 6, which sets tokens, batch and learning rate too

[source.web]
tokens = "../tokens/web"
weight = 0.8
max_epochs = 4
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from pretrain.presets import fill_in
from pretrain.weights_folder import find_weights
from shards.address import require_local, scheme
from shards.config import Config, load_toml
from shards.errors import UserError
from shards.object_store import STORES
from shards.token_manifest import token_folder
from shards.token_map import MAX_CACHED_BYTES


class TokenSourceConfig(Config):
    """A token folder and its share of the training rows."""

    tokens: str
    """Token folder of the source, as `gristmill tokenize` makes it, or its URL: `s3://bucket/tokens/web`."""

    @property
    def folder(self) -> Path:
        """The token folder, or a mirror of it on this disk."""
        return token_folder(self.tokens)

    repeat: dict[str, Annotated[float, Field(ge=0, le=1000)]] = Field(default_factory=dict)
    """How often an epoch has the documents of a bucket, by its name (`gristmill tokenize --bucket`), times their
    weights; once those of others. Fractions repeat a part of the documents."""

    weight: float = Field(default=1.0, ge=0, le=1e15)
    """Share of the training rows, on any scale (such as the size of a source); weights are divided by their sum."""

    max_epochs: float = Field(default=4.0, gt=0)
    """Most epochs of the source; a plan that needs more is refused. Up to four are nearly as good as new data
    (Muennighoff et al., "Scaling Data-Constrained Language Models", 2023)."""


class MixtureStage(Config):
    """Other weights from a point of the training on."""

    from_tokens: int = Field(ge=0)
    """Tokens of the training (rows times their length) at which the change begins; rounded to whole steps."""

    to_tokens: int | None = Field(default=None, gt=0)
    """Tokens at which a linear change is complete."""

    weights: dict[str, Annotated[float, Field(ge=0, le=1e15)]] = Field(min_length=1)
    """Weights by source; 0 for those that it does not name."""

    change: Literal["step", "linear"] = "step"
    """At once, or along a line from the weights before."""


class MixtureConfig(Config):
    """Which weights the sources have (`pretrain.order.blend`)."""

    policy: Literal["weights", "proportional", "temperature", "unimax"] = "weights"
    """The table of `source.NAME.weight`, or by size."""

    temperature: float = Field(default=10 / 3, ge=1, le=1e6)
    """Of the policy "temperature"; 1 is by size, more is more even. The default is mT5's α = 0.3."""

    stage: tuple[MixtureStage, ...] = ()
    """Changes of the weights, in order."""


class PackingConfig(Config):
    """How documents are laid into rows (`pretrain.order.packing`)."""

    kind: Literal["best_fit", "concatenate"] = "best_fit"
    """Fewest cuts, or documents one after the other."""

    max_segments: int = Field(default=64, gt=0)
    """Most pieces of documents in a row."""


class ModelConfig(Config):
    """A Llama-shaped decoder."""

    preset: str | None = None
    """Name in `pretrain.presets`, whose values stand where the file has none."""

    depth: int | None = None
    """In place of a preset: the number of layers, from which widths, tokens, batch and learning rate follow by the
    rules of `pretrain.presets`, where the file has none."""

    width: int = Field(gt=0, le=1 << 16)
    """Width of the residual stream; an even multiple of `num_heads`, unless `head_width` is given."""

    num_layers: int = Field(gt=0, le=1 << 10)

    num_heads: int = Field(gt=0, le=1 << 10)
    """Query heads; a multiple of `num_kv_heads`."""

    num_kv_heads: int = Field(gt=0, le=1 << 10)
    """Key-value heads. Fewer than `num_heads` is grouped-query attention (Ainslie et al., 2023)."""

    head_width: int | None = Field(default=None, gt=0, le=1 << 16)
    """Width of a head, even; `width` / `num_heads` if not given. Some published models have another one."""

    feed_forward_width: int = Field(gt=0, le=1 << 20)
    """Inner width of SwiGLU (Shazeer, "GLU Variants Improve Transformer", 2020)."""

    positions: Literal["rope", "alibi"] = "rope"
    """Rotary embedding, or biases of the scores by distance (Press et al., "Train Short, Test Long", 2022), on CPU
    only."""

    rope_theta: float = Field(default=10_000.0, gt=0)
    """Base of the rotary wavelengths (Su et al., "RoFormer", 2021); larger for longer sequences."""

    norm_epsilon: float = Field(default=1e-5, gt=0)
    """Added to the mean square in RMSNorm."""

    qk_norm: bool = False
    """RMSNorm on each head's queries and keys, which keeps training stable at high learning rates."""

    tied_embeddings: bool = False
    """Use the embedding as the output matrix."""

    @property
    def width_of_heads(self) -> int:
        return self.head_width or self.width // self.num_heads


class OptimizerConfig(Config):
    """The optimizer and its schedule."""

    kind: Literal["adamw", "muon"] = "adamw"
    """AdamW for all parameters, or Muon for the matrices of the layers (`pretrain.optim`)."""

    lr: float = Field(default=6e-4, gt=0)
    """Peak learning rate."""

    min_lr_fraction: float = Field(default=0.1, ge=0, le=1)
    """Learning rate of the last step, as a fraction of `lr`."""

    warmup_steps: int = Field(default=100, ge=0, le=1 << 40)
    """Steps of linear warm-up."""

    schedule: Literal["cosine", "wsd", "constant"] = "cosine"
    """After the warm-up: half a cosine, constant and then linear decay (Hu et al., "MiniCPM", 2024), or constant."""

    decay_fraction: float = Field(default=0.2, gt=0, le=1)
    """Fraction of all steps in which "wsd" decays."""

    beta1: float = Field(default=0.9, ge=0, lt=1)
    """AdamW's decay of the mean gradient, a step (Loshchilov and Hutter, 2019)."""

    beta2: float = Field(default=0.95, ge=0, lt=1)
    """AdamW's decay of the mean squared gradient, a step; 0.95 as in GPT-3 (Brown et al., 2020)."""

    epsilon: float = Field(default=1e-8, gt=0)
    """AdamW's addition to the denominator."""

    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Muon's decay of the summed gradients, a step (Jordan et al., 2024)."""

    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay, a step, of an average of the weights that is evaluated in their place; 0: none. 0.999 averages some
    thousand steps (Polyak and Juditsky, 1992)."""

    weight_decay: float = Field(default=0.1, ge=0)
    """Of matrices; norms have none."""

    z_loss: float = Field(default=0.0, ge=0)
    """Factor of ln² Z that is added to each token's loss, where Z is the sum of exp(logits); 1e-4 in PaLM (Chowdhery et
    al., 2022, section 5)."""

    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients of a larger norm over all parameters are scaled down to this one."""


class CheckpointConfig(Config):
    """Checkpoints: when one is saved, and which ones stay."""

    every: int = Field(default=500, gt=0)
    """Steps between checkpoints."""

    every_minutes: float = Field(default=15.0, gt=0)
    """Most minutes between checkpoints. The first one comes after a minute at the latest."""

    keep_last: int = Field(default=2, gt=0)
    """Newest checkpoints that stay on disk."""

    keep_every: int | None = Field(default=None, gt=0)
    """Each step that it divides has a checkpoint, which stays."""

    asynchronous: bool = True
    """Write while training goes on. It takes memory for a second copy of weights and optimizer state."""


class DeviceConfig(Config):
    """What a training runs on, and how; none of it changes what is learned."""

    kind: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` is CUDA where there is a device."""

    micro_batch_size: Literal["auto"] | Annotated[int, Field(gt=0)] = "auto"
    """Most rows in the memory of a device at once; as many are taken as divide its rows of a step evenly. `auto` is by
    trial on CUDA, and 16,384 tokens on a CPU."""

    precision: Literal["auto", "bf16", "float32", "float64"] = "auto"
    """Of matrix products. Weights are float32 unless this is float64, which is for comparisons. `auto` is bf16 on CUDA
    and float32 on a CPU."""

    compile: bool = False
    """torch.compile, a block of the model at a time: faster steps after a minute of start-up."""

    recompute: Literal["none", "block"] = "none"
    """`block` keeps the inputs of each block alone for the backward pass, which computes the rest again: a third more
    work for a fraction of the memory."""

    parallel: Literal["auto", "ddp", "fsdp"] = "auto"
    """Of several devices, each has the whole model (DDP) or a part of each matrix (FSDP2). `auto` is FSDP2 where the
    model, its gradient and its optimizer's state would fill 40 % of a device."""


class EvaluateConfig(Config):
    """When bits per byte on held-out documents are measured."""

    every: int | None = Field(default=None, gt=0)
    """Steps between evaluations; None: only after the last one."""

    max_tokens: int = Field(default=1_000_000, gt=0, lt=1 << 63)
    """Held-out tokens of each source that are evaluated."""

    first: bool = False
    """Evaluate the initial model as well."""

    tasks: tuple[str, ...] = ()
    """Files of questions (`pretrain.tasks.questions`) that are scored as `gristmill eval` scores them."""

    task_questions: int | None = Field(default=None, gt=0)
    """Most questions of a task, spread evenly over it; None: all."""


class SpikesConfig(Config):
    """Spikes of loss and gradient norm (`pretrain.spikes`): when a step is one, and what follows."""

    sigma: float = Field(default=6.0, gt=0)
    """Standard deviations above the median of the steps before; more is a spike, and so is what is not finite."""

    window: int = Field(default=128, ge=16)
    """Steps before that a step is compared with; a quarter of them are enough in the beginning."""

    action: Literal["stop", "skip", "rollback"] = "stop"
    """Stop, leave the update out, or go back to the newest checkpoint and leave rows out. None updates by the spike."""

    max_rollbacks: int = Field(default=3, ge=0)
    """Rollbacks of a training; at the next spike it stops."""

    left_out_steps: int = Field(default=8, gt=0)
    """Steps up to the spike whose rows a rollback leaves out, as far as they are after the checkpoint."""

    runs: tuple[str, ...] = ()
    """Folders of cleaned text whose ledgers say more about the documents of a spike: rules, values, scores."""


class MonitorConfig(Config):
    """What a training shows of itself (`pretrain.monitor`)."""

    every_s: float = Field(default=10.0, gt=0)
    """Seconds between lines where standard error is no terminal; on a terminal one line is rewritten."""

    report: bool = True
    """Keep OUT/report.html up to date, with at most 1 % of the time; `gristmill report` writes it as well."""

    sample_every: int | None = Field(default=None, gt=0)
    """Steps between samples of the model's text, in OUT/samples.jsonl; None: no samples."""

    prompts: tuple[str, ...] = ("",)
    """Beginnings of the samples; "" is the beginning of a document."""

    sample_tokens: int = Field(default=64, gt=0, le=4096)
    """Most tokens of a sample."""

    temperature: float = Field(default=0.8, ge=0, le=100)
    """Of samples: logits are divided by it; 0 takes the likeliest token."""

    tensorboard: bool = False
    """Write OUT/tensorboard; needs the package tensorboard."""

    wandb: str | None = Field(default=None, min_length=1)
    """Project of Weights & Biases to log to; needs the package wandb, and offline its WANDB_MODE=offline."""


class TrainConfig(Config):
    """A training. Bounds of `steps` and `batch_size` keep their product, the places of the order, within 64 bits."""

    out: str
    """Folder of the training: metrics and checkpoints."""

    init: str | None = None
    """Folder of a model whose weights training begins with (`pretrain.weights_folder`): the `out` of another training,
    or Llama or Qwen3 as Hugging Face has them. `[model]` may then be left out. None: random weights."""

    steps: int = Field(gt=0, le=1 << 40)
    """Optimizer steps. The file may give `tokens` in their place, rounded up to whole steps."""

    sequence_length: int = Field(gt=0, le=1 << 20)
    """Predictions in a row."""

    batch_size: int = Field(gt=0, le=1 << 20)
    """Rows in one step, over all devices and micro-batches."""

    seed: int = Field(default=0, ge=0, lt=1 << 63)
    """Of initial weights and of the order of rows."""

    deterministic: bool = False
    """Use only kernels that give the same bits again, which CUDA has slower ones for; a CPU does so anyway."""

    token_cache_gb: float = Field(default=MAX_CACHED_BYTES / 1e9, gt=0, le=1e6)
    """Disk that a process may take for copies of token shards in a store, in GB; GRISTMILL_SCRATCH says where."""

    model: ModelConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    device: DeviceConfig = DeviceConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    packing: PackingConfig = PackingConfig()
    mixture: MixtureConfig = MixtureConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    spikes: SpikesConfig = SpikesConfig()
    monitor: MonitorConfig = MonitorConfig()
    source: dict[str, TokenSourceConfig] = Field(min_length=1)
    """Sources by name."""


def load_config(path: Path, overrides: Mapping[str, str]) -> TrainConfig:
    """The settings of TRAIN.toml after `overrides` ("optimizer.lr" → "1e-3"), with absolute paths.

    UserError, with the key path, for a file that cannot be read, an unknown key, a value of another type or range, and
    settings that do not fit together.
    """
    values = load_toml(path)
    for key, text in overrides.items():
        _set(values, key, text)
    _fill_in_from_init(values, path)
    fill_in(values, str(path))
    _fill_in_steps(values, path)
    _make_paths_absolute(values, path.parent)
    config = TrainConfig.parse(values, str(path))
    _check(config, path)
    return config


def _set(values: dict[str, Any], key: str, text: str) -> None:
    """Set the dotted key to `text`, read as a TOML value or otherwise as a string."""
    *tables, last = key.split(".")
    for name in tables:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise UserError(f"{key}: {name} is a value, not a table")
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = text


def _fill_in_from_init(values: dict[str, Any], path: Path) -> None:
    """Set `[model]` to that of the model in `init`; UserError where the file sets another value."""
    init = values.get("init")
    if not isinstance(init, str):
        return
    require_local(init)
    folder = (path.parent / init).resolve()
    values["init"] = str(folder)
    theirs = ModelConfig.parse(find_weights(folder).settings, f"{path}: init").model_dump(exclude={"preset", "depth"})
    given = {"model": dict(values.get("model", {}))} if isinstance(values.get("model", {}), dict) else {}
    fill_in(given, str(path))
    for key, value in given.get("model", {}).items():
        if key not in ("preset", "depth") and value != theirs.get(key):
            raise UserError(
                f"{path}: model.{key}: is {value!r}, and {theirs.get(key)!r} in {folder}; leave [model] out with init"
            )
    values["model"] = {key: value for key, value in theirs.items() if value is not None}


def _fill_in_steps(values: dict[str, Any], path: Path) -> None:
    """Replace `tokens` by `steps`."""
    if ("steps" in values) == ("tokens" in values):
        raise UserError(f"{path}: expected either steps or tokens; set one of them")
    if "tokens" in values:
        sizes = [values.pop("tokens"), values.get("batch_size"), values.get("sequence_length")]
        if not all(type(size) is int and size > 0 for size in sizes):
            raise UserError(f"{path}: tokens, batch_size, sequence_length: expected positive integers, found {sizes}")
        values["steps"] = -(-sizes[0] // (sizes[1] * sizes[2]))  # with integers: 10**400 is too large for a float


def _make_paths_absolute(values: dict[str, Any], folder: Path) -> None:
    sources = values.get("source")
    tables = list(sources.values()) if isinstance(sources, dict) else []
    for table, key in [(values, "out"), *((table, "tokens") for table in tables)]:
        if isinstance(table, dict) and isinstance(table.get(key), str):
            if key == "tokens" and scheme(table[key]) in STORES:
                token_folder(table[key])  # which refuses an address that is none
                continue
            require_local(table[key])
            table[key] = _absolute(folder, table[key])
    for table, key in (("spikes", "runs"), ("evaluate", "tasks")):
        settings = values.get(table)
        if isinstance(settings, dict) and isinstance(settings.get(key), list):
            settings[key] = [_absolute(folder, path) if isinstance(path, str) else path for path in settings[key]]


def _absolute(folder: Path, path: str) -> str:
    if "\0" in path:
        raise UserError(f"{path!r}: a path has no NUL; remove it")
    return str((folder / path).resolve())


def _check(config: TrainConfig, path: Path) -> None:
    """UserError for settings that do not fit together."""
    model = config.model
    if model.head_width is not None:
        if model.head_width % 2:
            raise UserError(f"{path}: model.head_width {model.head_width} must be even")
    elif model.width % model.num_heads or model.width // model.num_heads % 2:
        raise UserError(f"{path}: model.width {model.width} must be an even multiple of num_heads {model.num_heads}")
    if model.num_heads % model.num_kv_heads:
        raise UserError(
            f"{path}: model.num_heads {model.num_heads} must be a multiple of num_kv_heads {model.num_kv_heads}"
        )
