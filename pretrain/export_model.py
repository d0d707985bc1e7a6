"""A trained model as a folder that `transformers` and what understands its folders load: vLLM, lm_eval, llama.cpp.

    FOLDER/config.json, generation_config.json      Llama, or Qwen3 where queries and keys are normalised
           model.safetensors                        by the names of `transformers`, which are ours but for a prefix
           tokenizer.json, tokenizer_config.json, special_tokens_map.json
           README.md                                the model card (`pretrain.model_card`)

The tokenizer begins each text with the token that begins a document, and leaves its end to the model. The folder
appears whole: it is written beside its name and renamed.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from pretrain import huggingface
from pretrain.checkpoint_storage import write_safetensors
from pretrain.model_card import model_card
from pretrain.saved_model import SavedModel, read_model
from pretrain.tokenizing.chat import CHAT_TEMPLATE
from pretrain.tokenizing.special_tokens import PAD, with_beginning
from shards.atomic import disk_error, write_bytes, write_json
from shards.errors import UserError
from shards.token_manifest import TOKENIZER

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class Exported:
    """What was written."""

    architecture: str
    num_parameters: int
    is_averaged: bool


def export_model(
    model: Path, to: Path, *, dtype: Literal["bfloat16", "float32"] = "bfloat16", cleaned_by: Sequence[str] = ()
) -> Exported:
    """Write the newest checkpoint of a training, or one of its checkpoints, to the folder `to`.

    `cleaned_by` are lines of the model card that name the runs which cleaned the text. UserError for a folder that is
    not empty, and for a model that `transformers` does not compute.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to}: is not empty; name a new folder")
    saved = read_model(model)
    if saved.config.positions != "rope":
        raise UserError(
            f"{model}: has model.positions = {saved.config.positions!r}, which neither Llama nor Qwen3 has; train with "
            '"rope" to export it'
        )
    part = to.with_name(f"{to.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, values in _settings(saved, dtype).items():
            write_json(part / name, values)
        write_bytes(part / TOKENIZER, json.dumps(_tokenizer_json(saved), ensure_ascii=False).encode())
        write_bytes(part / "README.md", model_card(saved, dtype, cleaned_by).encode())
        weights = {
            huggingface.their_name(name): tensor.to(DTYPES[dtype]).contiguous()
            for name, tensor in saved.weights.items()
        }
        write_safetensors(part / "model.safetensors", weights, {"format": "pt"})
        part.replace(to)
    except OSError as error:
        raise disk_error(to, error) from error
    architecture = huggingface.read_config(to)["architectures"][0]
    return Exported(architecture, sum(t.numel() for t in weights.values()), saved.is_averaged)


def _settings(saved: SavedModel, dtype: str) -> dict[str, dict[str, Any]]:
    """The values of each JSON file but the tokenizer's own."""
    tokenizer = saved.tokenizer
    name_of = {id_: entry for entry, id_ in tokenizer.ids.items()}
    begin, end = name_of[tokenizer.bos], name_of[tokenizer.eos]
    pad = PAD if PAD in tokenizer.ids else end
    special = {"bos_token": begin, "eos_token": end, "pad_token": pad}
    return {
        huggingface.CONFIG: huggingface.config_json(
            saved.config.model_dump(),
            vocab_size=tokenizer.vocab_size,
            max_length=saved.max_length,
            bos=tokenizer.bos,
            eos=tokenizer.eos,
            dtype=dtype,
        ),
        huggingface.GENERATION: {
            "bos_token_id": tokenizer.bos,
            "eos_token_id": tokenizer.eos,
            "pad_token_id": tokenizer.ids[pad],
        },
        huggingface.TOKENIZER_CONFIG: {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": saved.max_length,
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
            **special,
        },
        huggingface.SPECIAL_TOKENS_MAP: special,
    }


def _tokenizer_json(saved: SavedModel) -> dict[str, Any]:
    values = json.loads(saved.tokenizer.json)
    begin = next(entry for entry, id_ in saved.tokenizer.ids.items() if id_ == saved.tokenizer.bos)
    return with_beginning(values, begin)
