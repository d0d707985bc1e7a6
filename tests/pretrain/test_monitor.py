"""The monitor: shares of what a machine can do, at next to no cost, and a record of every start."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from training_runs import train

from pretrain.config import DeviceConfig
from pretrain.hardware import Machine
from pretrain.metrics import Record
from pretrain.monitor import Monitor, matmul_dtype
from shards.errors import UserError

CPU = torch.device("cpu")
EIGHT = Machine("NVIDIA H200", 8, published_flops=1000e12, matmul_flops=800e12)


def test_shares_are_those_of_all_devices() -> None:
    speed = Monitor(EIGHT, CPU).speed(flops=4000e12, num_tokens=3000, seconds=2.0, wait_s=0.01)
    memory = speed.pop("memory_bytes")
    assert memory > 10_000_000
    assert speed == {
        "tokens_per_s": 1500, "tflop_per_s": 2000, "mfu": 0.25, "matmul_share": 0.3125, "data_wait": 0.005,
        "seconds": 2.0,
    }  # fmt: skip


def test_a_device_without_a_published_peak_has_no_mfu() -> None:
    machine = Machine("?", 1, None, 800e12)
    assert Monitor(machine, CPU).speed(flops=1.0, num_tokens=1, seconds=1.0, wait_s=0.0)["mfu"] is None


def test_memory_is_looked_up_from_time_to_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now, looks = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr("pretrain.monitor.peak_memory", lambda device: looks.append(device) or len(looks))
    monitor = Monitor(EIGHT, CPU, every_s=5.0)
    seen = []
    for second in range(11):
        now[0] = float(second)
        seen.append(monitor.speed(flops=1.0, num_tokens=1, seconds=1.0, wait_s=0.0)["memory_bytes"])
    assert seen == [1] * 5 + [2] * 5 + [3]


@pytest.mark.parametrize(
    ("precision", "device", "dtype"),
    [
        ("auto", "cpu", torch.float32),
        ("auto", "cuda", torch.bfloat16),
        ("float64", "cpu", torch.float64),
        ("bf16", "cpu", torch.bfloat16),
    ],
)
def test_a_matrix_product_is_measured_in_the_precision_of_the_training(
    precision: str, device: str, dtype: torch.dtype
) -> None:
    config = DeviceConfig.model_validate({"precision": precision})
    assert matmul_dtype(config, torch.device(device)) == dtype


def lines(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_training_records_its_starts_its_speeds_and_its_texts(
    train_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = train_file(monitor={"sample_every": 5, "sample_tokens": 4, "prompts": ["", "the mill"]})
    told: list[Record] = []
    train(path, told.append, steps="6")
    train(path, told.append, steps="6")
    out = tmp_path / "out"
    starts = lines(out / "starts.jsonl")
    assert [(start["step"], start["steps"]) for start in starts] == [(0, 6)], "a finished training does not start"
    assert starts[0]["matmul_tflop_per_s"] > 0
    assert starts[0]["tflop_left"] == pytest.approx(6 * (starts[0]["parameters"] - 320 * 32) * 6 * 4 * 64 / 1e12)
    assert [record for record in told if "started" in record] == starts
    steps = lines(out / "metrics.jsonl")
    assert all(0 <= step["data_wait"] <= 1 and step["matmul_share"] > 0 for step in steps)
    samples = lines(out / "samples.jsonl")
    assert [(sample["step"], sample["prompt"]) for sample in samples] == [
        (5, ""), (5, "the mill"), (6, ""), (6, "the mill"),
    ]  # fmt: skip
    assert [record for record in told if "sample" in record] == samples


def test_samples_change_nothing_of_the_training(train_file: Callable[..., Path], tmp_path: Path) -> None:
    losses = []
    for name, monitor in (("plain", {}), ("sampled", {"sample_every": 2, "sample_tokens": 3})):
        train(train_file(out=name, steps=6, monitor=monitor))
        losses.append([step["loss"] for step in lines(tmp_path / name / "metrics.jsonl")])
    assert losses[0] == losses[1]
    assert not (tmp_path / "plain" / "samples.jsonl").exists()


def test_a_tracker_that_is_missing_is_refused_before_anything_is_made(
    train_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pretrain.trackers.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install wandb"):
        train(train_file(monitor={"wandb": "mill"}))
    assert not (tmp_path / "out").exists()
