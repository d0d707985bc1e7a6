"""Exported models: read back here, and by `transformers` where it is installed (`make test-hf`)."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command import gristmill
from hf_environment import hf, with_hf
from training_runs import train

from pretrain.export_model import export_model
from pretrain.generation import Reader, Sampling, continued
from pretrain.saved_model import SavedModel, made_model, read_model
from pretrain.tokenizing.chat import Message, chat_prompt, chat_text
from shards.errors import UserError

CPU = torch.device("cpu")
TEXT = "The mill grinds <|eos|> зерно"


def logits(saved: SavedModel, ids: list[int]) -> np.ndarray:
    """float64[T, V] of one document."""
    model = made_model(saved, CPU)
    return np.stack([Reader(model, max_length=64).read(ids[: end + 1]).numpy() for end in range(len(ids))])


@pytest.fixture
def llama(train_file: Callable[..., Path], tmp_path: Path) -> Path:
    """A training without QK-norm and without averages."""
    train(train_file(out="llama", steps=2, evaluate={"first": False}))
    return tmp_path / "llama"


def exported(model: Path, to: Path) -> Path:
    export_model(model, to, dtype="float32")
    return to


def test_an_exported_model_is_the_same_model(trained: Path, tmp_path: Path) -> None:
    ours, theirs = read_model(trained), read_model(exported(trained, tmp_path / "hf"))
    ids = list(range(1, 40))
    assert theirs.config == ours.config.model_copy(update={"preset": None, "depth": None})
    assert (theirs.max_length, theirs.tokenizer.ids) == (ours.max_length, ours.tokenizer.ids)
    assert (theirs.tokenizer.bos, theirs.tokenizer.eos) == (ours.tokenizer.bos, ours.tokenizer.eos)
    assert np.array_equal(logits(theirs, ids), logits(ours, ids))


def test_the_card_names_what_the_model_was_made_of(trained: Path, tmp_path: Path) -> None:
    export_model(trained, tmp_path / "hf", cleaned_by=["Cleaned by recipe `gristmill`"])
    card = (tmp_path / "hf" / "README.md").read_text()
    saved = read_model(trained)
    assert saved.folder.state is not None
    for fact in (
        saved.tokenizer.sha256,
        saved.folder.state.plan_hash,
        "recipe `gristmill`",
        "averaged over steps",
        "| en | 0.5",
        "| Source | Bits per byte |",
        "the end of the document included",
    ):
        assert fact in card, fact


def test_the_card_of_a_model_whose_tokens_are_gone_has_its_weights(trained: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "model"))
    settings = (copy / "train.toml").read_text()
    (copy / "train.toml").write_text(settings.replace("/en", "/gone"))
    export_model(copy, tmp_path / "hf")
    assert "| en | 0.5 |" in (tmp_path / "hf" / "README.md").read_text()


def test_a_folder_that_is_not_empty_is_refused(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="hf: is not empty"):
        export_model(trained, tmp_path / "hf")
    assert [path.name for path in (tmp_path / "hf").iterdir()] == ["notes.txt"]
    assert not (tmp_path / "hf.part").exists()


def test_alibi_is_refused(train_file: Callable[..., Path], tmp_path: Path) -> None:
    model = {"width": 32, "num_layers": 1, "num_heads": 4, "num_kv_heads": 2, "feed_forward_width": 64}
    train(train_file(steps=1, evaluate={"first": False}, model=model | {"positions": "alibi"}))
    with pytest.raises(UserError, match="'alibi', which neither Llama nor Qwen3 has"):
        export_model(tmp_path / "out", tmp_path / "hf")


@pytest.mark.slow
def test_the_commands_export_and_write(trained: Path, tmp_path: Path) -> None:
    done = gristmill("export-model", trained, "--to", tmp_path / "hf")
    assert done.returncode == 0, done.stderr
    assert "Qwen3ForCausalLM" in done.stdout
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["torch_dtype"] == "bfloat16"
    again = gristmill("export-model", trained, "--to", tmp_path / "hf")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)


@with_hf
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_transformers_computes_and_writes_the_same(
    kind: str, trained: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = trained if kind == "qwen3" else request.getfixturevalue("llama")
    folder, saved = exported(model, tmp_path / "hf"), read_model(model)
    assert json.loads((folder / "config.json").read_text())["model_type"] == kind
    ids = [saved.tokenizer.bos, *np.random.default_rng(0).integers(3, 320, 62).tolist()]
    (tmp_path / "ids.json").write_text(json.dumps(ids))
    hf("logits", folder, tmp_path / "ids.json", tmp_path / "logits.npy")
    difference = np.abs(np.load(tmp_path / "logits.npy") - logits(saved, ids)).max()
    assert difference < 1e-4

    prompt = "The mill grinds"
    theirs = json.loads(hf("text", folder, prompt))
    own = [saved.tokenizer.bos, *saved.tokenizer.encode_batch([prompt], 1)[0].tolist()]
    assert theirs["ids"] == own
    reader = Reader(made_model(saved, CPU), max_length=saved.max_length)
    eos = saved.tokenizer.eos
    written = list(continued(reader, own, Sampling(0), torch.Generator(), max_tokens=12, end=eos))
    assert [token for token in theirs["written"] if token != eos] == written
    messages = [
        Message("user", "How do mills work?"),
        Message("assistant", "By wind."),
        Message("user", " And in a calm? "),
    ]
    assert theirs["chat"] == f"<|bos|>{chat_prompt(messages)}"
    assert theirs["done"] == f"<|bos|>{chat_text(messages[:2]).text}<|eos|>"
