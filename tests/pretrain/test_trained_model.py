"""The model of a training: its averaged weights, and one line where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_runs import train

from pretrain.trained_model import load_trained
from shards.errors import UserError


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_averaged_weights_are_taken_where_there_are_some(
    ema: float, train_file: Callable[..., Path], tmp_path: Path
) -> None:
    train(train_file(optimizer={"lr": 1e-2, "warmup_steps": 4, "ema": ema}))
    (checkpoint,) = sorted((tmp_path / "out" / "checkpoints").glob("step-*12"))
    saved = load_file(checkpoint / "model-00000.safetensors")
    of_optimizer = load_file(checkpoint / "optimizer-00000.safetensors")
    model = load_trained(tmp_path / "out").spread.model
    for name, weight in model.state_dict().items():
        averaged = of_optimizer.get(f"{name}.ema")
        assert (averaged is None) == (ema == 0)
        assert torch.equal(weight, saved[name] if averaged is None else averaged)


def test_a_training_without_a_checkpoint_is_one_line(train_file: Callable[..., Path], tmp_path: Path) -> None:
    train(train_file())
    for state in (tmp_path / "out" / "checkpoints").glob("*/state.json"):
        state.unlink()
    with pytest.raises(UserError, match="has no checkpoint yet"):
        load_trained(tmp_path / "out")
