"""Checkpoints that are damaged, on trainings that go on after them."""

import math
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn
from training_runs import curve, evaluations, train

from pretrain.checkpoint import load_newest, save_checkpoint
from pretrain.config import load_config
from pretrain.metrics import Record
from pretrain.model import Model
from pretrain.optim import make_optimizer
from pretrain.order.plan import make_plan
from pretrain.state import TrainState
from shards.errors import Interrupted, RunError


def stopped_at_8(path: Path, out: Path) -> Path:
    """A run with checkpoints of steps 4 and 8 that was killed; the newest checkpoint."""

    def fail(record: Record) -> None:
        if record["step"] == 9:
            raise KeyError("killed")

    with pytest.raises(KeyError):
        train(path, fail)
    return out / "checkpoints" / "step-00000008"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    path.write_bytes(b"[1]")


@pytest.mark.parametrize("damage", [cut, garble, Path.unlink])
@pytest.mark.parametrize("name", ["state.json", "model.safetensors", "training.pt"])
def test_a_checkpoint_that_does_not_load_is_passed_over_for_the_one_before(
    train_file: Callable[..., Path],
    tmp_path: Path,
    undisturbed: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: Callable[[Path], None],
) -> None:
    path, out = train_file(), tmp_path / "out"
    damage(stopped_at_8(path, out) / name)
    steps: list[int] = []
    train(path, lambda record: steps.append(record["step"]))
    assert steps[0] == 5
    assert (name in caplog.text) == ((name, damage) != ("state.json", Path.unlink))  # that one is no checkpoint
    assert curve(out) == curve(undisturbed)
    assert evaluations(out) == evaluations(undisturbed)
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == ["step-00000008", "step-00000012"]


def test_each_of_a_hundred_bit_flips_is_passed_over(
    train_file: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = train_file(), tmp_path / "out"
    newest, random = stopped_at_8(path, out), Random(0)
    before = sorted((out / "checkpoints").iterdir())[-2]
    plan = make_plan(load_config(path, {}))
    model = Model(plan.config.model, plan.vocab_size)
    optimizer = make_optimizer(model, plan.config.optimizer)
    for number in range(100):
        file = newest / ("model.safetensors", "training.pt")[number % 2]
        data = bytearray(whole := file.read_bytes())
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        file.write_bytes(data)
        state = load_newest(out / "checkpoints", model, optimizer)
        assert state is not None
        assert state.step == int(before.name.removeprefix("step-"))
        file.write_bytes(whole)
    state = load_newest(out / "checkpoints", model, optimizer)
    assert state is not None
    assert state.step == 8


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.no_grad():
        model.bias[1] = math.inf
    with pytest.raises(RunError, match=r"step 3: bias is not finite, and no checkpoint was written; .* another out$"):
        save_checkpoint(tmp_path, TrainState(step=3, tokens=0, plan_hash="", identity={}), model, optimizer, keep=1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_saved_after_a_damaged_checkpoint_stays(train_file: Callable[..., Path], tmp_path: Path) -> None:
    def stop(record: Record) -> None:
        if record["step"] == 6 and "loss" in record:
            signal.raise_signal(signal.SIGINT)

    path, out = train_file(), tmp_path / "out"
    cut(stopped_at_8(path, out) / "training.pt")
    with pytest.raises(Interrupted):
        train(path, stop, keep_checkpoints="1")
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["step-00000006"]


def test_where_no_checkpoint_loads_nothing_is_trained_over_them(
    train_file: Callable[..., Path], tmp_path: Path
) -> None:
    path, out = train_file(), tmp_path / "out"
    stopped_at_8(path, out)
    for checkpoint in (out / "checkpoints").iterdir():
        cut(checkpoint / "model.safetensors")
    with pytest.raises(
        RunError, match=r"none of its checkpoints loads \(2 tried\); .*step-00000008.*; restore .*or delete"
    ) as error:
        train(path)
    assert "\n" not in str(error.value)
