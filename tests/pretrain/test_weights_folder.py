"""Folders that hold a model."""

import shutil
from pathlib import Path

import pytest

from pretrain.state import checkpoint_paths
from pretrain.weights_folder import find_weights
from shards.errors import UserError


def test_a_training_and_its_checkpoint_hold_one_model(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkpoint,) = checkpoint_paths(trained / "checkpoints")
    of_training, of_checkpoint = find_weights(trained), find_weights(checkpoint)
    assert of_training.digest == of_checkpoint.digest
    assert (of_training.checkpoint, of_training.max_length) == (checkpoint, 64)
    assert of_training.tokenizer == trained / "tokenizer.json"
    assert of_training.settings["qk_norm"] is True
    monkeypatch.chdir(checkpoint.parent)
    assert find_weights(Path(checkpoint.name)).tokenizer == of_training.tokenizer


def test_the_tokenizer_of_an_earlier_training_is_that_of_its_tokens(
    trained: Path, tokens: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").unlink()
    assert find_weights(tmp_path / "model").tokenizer == tokens / "en" / "tokenizer.json"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model there"):
        find_weights(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama", "hidden_size": 8}')
    with pytest.raises(UserError, match=r"config\.json|safetensors"):
        find_weights(tmp_path)
