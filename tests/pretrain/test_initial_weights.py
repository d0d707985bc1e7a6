"""Training from the weights of another model, with its tokenizer or an extension of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from corpus import make_texts, write_shard
from hf_environment import hf, with_hf
from training_runs import curve, train

from pretrain.config import load_config
from pretrain.generation import Reader
from pretrain.initial_weights import initial_weights, spellings
from pretrain.order.plan import make_plan
from pretrain.saved_model import made_model, read_model
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer import Tokenizer
from pretrain.tokenizing.tokenizer_extension import extend_tokenizer
from shards.errors import UserError

CPU = torch.device("cpu")
IDS = [1, 30, 99, 7, 200, 311, 5]


def logits(folder: Path) -> np.ndarray:
    saved = read_model(folder)
    model = made_model(saved, CPU)
    return np.stack([Reader(model, max_length=64).read(IDS[: end + 1]).numpy() for end in range(len(IDS))])


@pytest.fixture
def begun(train_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """A training from a model, whose learning rate is too small to change a weight."""

    def train_from(init: Path, **changes: object) -> Path:
        optimizer = {"lr": 1e-30, "warmup_steps": 0, "weight_decay": 0.0}
        path = train_file(
            init=str(init), model=None, steps=1, evaluate={"first": False}, optimizer=optimizer, **changes
        )
        train(path)
        return tmp_path / "out"

    return train_from


def test_training_begins_with_the_weights_of_another(trained: Path, begun: Callable[..., Path]) -> None:
    assert np.allclose(logits(begun(trained)), logits(trained), atol=1e-6)


@pytest.fixture
def extended(tmp_path: Path, tokenizer_path: Path) -> tuple[Path, Path]:
    """(an extension of the tokenizer by 40 entries, token folder of texts that have them)."""
    shard = write_shard(tmp_path / "text" / "new" / "new-00000-000.arrow", make_texts("ru", 80))
    path = tmp_path / "extended.json"
    extend_tokenizer(tokenizer_path, [shard], path, num_new=40, sample_bytes=100_000)
    tokenize_shards([shard], path, tmp_path / "new-tokens", held_out_fraction=0.1, report=lambda line: None)
    return path, tmp_path / "new-tokens" / "new"


def test_new_entries_begin_as_the_mean_of_what_spelled_them(
    trained: Path, begun: Callable[..., Path], extended: tuple[Path, Path]
) -> None:
    path, tokens = extended
    out = begun(trained, source={"new": {"tokens": str(tokens)}})
    old, new = read_model(trained), read_model(out)
    assert new.tokenizer.vocab_size == old.tokenizer.vocab_size + 40
    assert np.allclose(logits(out)[:, : old.tokenizer.vocab_size], logits(trained), atol=1e-6), "of old ids"
    entry = next(entry for entry in new.tokenizer.ids if entry not in old.tokenizer.ids)
    text = new.tokenizer.decode(np.array([new.tokenizer.ids[entry]], np.uint32))
    spelled = old.tokenizer.encode_batch([text], 1)[0].astype(int)
    assert len(spelled) > 1
    for name in ("embed_tokens.weight", "lm_head.weight"):
        expected = old.weights[name][spelled].mean(0)
        assert torch.allclose(new.weights[name][new.tokenizer.ids[entry]], expected, atol=1e-6)
    assert path.exists()


def test_a_tokenizer_that_is_no_extension_is_refused(trained: Path, tokenizer_path: Path, tmp_path: Path) -> None:
    values = json.loads(tokenizer_path.read_text())
    vocab = values["model"]["vocab"]
    first, second = [entry for entry, id_ in vocab.items() if id_ in (300, 301)]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    (tmp_path / "other.json").write_text(json.dumps(values))
    old, new = Tokenizer(tokenizer_path), Tokenizer(tmp_path / "other.json")
    with pytest.raises(UserError, match="is no extension of the tokenizer of"):
        spellings(old, new, trained, tmp_path / "other.json")
    assert spellings(old, old, trained, tokenizer_path) == {}
    with pytest.raises(UserError, match="is no extension"):
        initial_weights(trained, tmp_path / "other.json")


def test_a_model_that_the_file_contradicts_is_refused(trained: Path, train_file: Callable[..., Path]) -> None:
    path = train_file(init=str(trained), model={"preset": "1m"})
    with pytest.raises(UserError, match=r"model\.width: is 128, and 32 in .*leave \[model\] out"):
        load_config(path, {})


def test_the_plan_knows_the_weights_that_training_began_with(
    trained: Path, train_file: Callable[..., Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    hashes = {make_plan(load_config(train_file(init=str(init), model=None), {})).hash for init in (trained, copy)}
    assert len(hashes) == 1, "the path of a model is no part of it"
    train(train_file(model=None, init=str(trained), steps=2))
    other = load_config(train_file(model=None, init=str(tmp_path / "out")), {})
    assert make_plan(other).hash not in hashes


def test_a_training_from_a_model_resumes(
    trained: Path, train_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"init": str(trained), "model": None, "steps": 8, "evaluate": {"first": False}}
    train(train_file(out="whole", **settings))
    seen: list[int] = []

    def stop_at_six(record: dict[str, object]) -> None:
        seen.append(1)
        if record.get("step") == 6 and "loss" in record:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(train_file(out="parts", **settings), stop_at_six)
    train(train_file(out="parts", **settings))
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")


@with_hf
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_training_begins_with_a_model_of_transformers(
    kind: str, begun: Callable[..., Path], tokenizer_path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "theirs"
    hf("make", folder, kind)
    shutil.copy(tokenizer_path, folder / "tokenizer.json")
    out = begun(folder)
    (tmp_path / "ids.json").write_text(json.dumps(IDS))
    hf("logits", folder, tmp_path / "ids.json", tmp_path / "logits.npy")
    theirs = np.load(tmp_path / "logits.npy")
    difference = np.abs(logits(out) - theirs).max()
    assert difference < 1e-4
