"""Presets, and what follows from a depth."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pretrain.config import ModelConfig, load_config
from pretrain.model import Model
from pretrain.presets import PRESETS, dial_lines, dialled
from shards.errors import UserError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_parameters_of_their_names(name: str) -> None:
    """On the meta device, so that 8b costs nothing."""
    vocab = {"124m": 50_257, "350m": 50_257, "1.1b": 32_000, "8b": 128_256, "1b": 128_256, "3b": 128_256}.get(name, 0)
    with torch.device("meta"):
        model = Model(ModelConfig(preset=name, **PRESETS[name]), vocab or 1)
    number = float(name[:-1]) * {"m": 1e6, "b": 1e9}[name[-1]]
    assert model.num_parameters() == pytest.approx(number, rel=0.25)
    if name in ("124m", "350m", "1.1b", "8b"):
        assert model.num_parameters() == pytest.approx(number, rel=0.01)


def test_a_depth_of_twelve_is_worked_out_by_hand() -> None:
    settings = dialled(12, 2048)
    model, num_parameters = settings["model"], 12 * (4 * 768**2 + 3 * 768 * 2048)
    assert (model["width"], model["num_layers"], model["num_heads"]) == (768, 12, 12)
    assert settings["tokens"] == 20 * num_parameters == 1_698_693_120
    assert settings["batch_size"] * 2048 == 262_144  # the nearest power of two to 0.2920 · (8.66e17)^0.3271 = 216,000
    assert settings["optimizer"]["lr"] == 0.0018  # 0.3118 · (8.66e17)^-0.125


@pytest.mark.parametrize("depth", [1, 2, 9, 12, 20, 31, 32, 33, 48, 1024])
def test_every_depth_gives_a_model_that_can_be_made(depth: int) -> None:
    settings = dialled(depth, 2048)
    model = ModelConfig(depth=depth, **settings["model"])
    assert model.width % model.num_heads == 0
    assert model.width // model.num_heads == (128 if depth >= 32 else 64)
    if depth < 50:
        with torch.device("meta"):
            made = Model(model, 1)
        matrices = sum(p.numel() for p in made.layers.parameters() if p.ndim == 2)
        assert settings["tokens"] == 20 * matrices


def test_the_file_overrides_what_the_depth_sets(train_file: Callable[..., Path]) -> None:
    sizes = {"steps": None, "sequence_length": None, "batch_size": None, "optimizer": {}}
    config = load_config(train_file(model={"depth": 4}, **sizes), {})
    assert (config.sequence_length, config.batch_size, config.optimizer.lr) == (2048, 16, 0.004)
    assert (config.model.width, config.steps) == (256, -(-64_225_280 // (16 * 2048)))
    assert not any("by TRAIN.toml" in line for line in dial_lines(config.model_dump()))

    path = train_file(model={"depth": 4, "num_kv_heads": 2}, **sizes | {"steps": 7, "sequence_length": 512})
    config = load_config(path, {"optimizer.lr": "1e-3"})
    assert (config.steps, config.batch_size, config.model.num_kv_heads) == (7, 64, 2)
    lines = dial_lines(config.model_dump())
    assert lines[0] == "depth 4: 64,225,280 tokens, 20 for each parameter of the layers"
    assert "optimizer.lr = 0.001 by TRAIN.toml; the rule gives 0.004" in lines
    assert "steps = 7 by TRAIN.toml; the rule gives 1,960" in lines
    assert "model.width = 256" in lines
    assert dial_lines(load_config(train_file(), {}).model_dump()) == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"depth": 0}, "model.depth: expected a whole number from 1 to 1,024, found 0"),
        ({"depth": "deep"}, "model.depth: expected a whole number from 1 to 1,024, found 'deep'"),
        ({"depth": 4, "preset": "3m"}, "model.preset and model.depth both set the widths; remove one of them"),
        ({"preset": "7q"}, "model.preset: expected one of 1m, 3m, 15m"),
    ],
)
def test_bad_dials_are_refused_with_their_place(
    train_file: Callable[..., Path], model: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load_config(train_file(model=model), {})
