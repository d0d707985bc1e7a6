"""A decoder as Hugging Face's config.json describes it: Llama, or Qwen3 where queries and keys are normalised.

Our settings of a model stand in a table `[model]` of TRAIN.toml, theirs in FOLDER/config.json. What our model does not
compute (biases, scaled rotary positions, sliding windows) is refused by the key.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shards.errors import UserError
from shards.limits import check_limits

CONFIG, GENERATION = "config.json", "generation_config.json"
TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP = "tokenizer_config.json", "special_tokens_map.json"
PREFIX = "model."  # of all weights but the output matrix

_NAMES = {  # theirs: ours
    "hidden_size": "width",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "num_key_value_heads": "num_kv_heads",
    "head_dim": "head_width",
    "intermediate_size": "feed_forward_width",
    "rms_norm_eps": "norm_epsilon",
}
_KINDS = {"llama": False, "qwen3": True}  # whether queries and keys are normalised
_EPSILON = 1e-6  # of both kinds in `transformers`, where the file has none
# Keys whose other values our model does not compute.
_ONLY: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", None),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "use_sliding_window": (False, None),
    "rope_scaling": (None,),
}


def is_folder(path: Path) -> bool:
    """Whether there is a model in Hugging Face's form."""
    return (path / CONFIG).is_file()


def read_config(folder: Path) -> dict[str, Any]:
    """FOLDER/config.json. UserError where it is missing or no JSON object."""
    path = folder / CONFIG
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        check_limits(path, error)
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a JSON object")
    return values


def model_settings(folder: Path) -> dict[str, Any]:
    """The table `[model]` of a folder's model. UserError, with the key, where our model does not compute it."""
    values, path = read_config(folder), folder / CONFIG
    if (kind := values.get("model_type")) not in _KINDS:
        raise UserError(f"{path}: model_type: is {kind!r}, and {' and '.join(_KINDS)} are supported")
    rope = values.get("rope_parameters") or {}
    for key, allowed in _ONLY.items():
        if values.get(key) not in allowed:
            raise UserError(f"{path}: {key}: is {_shown(values[key])}, and only {_shown(allowed[0])} is supported")
    if rope.get("rope_type", "default") != "default":
        raise UserError(f"{path}: rope_parameters: is {_shown(rope)}, and only rope_type default is supported")
    try:
        settings = {ours: values[theirs] for theirs, ours in _NAMES.items() if values.get(theirs) is not None}
        settings.setdefault("num_kv_heads", settings["num_heads"])
        settings.setdefault("norm_epsilon", _EPSILON)
        if settings.get("head_width") == settings["width"] // settings["num_heads"]:
            del settings["head_width"]
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise UserError(f"{path}: not a configuration of {kind} ({error!r})") from None
    theta = rope.get("rope_theta", values.get("rope_theta", 10_000.0))
    tied = bool(values.get("tie_word_embeddings", False))
    return settings | {"rope_theta": float(theta), "qk_norm": _KINDS[kind], "tied_embeddings": tied}


def config_json(
    model: Mapping[str, Any], *, vocab_size: int, max_length: int, bos: int, eos: int, dtype: str
) -> dict[str, Any]:
    """config.json of a model with these settings, by the names of `ModelConfig`."""
    kind = "qwen3" if model["qk_norm"] else "llama"
    values: dict[str, Any] = {
        "architectures": [{"qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM"}[kind]],
        "model_type": kind,
        "vocab_size": vocab_size,
        "max_position_embeddings": max_length,
    }
    for theirs, ours in _NAMES.items():
        values[theirs] = model[ours]
    values["head_dim"] = model["head_width"] or model["width"] // model["num_heads"]
    return values | {
        "rope_theta": model["rope_theta"],
        "tie_word_embeddings": model["tied_embeddings"],
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        **({"mlp_bias": False} if kind == "llama" else {"use_sliding_window": False}),
        "bos_token_id": bos,
        "eos_token_id": eos,
        "torch_dtype": dtype,
        "use_cache": True,
    }


def their_name(name: str) -> str:
    """The name of one of our weights in a folder."""
    return name if name.startswith("lm_head.") else PREFIX + name


def our_name(name: str) -> str:
    """The name of a folder's weight in our model."""
    return name.removeprefix(PREFIX)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:80]
