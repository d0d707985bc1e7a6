"""Training steps on one core beside Llama of transformers, all in one run: `make bench-train`.

Both sides have the same weights in float32, the same tokens, fused AdamW and clipping, and take steps by turns; times
are CPU time, and rates their medians. Ours attends within documents, as training does. transformers has the rows as
they are, which is its fastest way; with "one document a row" both attend to the same. Before that, logits of both are
compared, with Llama and with Qwen3. The loss is ours against all logits at once, forward and backward.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.rows import ROOT, Rows
from pretrain.attention import documents
from pretrain.config import ModelConfig, OptimizerConfig
from pretrain.loss import losses
from pretrain.model import Model
from pretrain.optim import make_optimizer

PEERS = ROOT / ".venv-peers-data" / "bin" / "python"
VOCAB_SIZE, HEADS, FEED_FORWARD = 4096, 6, 1024
MODEL = ModelConfig(
    width=384, num_layers=6, num_heads=HEADS, num_kv_heads=HEADS, feed_forward_width=FEED_FORWARD, tied_embeddings=True
)
SHAPES = [(8, 512), (2, 2048)]  # rows, positions
MAX_DIFFERENCE = 1e-4  # of logits, whose deviation is about 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", type=Path, default=PEERS, help="a Python that has torch and transformers")
    options = parser.parse_args()
    if not options.peers.exists():
        sys.exit("transformers is not installed; `make bench-train` installs it into .venv-peers-data")
    torch.set_num_threads(1)
    rows = Rows("train_cpu")
    for qk_norm, name in ((False, "Llama"), (True, "Qwen3")):
        rows.add(f"largest difference of logits, {name}", logit_difference(options.peers, qk_norm), None, "deviations")
    for num_rows, length in SHAPES:
        for of_documents, what in ((True, "documents"), (False, "one document a row")):
            ours, peer = steps(options.peers, num_rows, length, options.repeats, of_documents=of_documents)
            rows.add(f"step, {num_rows} × {length:,}, {what}, against Llama of transformers", ours, peer, "tokens/s")
    for num_tokens, vocab_size, width in ((4096, 16_384, 256), (1024, 50_257, 768)):
        ours, peer = loss_seconds(num_tokens, vocab_size, width, options.repeats)
        what = f"loss, {num_tokens:,} × {vocab_size:,} at width {width}, against all logits"
        rows.add(what, ours, peer, "CPU s", less_is_better=True)
    rows.write()


class Llama:
    """transformers' model in a process of its own, on the weights and tokens in a folder."""

    def __init__(self, python: Path, folder: Path) -> None:
        command = [python, ROOT / "benchmarks" / "peers" / "train.py", folder]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer()  # it has loaded, and written its logits

    def step(self) -> float:
        """CPU seconds of one training step."""
        assert self._process.stdin is not None
        print("step", file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self._process.communicate("")

    def _answer(self) -> float:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return float(line) if line else sys.exit(f"transformers ended with {self._process.wait()}")


def logit_difference(python: Path, qk_norm: bool) -> float:
    """The largest difference of logits by their deviation; exits where they are others."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config = MODEL.model_copy(update={"qk_norm": qk_norm, "num_kv_heads": 2, "tied_embeddings": False})
        torch.manual_seed(0)
        model = Model(config, VOCAB_SIZE)
        with torch.no_grad():
            for parameter in model.parameters():  # other norms than 1, and logits that differ
                parameter.mul_(2).add_(0.01 * torch.randn_like(parameter))
        tokens = _write(folder, model, 2, 128)
        Llama(python, folder).close()
        starts = np.array([0, 128, 256], np.int32)
        with torch.no_grad():
            hidden = model.hidden(tokens[:, :-1], _positions(starts, 2), documents(starts, 128, torch.device("cpu")))
            logits = hidden @ model.head_VC.T
        theirs = load_file(folder / "logits.safetensors")["logits"]
    difference = float((logits - theirs).abs().max() / theirs.std())
    return difference if difference <= MAX_DIFFERENCE else sys.exit(f"logits differ by {difference:.1e} deviations")


def steps(python: Path, num_rows: int, length: int, repeats: int, *, of_documents: bool) -> tuple[float, float]:
    """Tokens a second of CPU time: ours, transformers'."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        torch.manual_seed(0)
        model = Model(MODEL, VOCAB_SIZE)
        tokens = _write(folder, model, num_rows, length)
        peer = Llama(python, folder)
        step = our_step(model, tokens, _starts(num_rows, length) if of_documents else _row_starts(num_rows, length))
        seconds: list[tuple[float, float]] = [(step(), peer.step()) for _ in range(repeats + 1)][1:]
        peer.close()
    ours, theirs = (num_rows * length / statistics.median(side) for side in zip(*seconds, strict=True))
    return ours, theirs


def our_step(model: Model, tokens: Tensor, starts: np.ndarray) -> Callable[[], float]:
    """A function that takes one training step and returns its CPU seconds."""
    optimizer = make_optimizer(model, OptimizerConfig())
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    positions = _positions(starts, len(inputs))

    def step() -> float:
        began = time.process_time()
        segments = documents(starts, inputs.shape[1], torch.device("cpu"))
        torch.autograd.backward(model(inputs, positions, segments, labels, 1 / labels.numel()).total)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return time.process_time() - began

    return step


def loss_seconds(num_tokens: int, vocab_size: int, width: int, repeats: int) -> tuple[float, float]:
    """CPU seconds of loss and both gradients: ours, all logits at once."""
    torch.manual_seed(0)
    hidden, head = torch.randn(1, num_tokens, width), 0.05 * torch.randn(vocab_size, width)
    labels = torch.randint(vocab_size, (1, num_tokens))
    sides: list[Callable[[Tensor, Tensor], Tensor]] = [
        lambda h, w: losses(h, w, labels, 1 / num_tokens).total,
        lambda h, w: F.cross_entropy((h @ w.T).flatten(0, 1), labels.flatten()),
    ]
    seconds: list[list[float]] = [[], []]
    for _ in range(repeats + 1):
        for side, own in zip(sides, seconds, strict=True):
            h, w = hidden.clone().requires_grad_(), head.clone().requires_grad_()
            began = time.process_time()
            torch.autograd.backward(side(h, w))
            own.append(time.process_time() - began)
    ours, full = (statistics.median(own[1:]) for own in seconds)
    return ours, full


def _write(folder: Path, model: Model, num_rows: int, length: int) -> Tensor:
    """Write what the peer needs, and return int64[rows, length + 1] tokens."""
    tokens = torch.randint(VOCAB_SIZE, (num_rows, length + 1), generator=torch.Generator().manual_seed(1))
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights | {"tokens": tokens}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(model.config.model_dump() | {"vocab_size": VOCAB_SIZE}))
    return tokens


def _starts(num_rows: int, length: int) -> np.ndarray:
    """Documents of lengths as those of web pages: log-normal, a median of 545 tokens."""
    random = np.random.default_rng(0)
    starts = [0]
    while starts[-1] < num_rows * length:
        end_of_row = (starts[-1] // length + 1) * length
        starts.append(min(end_of_row, starts[-1] + max(1, int(random.lognormal(6.3, 1.1)))))
    return np.array(starts, np.int32)


def _row_starts(num_rows: int, length: int) -> np.ndarray:
    return np.arange(0, (num_rows + 1) * length, length, dtype=np.int32)


def _positions(starts: np.ndarray, num_rows: int) -> Tensor:
    return torch.from_numpy(np.concatenate([np.arange(length) for length in np.diff(starts)])).view(num_rows, -1)


if __name__ == "__main__":
    main()
