"""The demo's training: a tokenizer, tokens and a small model, from the shards of its run."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomli_w

from pipelines.demo.cleaning import SOURCES
from pipelines.numbers import counted
from pipelines.run.opening import Run
from shards.atomic import write_bytes
from shards.errors import RunError

# All of train.toml but the sources: 2.4 million parameters and 370,000 tokens, a minute on two free cores.
TRAINING: dict[str, Any] = {
    "out": "model",
    "steps": 360,
    "sequence_length": 256,
    "batch_size": 4,  # small, because from few tokens a model learns most in many small steps
    "device": {"kind": "cpu"},
    "evaluate": {"first": True},
    "model": {
        "width": 192,
        "num_layers": 4,
        "num_heads": 6,
        "num_kv_heads": 2,
        "feed_forward_width": 512,
        "qk_norm": True,
        "tied_embeddings": True,
    },
    "optimizer": {"lr": 2e-3, "warmup_steps": 30},
}
_WEIGHTS = dict.fromkeys(SOURCES, 0.5)
_VOCAB_SIZE = 4096
_SAMPLE_BYTES = 16 << 20
_HELD_OUT = 0.1
_TRAINING_LINES = 9  # of progress


def prepare_folder(folder: Path, run: Run) -> Path:
    """`folder` with the training file; emptied first if it belongs to another run or to other settings."""
    sources = {name: {"tokens": f"tokens/{name}", "weight": weight} for name, weight in _WEIGHTS.items()}
    made_of = f"# Run {run.digest[:16]}, {_VOCAB_SIZE} tokens in the vocabulary, {_HELD_OUT:.0%} held out."
    wanted = f"{made_of}\n{tomli_w.dumps(TRAINING | {'source': sources})}".encode()
    path = folder / "train.toml"
    if not path.exists() or path.read_bytes() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        write_bytes(path, wanted)
    return folder


def tokenize(run: Path, training: Path, out: Callable[[str], None]) -> None:
    """Train the tokenizer, unless it is there, and make the tokens of all sources."""
    from pretrain.tokenizing.tokenize import tokenize_shards
    from pretrain.tokenizing.tokenizer_training import train_tokenizer

    tokenizer = training / "tokenizer.json"
    if not tokenizer.exists():
        train_tokenizer([run], tokenizer, vocab_size=_VOCAB_SIZE, sample_bytes=_SAMPLE_BYTES)
    manifests = tokenize_shards(
        [run], tokenizer, training / "tokens", held_out_fraction=_HELD_OUT, report=lambda line: None
    )
    for source, manifest in manifests.items():
        files = [shard.files for shard in manifest.shards.values()]
        documents, tokens = (
            {split: sum(getattr(f[split], count) for f in files) for split in ("train", "held-out")}
            for count in ("num_rows", "num_tokens")
        )
        trained_on = f"{counted(tokens['train'], 'token')} of {counted(documents['train'], 'document')} to train on"
        out(f"     {source}: {trained_on}, {counted(documents['held-out'], 'document')} held out")


def train_model(training: Path, out: Callable[[str], None]) -> tuple[dict[str, float], dict[str, float]]:
    """Train the model, or resume it; its bits per byte by source before and after."""
    from pretrain import train

    steps = TRAINING["steps"]
    every = max(1, steps // _TRAINING_LINES)
    start: tuple[int, float] | None = None  # step and time of the first record; a resumed run begins at a later step

    def report(record: dict[str, Any]) -> None:
        nonlocal start
        step, now = record["step"], time.monotonic()
        if start is None:
            start = step, now
        elif "loss" in record and step % every == 0:
            left = (now - start[1]) / (step - start[0]) * (steps - step)
            losses = ", ".join(f"{name} {loss:.2f}" for name, loss in record["loss_by_source"].items())
            speed = f"{record['tokens_per_s']:,.0f} tokens/s"
            out(f"     step {step} of {steps}: loss {losses}; {speed}, {left:.0f} s left")

    trained = train.train_model(training / "train.toml", overrides={}, progress=report)
    shares = " and ".join(f"{weight:.0%} {name}" for name, weight in _WEIGHTS.items())
    out(f"     {trained.num_parameters / 1e6:.1f} million parameters saw {trained.tokens:,} tokens, {shares}")
    return trained.held_out_before, trained.held_out_after


def show_bits_per_byte(before: dict[str, float], after: dict[str, float], out: Callable[[str], None]) -> None:
    """Print both. Raises RunError for a source whose bits per byte did not fall."""
    out("\nBits per byte on documents that were held out:")
    out(f"     {'source':<12}{'before':>8}{'after':>8}")
    for source in before:
        out(f"     {source:<12}{before[source]:>8.3f}{after[source]:>8.3f}")
    if worse := [source for source in SOURCES if not after.get(source, 99) < before.get(source, 0)]:
        raise RunError(
            f"bits per byte did not fall for {', '.join(worse)}: the model learned nothing; please report it"
        )
