"""Models read from disk, and those whose parts do not fit."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pretrain.saved_model import fill_weights, made_model, read_model
from pretrain.state import checkpoint_paths
from shards.errors import RunError, UserError

CPU = torch.device("cpu")


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


def test_averaged_weights_are_read_where_there_are_some(trained: Path) -> None:
    saved = read_model(trained)
    (checkpoint,) = checkpoint_paths(trained / "checkpoints")
    optimizer, model = (load_file(checkpoint / f"{kind}-00000.safetensors") for kind in ("optimizer", "model"))
    assert saved.is_averaged
    for name, parameter in made_model(saved, CPU).named_parameters():
        assert torch.equal(parameter, optimizer[f"{name}.ema"])
        assert not torch.equal(parameter, model[name])


def test_a_checkpoint_of_another_tokenizer_is_refused(copy: Path) -> None:
    path = copy / "tokenizer.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(UserError, match=r"is not the tokenizer that .* was trained with"):
        read_model(copy)


def test_a_changed_bit_is_found(copy: Path) -> None:
    (checkpoint,) = checkpoint_paths(copy / "checkpoints")
    data = bytearray((checkpoint / "model-00000.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (checkpoint / "model-00000.safetensors").write_bytes(data)
    with pytest.raises(RunError, match="is not as it was written"):
        read_model(copy)


def test_weights_that_do_not_fit_are_refused_by_name(trained: Path) -> None:
    saved = read_model(trained)
    model = made_model(saved, CPU)
    for weights, message in (
        ({**saved.weights, "bias": torch.zeros(1)}, "has the weight bias"),
        ({k: v for k, v in saved.weights.items() if k != "norm.weight"}, "lacks the weight norm.weight"),
        ({**saved.weights, "norm.weight": torch.zeros(3)}, "norm.weight is 3, and 32 by its settings"),
    ):
        with pytest.raises(UserError, match=message):
            fill_weights(model, weights, trained)
