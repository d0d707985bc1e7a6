"""Checks that need a CUDA device: varlen attention agrees with attention by document; bfloat16 trains as float32."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import documents_of

from pretrain.checkpoint import Checkpoints
from pretrain.config import CheckpointConfig
from pretrain.loss import losses
from pretrain.order.batch import NO_LABEL
from pretrain.state import TrainState
from pretrain.train import train_model

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("kv_heads", [8, 2])
def test_varlen_attention_equals_attention_by_document(kv_heads: int) -> None:
    torch.manual_seed(0)
    rows = [[100, 1, 27], [128], [60, 60, 8]]
    positions = np.array([np.concatenate([np.arange(n) for n in lengths]) for lengths in rows])
    results = []
    for device in (torch.device("cuda"), torch.device("cpu")):
        torch.manual_seed(1)
        q, k, v = (torch.randn(3, 128, heads, 64) for heads in (8, kv_heads, kv_heads))
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        leaves = [x.bfloat16().to(device, dtype).requires_grad_() for x in (q, k, v)]
        out = documents_of(positions, device).attend(*leaves)
        out.float().square().sum().backward()
        results.append([x.detach().float().cpu() for x in (out, *(leaf.grad for leaf in leaves))])
    for ours, oracle in zip(*results, strict=True):
        torch.testing.assert_close(ours, oracle, rtol=3e-2, atol=3e-2)


def test_the_compiled_loss_and_its_gradients_are_those_of_the_cpu() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(2, 300, 64).bfloat16(), (0.3 * torch.randn(1000, 64)).bfloat16()
    labels = torch.randint(1000, (2, 300))
    labels[0, :50] = NO_LABEL
    results = []
    for device, dtype in (("cuda", torch.bfloat16), ("cpu", torch.float32)):
        h, w = (x.detach().to(device, dtype).requires_grad_() for x in (hidden, head))
        total, tokens = losses(h, w, labels.to(device), 1 / 550, z_loss=1e-3, chunk=128)
        total.backward()
        with torch.no_grad():
            assert losses(h, w, labels.to(device), chunk=128).tokens_BT.allclose(tokens, atol=1e-5)
        results.append([x.detach().float().cpu() for x in (total, tokens, h.grad, w.grad)])
    for ours, oracle in zip(*results, strict=True):
        assert (ours - oracle).norm() <= 2e-2 * oracle.norm()


def test_a_checkpoint_of_cuda_holds_what_was_when_it_was_saved(tmp_path: Path) -> None:
    model = torch.nn.Linear(1000, 1000, device="cuda")
    optimizer = torch.optim.AdamW(model.parameters(), 1.0, fused=True)
    state, copies = TrainState(step=1, tokens=0, plan_hash="", identity={}), []
    with Checkpoints(tmp_path, model, optimizer, CheckpointConfig(keep_last=9)) as checkpoints:
        for step in (1, 2, 3):
            model(torch.ones(2, 1000, device="cuda")).sum().backward()
            optimizer.step()
            copies.append([p.detach().clone() for p in model.parameters()])
            checkpoints.save(state.model_copy(update={"step": step}))
            checkpoints.check()
            with torch.no_grad():
                model.weight.add_(1)  # while the checkpoint is written
    for step in (3, 2, 1):
        loaded = checkpoints.load_newest()
        assert loaded is not None
        assert loaded.step == step
        assert all(map(torch.equal, model.parameters(), copies[step - 1]))
        shutil.rmtree(tmp_path / f"step-{step:08d}")


@pytest.mark.parametrize("compiled", ["false", "true"])
def test_training_on_cuda_follows_the_curve_of_the_cpu(
    train_file: Callable[..., Path], tmp_path: Path, compiled: str
) -> None:
    model = {"width": 128, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1, "feed_forward_width": 256}
    curves = {}
    for device in ("cpu", "cuda"):
        overrides = {"device.kind": device} | ({"device.compile": compiled} if device == "cuda" else {})
        train_model(train_file(out=device, steps=30, model=model), overrides=overrides, progress=lambda record: None)
        lines = (tmp_path / device / "metrics.jsonl").read_text().splitlines()
        curves[device] = [json.loads(line) for line in lines]
    for cuda, cpu in zip(curves["cuda"], curves["cpu"], strict=True):
        assert cuda["loss"] == pytest.approx(cpu["loss"], abs=0.1)
        assert cuda["tokens"] == cpu["tokens"]
        assert 0 < cuda["mfu"] < 1
    assert curves["cuda"][-1]["loss"] < curves["cuda"][0]["loss"] - 1
