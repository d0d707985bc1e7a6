"""Trackers: they get the numbers of each record, are asked for by name, and are missed in one line."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from pretrain.config import load_config
from pretrain.metrics import Record
from pretrain.trackers import check_trackers, scalars, trackers
from shards.errors import UserError

STEP = {
    "step": 3, "loss": 2.5, "mfu": None, "loss_by_source": {"en": 2.0, "ru": None}, "batch_xxh3": "00", "seconds": 1.0,
}  # fmt: skip
HELD_OUT = {"step": 3, "held_out_bits_per_byte": {"en": 1.5}}


def test_the_numbers_of_a_record_are_named_by_what_they_are() -> None:
    assert scalars(STEP) == {"loss": 2.5, "loss_by_source/en": 2.0}
    assert scalars(HELD_OUT) == {"held_out_bits_per_byte/en": 1.5}
    assert scalars({"step": 3, "tasks": {"arc": {"accuracy": 0.5}}}) == {"tasks/arc/accuracy": 0.5}
    assert scalars({"step": 1, "prompt": "", "sample": "text"}) == {}


@pytest.mark.parametrize(("key", "value"), [("tensorboard", "true"), ("wandb", "mill")])
def test_a_package_that_is_missing_is_named_before_the_first_step(
    train_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    monkeypatch.setattr("pretrain.trackers.find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"monitor.{key}: needs the package {key}: pip install {key}"):
        check_trackers(load_config(train_file(), {f"monitor.{key}": value}))
    check_trackers(load_config(train_file(), {}))


@pytest.mark.parametrize(("settings", "is_leader"), [({}, True), ({"monitor.wandb": "mill"}, False)])
def test_progress_alone_is_told_where_nothing_is_asked_for_and_in_ranks_that_follow(
    train_file: Callable[..., Path], tmp_path: Path, settings: dict[str, str], is_leader: bool
) -> None:
    told: list[Record] = []
    with trackers(load_config(train_file(), settings), 0, told.append, is_leader=is_leader) as track:
        track(STEP)
    assert told == [STEP]
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_has_each_step_once_after_a_resume(train_file: Callable[..., Path], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = load_config(train_file(), {"monitor.tensorboard": "true"})
    for first_step, steps in ((0, range(1, 6)), (3, range(4, 8))):
        with trackers(config, first_step, lambda record: None) as track:
            for step in steps:
                track(STEP | {"step": step, "loss": 10.0 * first_step + step})
            track({"step": step, "prompt": "The", "sample": " mill"})
    events = EventAccumulator(str(tmp_path / "out" / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [
        (1, 1), (2, 2), (3, 3), (4, 34), (5, 35), (6, 36), (7, 37),
    ]  # fmt: skip
    assert "loss_by_source/en" in events.Tags()["scalars"]


_OFFLINE = """
import sys
from pathlib import Path
from pretrain.config import load_config
from pretrain.metrics import Record
from pretrain.trackers import trackers
config = load_config(Path(sys.argv[1]), {"monitor.wandb": "mill"})
with trackers(config, 0, lambda record: None) as track:
    track({"step": 1, "loss": 2.5, "loss_by_source": {"en": 2.0}})
    track({"step": 1, "prompt": "The", "sample": " mill"})
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_weights_and_biases_keeps_a_run_without_a_network(train_file: Callable[..., Path], tmp_path: Path) -> None:
    environment = {**os.environ, "WANDB_MODE": "offline", "HOME": str(tmp_path)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", _OFFLINE, str(train_file())],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
    name = (tmp_path / "out" / "wandb" / "run-id").read_text()
    assert len(list((tmp_path / "out" / "wandb").glob(f"offline-run-*/run-{name}.wandb"))) == 2
