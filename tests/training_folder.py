"""The folder of a training that was never done, with what one leaves there."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomli_w

START = {
    "step": 0, "started": "2024-05-01T10:00:00+00:00", "steps": 400, "parameters": 3000, "every_s": 10.0,
    "device": "2 threads of a CPU", "num_devices": 1, "published_tflop_per_s": None, "matmul_tflop_per_s": 0.08,
    "torch": "2.13.0", "plan": "ab" * 32,
}  # fmt: skip


def write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def step_record(step: int) -> dict[str, Any]:
    """The record of a step, whose loss falls as 1 + 4 / √step."""
    loss = 1 + 4 / math.sqrt(step)
    return {
        "step": step, "loss": loss, "tokens": 1000 * step, "lr": 1e-3, "grad_norm": 0.5, "tokens_per_s": 2000.0,
        "tflop_per_s": 0.04, "mfu": None, "matmul_share": 0.5, "data_wait": 0.001, "memory_bytes": 10**9,
        "seconds": 0.5, "loss_by_source": {"<web>": loss, "books": loss + 1}, "batch_xxh3": "0" * 16,
    }  # fmt: skip


def make_training(folder: Path, num_steps: int = 300) -> Path:
    """A training of 400 steps that has done `num_steps` of them; its token folder is elsewhere now."""
    settings = {
        "out": "elsewhere", "steps": 400, "sequence_length": 64, "batch_size": 16,
        "model": {"width": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "feed_forward_width": 64},
        "source": {"<web>": {"tokens": str(folder / "gone")}},
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "train.toml").write_text(tomli_w.dumps(settings))
    write_lines(folder / "metrics.jsonl", map(step_record, range(1, num_steps + 1)))
    measured = [(0, 4.0), (100, 2.0), (200, 1.5), (300, 1.75)]
    write_lines(
        folder / "held_out.jsonl",
        ({"step": step, "held_out_bits_per_byte": {"<web>": value}} for step, value in measured),
    )
    return folder
