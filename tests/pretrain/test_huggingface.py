"""config.json of Hugging Face and our settings of a model."""

import json
from pathlib import Path
from typing import Any

import pytest

from pretrain.config import ModelConfig
from pretrain.huggingface import config_json, model_settings
from shards.errors import UserError

MODEL = ModelConfig(width=32, num_layers=2, num_heads=4, num_kv_heads=2, feed_forward_width=48)


def written(folder: Path, model: ModelConfig = MODEL, **changes: Any) -> Path:
    values = config_json(model.model_dump(), vocab_size=50, max_length=64, bos=1, eos=2, dtype="float32")
    (folder / "config.json").write_text(json.dumps(values | changes))
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"qk_norm": True},
        {"tied_embeddings": True, "rope_theta": 5e5},
        {"head_width": 16, "qk_norm": True},
        {"norm_epsilon": 1e-6},
    ],
)
def test_settings_come_back_from_config_json(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = MODEL.model_copy(update=changes)
    assert ModelConfig.parse(model_settings(written(tmp_path, model)), "here") == model


def test_rope_theta_is_read_where_transformers_5_writes_it(tmp_path: Path) -> None:
    rope = {"rope_type": "default", "rope_theta": 5e5}
    assert model_settings(written(tmp_path, rope_theta=None, rope_parameters=rope))["rope_theta"] == 5e5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "qwen2"),
        ("attention_bias", True),
        ("hidden_act", "gelu"),
        ("rope_scaling", {"rope_type": "llama3", "factor": 8.0}),
        ("rope_parameters", {"rope_type": "yarn"}),
        ("use_sliding_window", True),
    ],
)
def test_what_our_model_does_not_compute_is_refused_by_its_key(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"config\.json: {key}: is "):
        model_settings(written(tmp_path, **{key: value}))


def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"model_type": "llama"}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(UserError, match=r"config\.json"):
            model_settings(tmp_path)
