"""Models by name, and one dial that sets a whole training: `depth`.

depth is the number of layers, and everything else follows from it:

    width               64 · depth, in whole heads
    heads               of 64, of 128 from a width of 2,048 on; as many key-value heads
    feed_forward_width  8/3 · width in whole 64s: three matrices with the parameters of two of 4 · width (Shazeer, 2020)
    N                   parameters of the layers: depth · (4 · width² + 3 · width · feed_forward_width)
    tokens              D = 20 · N (Hoffmann et al., "Training Compute-Optimal Large Language Models", 2022, table 3)
    batch               0.2920 · C^0.3271 tokens, C = 6 · N · D, as the nearest power of two of rows
    lr                  0.3118 · C^-0.1250 (both: Bi et al., "DeepSeek LLM", 2024, section 3.1, equation 1)

An aspect ratio of 64 is that of GPT-2 at 124 M; over a wide range of it losses differ by a few percent (Kaplan et al.,
"Scaling Laws for Neural Language Models", 2020, figure 5). The rules of batch and rate were fitted from C = 1e17, a
depth of 9, to 2e19, a depth of 20; elsewhere they are extrapolated. A value that the file has stays, and moves no other
one.
"""

import math
from collections.abc import Mapping
from typing import Any

from shards.errors import UserError

_WIDTHS = ("width", "num_layers", "num_heads", "num_kv_heads", "feed_forward_width")
_SMALL: dict[str, Any] = {"qk_norm": True, "tied_embeddings": True}
# A name is the number of parameters: without embeddings in the first table, and in the second with embeddings of 50,000
# entries (124m, 350m), 32,000 (1.1b) and 128,000 (8b). Two CPU cores train "1m" at about 8,000 tokens/s and "3m" at
# about 4,000 (vocabulary 4,096, rows of 256).
PRESETS: dict[str, dict[str, Any]] = {
    "1m": dict(zip(_WIDTHS, (128, 4, 4, 2, 384), strict=True)) | _SMALL,
    "3m": dict(zip(_WIDTHS, (256, 4, 4, 2, 640), strict=True)) | _SMALL,
    "15m": dict(zip(_WIDTHS, (512, 6, 8, 4, 1152), strict=True)) | _SMALL,
    "25m": dict(zip(_WIDTHS, (512, 8, 8, 4, 1408), strict=True)) | _SMALL,
    "85m": dict(zip(_WIDTHS, (768, 12, 12, 4, 2304), strict=True)) | _SMALL,
    "300m": dict(zip(_WIDTHS, (1024, 24, 16, 8, 3072), strict=True)) | _SMALL,
} | {
    # The shapes of GPT-2 small and medium, TinyLlama, Llama 3.2 1B and 3B, and Llama 3 8B.
    "124m": dict(zip(_WIDTHS, (768, 12, 12, 12, 2048), strict=True)) | _SMALL,
    "350m": dict(zip(_WIDTHS, (1024, 24, 16, 16, 2688), strict=True)) | _SMALL,
    "1b": dict(zip(_WIDTHS, (2048, 16, 32, 8, 8192), strict=True)) | {"rope_theta": 5e5, "tied_embeddings": True},
    "1.1b": dict(zip(_WIDTHS, (2048, 22, 32, 4, 5632), strict=True)),
    "3b": dict(zip(_WIDTHS, (3072, 28, 24, 8, 8192), strict=True)) | {"rope_theta": 5e5, "tied_embeddings": True},
    "8b": dict(zip(_WIDTHS, (4096, 32, 32, 8, 14336), strict=True)) | {"rope_theta": 5e5},
}

SEQUENCE_LENGTH = 2048  # of a dialled training, unless the file has another
MAX_DEPTH = 1024


def dialled(depth: int, sequence_length: int) -> dict[str, Any]:
    """The settings of a training by its depth, as tables of TRAIN.toml."""
    head_width = 128 if depth >= 32 else 64
    width = -(-64 * depth // head_width) * head_width
    feed_forward_width = -(-8 * width // (3 * 64)) * 64
    widths = (width, depth, width // head_width, width // head_width, feed_forward_width)
    num_parameters = layer_parameters(dict(zip(_WIDTHS, widths, strict=True)))
    tokens = 20 * num_parameters
    flops = 6 * num_parameters * tokens
    return {
        "sequence_length": sequence_length,
        "batch_size": batch_rows(flops, sequence_length),
        "tokens": tokens,
        "model": dict(zip(_WIDTHS, widths, strict=True)) | _SMALL,
        "optimizer": {"lr": peak_lr(flops)},
    }


def batch_rows(flops: float, sequence_length: int) -> int:
    """Rows of a batch by the rule, for a training of so many operations."""
    rows: int = 2 ** round(math.log2(max(1.0, 0.2920 * flops**0.3271 / sequence_length)))
    return rows


def peak_lr(flops: float) -> float:
    """The learning rate by the rule, for a training of so many operations."""
    return float(f"{0.3118 * flops**-0.1250:.2g}")


def layer_parameters(model: Mapping[str, Any]) -> int:
    """N: parameters of the matrices of all layers, by the widths of a preset."""
    width, heads = model["width"], model["num_heads"]
    attention = 2 * width**2 + 2 * width**2 * model["num_kv_heads"] // heads
    count: int = model["num_layers"] * (attention + 3 * width * model["feed_forward_width"])
    return count


def fill_in(values: dict[str, Any], where: str) -> None:
    """Add to TRAIN.toml's `values` what `model.preset` or `model.depth` sets and they lack.

    UserError, naming the key after `where`, for an unknown preset, a depth that is none, and both together.
    """
    model = values.get("model")
    if not isinstance(model, dict):
        return
    preset, depth = model.get("preset"), model.get("depth")
    if preset is not None and depth is not None:
        raise UserError(f"{where}: model.preset and model.depth both set the widths; remove one of them")
    if preset is not None:
        if not isinstance(preset, str) or preset not in PRESETS:
            raise UserError(f"{where}: model.preset: expected one of {', '.join(PRESETS)}, found {preset!r}")
        values["model"] = PRESETS[preset] | model
    if depth is not None:
        if type(depth) is not int or not 1 <= depth <= MAX_DEPTH:
            raise UserError(f"{where}: model.depth: expected a whole number from 1 to {MAX_DEPTH:,}, found {depth!r}")
        _merge(values, dialled(depth, _sequence_length(values)))


def dial_lines(config: Mapping[str, Any]) -> list[str]:
    """What `model.depth` sets in the settings of a training, for people; nothing without it.

    A value that TRAIN.toml has instead is named with the one of the rule.
    """
    depth = config["model"]["depth"]
    if depth is None:
        return []
    rule = dialled(depth, config["sequence_length"])
    rule["steps"] = -(-rule["tokens"] // (rule["batch_size"] * rule["sequence_length"]))
    tokens, model, optimizer = (rule.pop(key) for key in ("tokens", "model", "optimizer"))
    lines = [f"depth {depth}: {tokens:,} tokens, 20 for each parameter of the layers"]
    for table, settings in (("", rule), ("model.", model), ("optimizer.", optimizer)):
        found = config[table[:-1]] if table else config
        lines += [
            f"{table}{name} = {_shown(found[name])}"
            + ("" if found[name] == value else f" by TRAIN.toml; the rule gives {_shown(value)}")
            for name, value in settings.items()
        ]
    return lines


def _sequence_length(values: dict[str, Any]) -> int:
    given = values.get("sequence_length", SEQUENCE_LENGTH)
    return given if type(given) is int and given > 0 else SEQUENCE_LENGTH  # what is none is refused with its place


def _merge(values: dict[str, Any], settings: dict[str, Any]) -> None:
    """Add settings that the values lack; `steps` stands for `tokens`."""
    if "steps" in values:
        settings.pop("tokens", None)
    for key, value in settings.items():
        if isinstance(value, dict) and isinstance(values.setdefault(key, {}), dict):
            _merge(values[key], value)
        else:
            values.setdefault(key, value)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:,}" if isinstance(value, int) else f"{value:g}"
