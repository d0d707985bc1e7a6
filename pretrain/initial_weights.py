"""Initial weights from another model: `init = "FOLDER"` in TRAIN.toml.

    entries of its tokenizer     the same rows of embedding and output matrix, so that logits of old ids stay
    entries that are new         the mean of the rows of the old tokens that spell the entry

The mean is that of Gee et al., "Fast Vocabulary Transfer for Language Model Compression", 2022, section 3. New entries
follow the old ones, as `gristmill tokenizer extend` adds them; a tokenizer that gives an old id to another entry is
refused.
"""

import json
from pathlib import Path

import numpy as np
import tokenizers
import torch
from torch import Tensor

from pretrain.model import Model
from pretrain.saved_model import fill_weights, read_model
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.errors import UserError

_ROWS_OF_ENTRIES = ("embed_tokens.weight", "lm_head.weight")


def begin_with(init: Path, model: Model, tokenizer_path: Path) -> None:
    """Give a model that is to be trained, or each rank's part of it, the weights of the one in `init`."""
    fill_weights(model, initial_weights(init, tokenizer_path), init)


def initial_weights(init: Path, tokenizer_path: Path) -> dict[str, Tensor]:
    """The weights of the model in `init`, with a row for each entry of the tokenizer that is trained with.

    UserError where that tokenizer is neither the model's nor an extension of it.
    """
    saved, tokenizer = read_model(init), Tokenizer(tokenizer_path)
    spelled = spellings(saved.tokenizer, tokenizer, init, tokenizer_path)
    weights = dict(saved.weights)
    for name in _ROWS_OF_ENTRIES:
        if name in weights and spelled:
            weights[name] = enlarged(weights[name], spelled, tokenizer.vocab_size)
    return weights


def enlarged(rows_VC: Tensor, spelled: dict[int, list[int]], vocab_size: int) -> Tensor:
    """The rows, and one for each id of `spelled`: the mean of those of its old tokens.

    An id below `vocab_size` that has no entry gets the mean of all rows, and so does an entry of no tokens.
    """
    out_VC = rows_VC.float().mean(0).to(rows_VC.dtype).repeat(max(vocab_size, len(rows_VC)), 1)
    out_VC[: len(rows_VC)] = rows_VC
    for id_, old in spelled.items():
        if old:
            out_VC[id_] = rows_VC[torch.tensor(old)].float().mean(0).to(rows_VC.dtype)
    return out_VC


def spellings(old: Tokenizer, new: Tokenizer, init: Path, new_path: Path) -> dict[int, list[int]]:
    """The old tokens that spell each new entry, by its id; empty where the tokenizers have the same entries."""
    for entry, id_ in old.ids.items():
        if new.ids.get(entry) != id_:
            raise UserError(
                f"{new_path}: is no extension of the tokenizer of {init}: the entry {entry!r} has the id "
                f"{new.ids.get(entry, 'none')}, and {id_} there; tokenize with the tokenizer of init, or extend it "
                "with `gristmill tokenizer extend`"
            )
    added = {entry: id_ for entry, id_ in new.ids.items() if entry not in old.ids}
    if overlapping := [entry for entry, id_ in added.items() if id_ < old.vocab_size]:
        raise UserError(f"{new_path}: {overlapping[0]!r} has an id among those of the tokenizer of {init}")
    model = json.loads(old.json)["model"]
    special = {token["content"] for token in json.loads(new.json)["added_tokens"]}
    in_model = [entry for entry in added if entry not in special]
    alone = tokenizers.Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    spelled = {
        added[entry]: list(map(int, one.ids))
        for entry, one in zip(in_model, alone.encode_batch(in_model, add_special_tokens=False), strict=True)
    }
    others = [entry for entry in added if entry in special]
    encoded = old.encode_batch(others, 1) if others else []
    return spelled | {added[entry]: _list(ids) for entry, ids in zip(others, encoded, strict=True)}


def _list(ids: np.ndarray) -> list[int]:
    return [int(i) for i in ids]
