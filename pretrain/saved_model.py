"""A model read from disk to be used: from a checkpoint of ours, or a folder of Hugging Face.

Where a training averages its weights (`optimizer.ema`) the averages are read, which is what it evaluates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load as load_tensors

from pretrain import huggingface
from pretrain.checkpoint_storage import WEIGHTS, SafetensorsReader, check_file, opened
from pretrain.config import ModelConfig
from pretrain.model import Model, part_of
from pretrain.tokenizing.tokenizer import Tokenizer
from pretrain.weights_folder import WeightsFolder, find_weights
from shards.errors import RunError, UserError

_EMBEDDING, _HEAD = "embed_tokens.weight", "lm_head.weight"
_AVERAGE = ".ema"
_NOT_WEIGHTS = ("rotary_emb.inv_freq",)  # in folders of early versions of `transformers`


@dataclass(frozen=True)
class SavedModel:
    """The parts of a model on disk, with its weights by the names of `Model`."""

    folder: WeightsFolder
    config: ModelConfig
    tokenizer: Tokenizer
    weights: dict[str, Tensor]
    is_averaged: bool  # over steps, by `optimizer.ema`

    @property
    def max_length(self) -> int:
        """Tokens that the model was trained to read at once."""
        return self.folder.max_length


def read_model(path: Path) -> SavedModel:
    """The model in a folder (`pretrain.weights_folder`).

    UserError where there is none, and where its tokenizer is another one; RunError where it is damaged.
    """
    folder = find_weights(path)
    tokenizer = Tokenizer(folder.tokenizer)
    config = ModelConfig.parse(folder.settings, str(path))
    weights, is_averaged = _of_checkpoint(folder) if folder.state else (_of_hugging_face(folder), False)
    if config.tied_embeddings:
        weights.pop(_HEAD, None)
    _require_its_tokenizer(folder, tokenizer, len(weights[_EMBEDDING]) if _EMBEDDING in weights else 0)
    for name in (_EMBEDDING, _HEAD):  # a folder of Hugging Face may have rows that no entry has
        if name in weights:
            weights[name] = weights[name][: tokenizer.vocab_size]
    return SavedModel(folder, config, tokenizer, weights, is_averaged)


def made_model(saved: SavedModel, device: torch.device, dtype: torch.dtype = torch.float32) -> Model:
    """The model on a device, to be evaluated."""
    with torch.device("meta"):
        model = Model(saved.config, saved.tokenizer.vocab_size)
    model.to(dtype).to_empty(device=device)
    fill_weights(model, saved.weights, saved.folder.path)
    return model.eval()


@torch.no_grad()
def fill_weights(model: Model, weights: Mapping[str, Tensor], path: Path) -> None:
    """Give a model, or each rank's part of it, these weights; UserError, with `path`, where they do not fit."""
    parameters = dict(model.named_parameters())
    if strange := sorted(weights.keys() - parameters.keys()):
        raise UserError(f"{path}: has the weight {strange[0]}, which the model of its settings has not")
    for name, parameter in parameters.items():
        if name not in weights:
            raise UserError(f"{path}: lacks the weight {name}")
        if weights[name].shape != parameter.shape:
            raise UserError(
                f"{path}: its weight {name} is {_shape(weights[name])}, and {_shape(parameter)} by its settings"
            )
        parameter.copy_(part_of(weights[name].to(parameter.device), parameter))


def _of_checkpoint(folder: WeightsFolder) -> tuple[dict[str, Tensor], bool]:
    """(weights, whether they are averages)."""
    state, path = folder.state, folder.checkpoint
    assert state is not None
    assert path is not None
    used = {name: sha256 for name, sha256 in state.sha256.items() if not name.startswith("rng-")}
    for name, sha256 in used.items():
        check_file(path / name, sha256)
    reader = SafetensorsReader(path, list(used))
    tensors = {
        key: torch.empty(found.size, dtype=found.properties.dtype)
        for key, found in reader.read_metadata().state_dict_metadata.items()
        if isinstance(found, TensorStorageMetadata) and (key.startswith(f"{WEIGHTS}/") or key.endswith(_AVERAGE))
    }
    load_tensors(tensors, storage_reader=reader, no_dist=True)
    weights = {key.removeprefix(f"{WEIGHTS}/"): t for key, t in tensors.items() if not key.endswith(_AVERAGE)}
    averages = {key.partition("/")[2].removesuffix(_AVERAGE): t for key, t in tensors.items() if key.endswith(_AVERAGE)}
    return weights | averages, bool(averages)


def _of_hugging_face(folder: WeightsFolder) -> dict[str, Tensor]:
    weights = {}
    for path in folder.files:
        with opened(path) as file:
            for name in file.keys():  # noqa: SIM118  (not a mapping)
                if not name.endswith(_NOT_WEIGHTS):
                    weights[huggingface.our_name(name)] = file.get_tensor(name)
    return weights


def _require_its_tokenizer(folder: WeightsFolder, tokenizer: Tokenizer, num_rows: int) -> None:
    """UserError where the weights were trained with another tokenizer."""
    recorded = folder.state.tokenizer_sha256 if folder.state else None
    if recorded is not None and recorded != tokenizer.sha256:
        raise UserError(
            f"{folder.tokenizer}: is not the tokenizer that {folder.path} was trained with (sha256 "
            f"{tokenizer.sha256[:12]}, trained with {recorded[:12]}); put that one there"
        )
    if num_rows < tokenizer.vocab_size or (folder.state and num_rows != tokenizer.vocab_size):
        raise UserError(
            f"{folder.tokenizer}: is not the tokenizer of {folder.path}: it has {tokenizer.vocab_size:,} entries, and "
            f"the embedding {num_rows:,} rows; put the right one there"
        )
    for path in folder.files:
        if not path.exists():
            raise RunError(f"{path}: no such file; copy the model again")


def _shape(tensor: Tensor) -> str:
    return " x ".join(f"{size:,}" for size in tensor.shape)
