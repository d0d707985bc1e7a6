"""Files of checkpoints, and checkpoints that one number of ranks writes and another one reads."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pretrain.checkpoint_storage import opened, write_safetensors
from shards.errors import RunError
from shards.manifest import file_sha256


def test_a_file_is_one_that_safetensors_reads(tmp_path: Path) -> None:
    tensors = {
        "weight": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3),
        "step": torch.tensor(3.0),
        "none": torch.zeros(0, 4, dtype=torch.float64),
        "rng": torch.arange(5, dtype=torch.uint8),
    }
    path = tmp_path / "model-00000.safetensors"
    assert write_safetensors(path, tensors, {"format": "pt"}) == file_sha256(path)
    found = load_file(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(RunError, match=r"model-00000\.safetensors: not readable \("):
        opened(path)


WORLDS = """
import os, sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.fsdp
from torch import nn

from pretrain.checkpoint import Checkpoints
from pretrain.config import CheckpointConfig
from pretrain.state import TrainState

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def train(folder, rank, world, last):
    "Train to a step from the newest checkpoint, and save one at the end; prints the losses."
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2, bias=False))
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/store{last}", rank=rank, world_size=world)
        torch.distributed.fsdp.fully_shard(model, mesh=dist.init_device_mesh("cpu", (world,)))
    optimizer = torch.optim.AdamW(model.parameters(), 0.01, fused=True)
    with Checkpoints(folder / "checkpoints", model, optimizer, CheckpointConfig()) as checkpoints:
        state = checkpoints.load_newest() or TrainState(step=0, tokens=0, plan_hash="", identity={})
        for step in range(state.step + 1, last + 1):
            x = torch.randn(8, 5, generator=torch.Generator().manual_seed(step))
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if rank == 0:
                print(step, float(loss), flush=True)
        checkpoints.save(state.model_copy(update={"step": last}))


def ranks(folder, world, last):
    children = []
    for rank in range(world):
        if not (child := os.fork()):
            train(folder, rank, world, last)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * world


for folder, *phases in (("whole", (1, 9)), ("changing", (2, 3), (1, 6), (3, 9))):
    path = Path(sys.argv[1]) / folder
    path.mkdir()
    for world, last in phases:
        ranks(path, world, last)
"""


def test_what_two_ranks_wrote_one_goes_on_from_and_then_three(tmp_path: Path) -> None:
    """Weights and optimizer state are sharded by FSDP2, over sizes that neither two nor three divide."""
    done = subprocess.run([sys.executable, "-c", WORLDS, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [int(step) for step, _ in lines] == [*range(1, 10), *range(1, 10)]
    losses = [float(loss) for _, loss in lines]
    assert losses[9:] == pytest.approx(losses[:9], rel=1e-12)
    files = [path.name for path in (tmp_path / "changing" / "checkpoints" / "step-00000009").iterdir()]
    assert [sum(file.startswith(kind) for file in files) for kind in ("model", "optimizer", "rng", "state")] == [
        3,
        3,
        1,
        1,
    ]
