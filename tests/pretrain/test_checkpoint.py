"""Checkpoints that are damaged, on trainings that go on after them."""

import math
import resource
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn
from training_runs import curve, evaluations, train

from pretrain.checkpoint import Checkpoints, is_due, kept_steps, patience
from pretrain.config import CheckpointConfig, load_config
from pretrain.metrics import Record
from pretrain.model import Model
from pretrain.optim import make_optimizer
from pretrain.order.plan import make_plan
from pretrain.state import TrainState, checkpoint_paths, step_of
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
@pytest.mark.parametrize("name", ["state.json", "model-00000.safetensors", "optimizer-00000.safetensors"])
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
    train(path, lambda record: steps.append(record["step"]) if "loss" in record else None)
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
    checkpoints = checkpoints_of(path)
    files = sorted(newest.iterdir())
    assert {file.name.partition("-")[0] for file in files} == {"model", "optimizer", "rng", "state.json"}
    for number in range(100):
        file = files[number % len(files)]
        data = bytearray(whole := file.read_bytes())
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        file.write_bytes(data)
        state = checkpoints.load_newest()
        assert state is not None
        assert state.step == 4
        file.write_bytes(whole)
    state = checkpoints.load_newest()
    assert state is not None
    assert state.step == 8


def checkpoints_of(path: Path) -> Checkpoints:
    plan = make_plan(load_config(path, {}))
    model = Model(plan.config.model, plan.vocab_size)
    optimizer = make_optimizer(model, plan.config.optimizer)
    return Checkpoints(Path(plan.config.out) / "checkpoints", model, optimizer, plan.config.checkpoint)


def small(folder: Path, **settings: object) -> tuple[Checkpoints, nn.Linear]:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Checkpoints(folder, model, optimizer, CheckpointConfig.parse(settings, "")), model


STATE = TrainState(step=3, tokens=0, plan_hash="", identity={})


@pytest.mark.parametrize("asynchronous", [True, False])
def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, asynchronous: bool) -> None:
    checkpoints, model = small(tmp_path, asynchronous=asynchronous)
    with torch.no_grad():
        model.bias[1] = math.inf

    def save() -> None:
        with checkpoints:
            checkpoints.save(STATE)

    with pytest.raises(RunError, match=r"step 3: bias is not finite, and no checkpoint was written; .* another out$"):
        save()
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_holds_what_was_when_it_was_saved(tmp_path: Path) -> None:
    checkpoints, model = small(tmp_path)
    before = model.weight.detach().clone()
    for step in range(1, 30):
        with checkpoints if step == 29 else nullcontext():
            checkpoints.save(STATE.model_copy(update={"step": step}))
            checkpoints.check()
        with torch.no_grad():
            model.weight.add_(1)
    state = checkpoints.load_newest()
    assert state is not None
    assert state.step == 29
    assert torch.equal(model.weight, before + 28)
    assert [step_of(path) for path in checkpoint_paths(tmp_path)] == [28, 29]


def test_a_full_disk_ends_the_training_in_one_line_and_spares_the_checkpoint_before(tmp_path: Path) -> None:
    checkpoints, _ = small(tmp_path)
    checkpoints.save(STATE)
    checkpoints.wait()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        checkpoints.save(STATE.model_copy(update={"step": 4}))  # the training goes on, and hears of it after a step
        with pytest.raises(
            RunError, match=r"step-00000004/.*: (writing failed|the disk is full).* it resumes$"
        ) as error:
            checkpoints.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(error.value)
    state = checkpoints.load_newest()
    assert state is not None
    assert state.step == 3


@pytest.mark.parametrize(
    ("settings", "keep_up_to", "kept"),
    [
        ({"keep_last": 2}, None, {40, 50}),
        ({"keep_last": 1, "keep_every": 20}, None, {20, 40, 50}),
        ({"keep_last": 1}, 35, {30, 50}),
        ({"keep_last": 9}, None, {10, 20, 30, 40, 50}),
    ],
)
def test_the_last_ones_and_every_kth_stay(settings: dict[str, object], keep_up_to: int | None, kept: set[int]) -> None:
    config = CheckpointConfig.parse(settings, "")
    assert kept_steps([10, 20, 30, 40, 50], config, keep_up_to) == kept


def test_a_checkpoint_is_due_by_steps_and_by_time() -> None:
    config = CheckpointConfig(every=500, every_minutes=15, keep_every=300)
    assert [step for step in range(1, 1001) if is_due(step, config)] == [300, 500, 600, 900, 1000]
    assert (patience(config, is_first=True), patience(config, is_first=False)) == (1, 15)


def test_what_is_saved_after_a_damaged_checkpoint_stays(train_file: Callable[..., Path], tmp_path: Path) -> None:
    def stop(record: Record) -> None:
        if record["step"] == 6 and "loss" in record:
            signal.raise_signal(signal.SIGINT)

    path, out = train_file(), tmp_path / "out"
    cut(stopped_at_8(path, out) / "optimizer-00000.safetensors")
    with pytest.raises(Interrupted):
        train(path, stop, **{"checkpoint.keep_last": "1"})
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["step-00000007"]


def test_where_no_checkpoint_loads_nothing_is_trained_over_them(
    train_file: Callable[..., Path], tmp_path: Path
) -> None:
    path, out = train_file(), tmp_path / "out"
    stopped_at_8(path, out)
    for checkpoint in (out / "checkpoints").iterdir():
        cut(checkpoint / "model-00000.safetensors")
    with pytest.raises(
        RunError, match=r"none of its checkpoints loads \(2 tried\); .*step-00000008.*; restore .*or delete"
    ) as error:
        train(path)
    assert "\n" not in str(error.value)
