"""Checkpoints that are damaged, on trainings that go on after them."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from training_runs import curve, evaluations, train

from pretrain.metrics import Record
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
