"""Folders that hold a trained model: the `out` of a training, one of its checkpoints, or a folder of Hugging Face.

    OUT/checkpoints/step-00000400/    the newest one whose state is readable
    OUT/tokenizer.json                of the token folders that it was trained on
    FOLDER/config.json, tokenizer.json, *.safetensors

Nothing here imports torch; `pretrain.saved_model` reads the weights.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain import huggingface
from pretrain.state import CHECKPOINTS, STATE, TrainState, newest_checkpoint, read_state
from shards.config import load_toml
from shards.errors import UserError
from shards.manifest import file_sha256
from shards.token_manifest import TOKENIZER

_SETTINGS = "train.toml"  # of a training, with all defaults
_INDEX, _ALL = "model.safetensors.index.json", "model.safetensors"
_MAX_LENGTH = 2048  # of a folder that names none: that of Llama in `transformers`


@dataclass(frozen=True)
class WeightsFolder:
    """Where the parts of a model lie."""

    path: Path  # as it was given
    settings: dict[str, Any]  # of `ModelConfig`
    max_length: int  # tokens that the model was trained to read at once
    tokenizer: Path
    files: tuple[Path, ...]  # of weights, and for a checkpoint of all else
    state: TrainState | None = None  # of a checkpoint

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint; None for a folder of Hugging Face."""
        return self.files[0].parent if self.state is not None else None

    @property
    def digest(self) -> str:
        """A sha256 that changes with any weight or setting."""
        if self.state is not None:
            sums = {name: sha256 for name, sha256 in self.state.sha256.items() if not name.startswith("rng-")}
        else:
            sums = {path.name: file_sha256(path) for path in self.files}
        return hashlib.sha256(json.dumps([self.settings, sums], sort_keys=True).encode()).hexdigest()


def find_weights(path: Path) -> WeightsFolder:
    """The model in a folder. UserError where there is none, RunError where its checkpoint is damaged."""
    if huggingface.is_folder(path):
        max_length = huggingface.read_config(path).get("max_position_embeddings", _MAX_LENGTH)
        files = _their_files(path)
        return WeightsFolder(path, huggingface.model_settings(path), max_length, path / TOKENIZER, files)
    checkpoint = path.absolute() if (path / STATE).is_file() else newest_checkpoint(path.absolute() / CHECKPOINTS)
    if checkpoint is None:
        raise UserError(
            f"{path}: no model there; name the folder of a training that has a checkpoint, or one with config.json"
        )
    state = read_state(checkpoint)
    settings = {key.removeprefix("model."): value for key, value in state.identity.items() if key.startswith("model.")}
    settings = {key: value for key, value in settings.items() if value is not None and key not in ("preset", "depth")}
    files = tuple(checkpoint / name for name in state.sha256)
    length = state.identity["sequence_length"]
    return WeightsFolder(path, settings, length, _tokenizer(checkpoint.parents[1]), files, state)


def _tokenizer(out: Path) -> Path:
    """The tokenizer of a training; earlier versions left it in the token folders."""
    if (out / TOKENIZER).is_file() or not (out / _SETTINGS).is_file():
        return out / TOKENIZER
    sources = load_toml(out / _SETTINGS)["source"]
    return Path(next(iter(sources.values()))["tokens"]) / TOKENIZER


def _their_files(folder: Path) -> tuple[Path, ...]:
    index = folder / _INDEX
    if not index.is_file():
        if not (folder / _ALL).is_file():
            raise UserError(f"{folder}: has neither {_ALL} nor {_INDEX}; other formats of weights are not read")
        return (folder / _ALL,)
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        return tuple(folder / name for name in names)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{index}: no index of weights ({error!r})") from None
