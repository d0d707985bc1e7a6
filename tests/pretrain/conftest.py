"""A small corpus in two languages, its tokenizer and its tokens; made once for all tests of the folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w
from corpus import WORDS, make_texts, write_shard

from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer_training import train_tokenizer


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    for language in WORDS:
        texts = make_texts(language, 200)
        for part in range(2):
            write_shard(run / "shards" / language / f"{language}-0000{part}-000.arrow", texts[part::2])
    return run


@pytest.fixture(scope="session")
def tokenizer_path(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer([run_folder], path, vocab_size=320, sample_bytes=100_000)
    return path


@pytest.fixture(scope="session")
def tokens(run_folder: Path, tokenizer_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Token folders `en` and `ru`."""
    out = tmp_path_factory.mktemp("tokens")
    tokenize_shards([run_folder], tokenizer_path, out, held_out_fraction=0.1, report=lambda line: None)
    return out


@pytest.fixture
def train_file(tmp_path: Path, tokens: Path) -> Callable[..., Path]:
    """Writes a TRAIN.toml of a very small model; keywords replace top-level keys, None removes one."""

    def write(**changes: object) -> Path:
        values: dict[str, object] = {
            "out": "out",
            "steps": 12,
            "sequence_length": 64,
            "batch_size": 4,
            "checkpoint": {"every": 4},
            "evaluate": {"max_tokens": 1000, "first": True},
            "model": {"width": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "feed_forward_width": 64},
            "optimizer": {"lr": 1e-2, "warmup_steps": 4},
            "source": {
                "en": {"tokens": str(tokens / "en"), "weight": 0.75},
                "ru": {"tokens": str(tokens / "ru"), "weight": 0.25},
            },
        }
        path = tmp_path / "train.toml"
        path.write_text(tomli_w.dumps({key: value for key, value in (values | changes).items() if value is not None}))
        return path

    return write


@pytest.fixture
def undisturbed(train_file: Callable[..., Path], tmp_path: Path) -> Path:
    """The folder of a training of 12 steps that nothing stopped."""
    from training_runs import train  # imports torch, which reads OMP_NUM_THREADS

    train(train_file(out="undisturbed"))
    return tmp_path / "undisturbed"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tokens: Path) -> Path:
    """The folder of a training of 20 steps, with QK-norm and averaged weights."""
    from training_runs import train

    path = tmp_path_factory.mktemp("trained") / "train.toml"
    model = {"width": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "feed_forward_width": 64, "qk_norm": True}
    values = {
        "out": "model",
        "steps": 20,
        "sequence_length": 64,
        "batch_size": 8,
        "evaluate": {"max_tokens": 1000},
        "model": model,
        "optimizer": {"lr": 1e-2, "warmup_steps": 4, "ema": 0.5},
        "source": {"en": {"tokens": str(tokens / "en")}, "ru": {"tokens": str(tokens / "ru")}},
    }
    path.write_text(tomli_w.dumps(values))
    train(path)
    return path.with_name("model")
