from collections.abc import Callable
from pathlib import Path

import pytest

from pretrain.config import load_config
from shards.errors import UserError


@pytest.mark.parametrize(
    ("changes", "overrides", "message"),
    [
        ({"stepz": 1}, {}, "train.toml.stepz: unknown key"),
        ({"steps": None}, {}, "expected either steps or tokens"),
        ({"tokens": 5}, {}, "expected either steps or tokens"),
        ({}, {"optimizer.lr": "fast"}, "train.toml.optimizer.lr: .* found 'fast'"),
        ({}, {"source.en.weight": "-1"}, "train.toml.source.en.weight: .*greater than or equal to 0"),
        ({"model": {"preset": "7q"}}, {}, "model.preset: expected one of 1m, 3m"),
        ({}, {"model.num_kv_heads": "3"}, "must be a multiple of num_kv_heads 3"),
        ({}, {"device.micro_batch_size": "many"}, "device.micro_batch_size"),
        ({}, {"steps.x": "3"}, "steps is a value, not a table"),
        ({}, {"steps": "1" + "0" * 20}, "train.toml.steps: "),
        ({"steps": None}, {"tokens": "1" + "0" * 400}, "train.toml.steps: "),
        ({}, {"source.en.weight": "inf"}, "train.toml.source.en.weight: .*finite"),
        ({}, {"source.en.max_epochs": "inf"}, "train.toml.source.en.max_epochs: .*finite"),
        ({}, {"optimizer.lr": "nan"}, "train.toml.optimizer.lr: .*finite"),
        ({}, {"optimizer.beta1": "1.5"}, "train.toml.optimizer.beta1: .*less than 1"),
        ({}, {"optimizer.beta2": "-0.1"}, "train.toml.optimizer.beta2: "),
        ({}, {"optimizer.epsilon": "-1.0"}, "train.toml.optimizer.epsilon: .*greater than 0"),
        ({}, {"optimizer.weight_decay": "-1.0"}, "train.toml.optimizer.weight_decay: "),
        ({}, {"optimizer.max_grad_norm": "0.0"}, "train.toml.optimizer.max_grad_norm: .*greater than 0"),
        ({}, {"model.rope_theta": "0.0"}, "train.toml.model.rope_theta: .*greater than 0"),
        ({}, {"seed": "1" + "0" * 23}, "train.toml.seed: "),
        ({"model": {"preset": [1]}}, {}, r"model.preset: expected one of .* found \[1\]"),
        ({"out": "s3://bucket/model"}, {}, "s3://bucket/model: is a URL, where a path on this disk is needed"),
        ({}, {"source.en.tokens": "hf://a/b"}, "hf://a/b: is a URL, where a path on this disk is needed"),
        ({}, {"out": '"a\\u0000b"'}, r"'a\\x00b': a path has no NUL"),
        ({}, {"source.en.tokens": '"a\\u0000b"'}, r"'a\\x00b': a path has no NUL"),
        ({}, {"spikes.runs": "[1]"}, r"train.toml.spikes.runs.*found 1"),
        ({}, {"sequence_length": "1" + "0" * 12}, "train.toml.sequence_length: .*less than or equal"),
    ],
)
def test_bad_settings_are_refused_with_their_place(
    train_file: Callable[..., Path], changes: dict[str, object], overrides: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        load_config(train_file(**changes), overrides)
    assert "\n" not in str(error.value)


def test_settings_are_filled_in_from_preset_tokens_and_overrides(train_file: Callable[..., Path]) -> None:
    path = train_file(model={"preset": "3m", "num_layers": 2}, steps=None, tokens=1000)
    config = load_config(path, {"optimizer.lr": "1e-4", "batch_size": "2"})
    assert (config.model.width, config.model.num_layers) == (256, 2)
    assert config.steps == 8  # 1,000 tokens in steps of 2 × 64
    assert config.optimizer.lr == 1e-4
    assert config.out == str(path.parent / "out")
