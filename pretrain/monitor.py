"""What a training says of itself while it runs: speeds of each step, and a record of each start.

    OUT/starts.jsonl    one line a start, kept for ever: step, time, machine, plan

`MFU` (Chowdhery et al., "PaLM", 2022, appendix B) is the share of a device's published peak that a training uses. The
share of a matrix product says the same of what the device reaches here, and is known on every device.
"""

import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

from pretrain.config import DeviceConfig
from pretrain.hardware import Machine, peak_memory
from pretrain.metrics import STARTS, Record
from pretrain.model import Model
from pretrain.order.plan import Plan
from shards.atomic import disk_error


class Monitor:
    """The speeds of a training, at next to no cost a step."""

    def __init__(self, machine: Machine, device: torch.device, *, every_s: float = 1.0) -> None:
        """Memory is looked up every `every_s` seconds: on CUDA that takes longer than all else here."""
        self.machine = machine
        self._device, self._every_s = device, every_s
        self._memory, self._looked_up = 0, float("-inf")

    def speed(self, *, flops: float, num_tokens: int, seconds: float, wait_s: float) -> Record:
        """What a step's record says of its speed: `flops` operations on all devices for `num_tokens` labels.

        `wait_s` of its `seconds` were spent waiting for the batch.
        """
        machine, rate = self.machine, flops / seconds
        return {
            "tokens_per_s": num_tokens / seconds,
            "tflop_per_s": rate / 1e12,
            "mfu": rate / machine.num_devices / machine.published_flops if machine.published_flops else None,
            "matmul_share": rate / machine.num_devices / machine.matmul_flops,
            "data_wait": wait_s / seconds,
            "memory_bytes": self._peak_memory(),
            "seconds": seconds,
        }

    def _peak_memory(self) -> int:
        now = time.monotonic()
        if now - self._looked_up >= self._every_s:
            self._memory, self._looked_up = peak_memory(self._device), now
        return self._memory


def matmul_dtype(config: DeviceConfig, device: torch.device) -> torch.dtype:
    """The type in which a training's matrix products are made."""
    if config.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return {"bf16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}[config.precision]


def record_start(plan: Plan, step: int, model: Model, machine: Machine, progress: Callable[[Record], None]) -> None:
    """Append a start after `step` to OUT/starts.jsonl, and show it.

    The operations that are left are those of full rows without attention between tokens: what no training does without.
    """
    config = plan.config
    tokens_left = (config.steps - step) * config.batch_size * config.sequence_length
    record = {
        "step": step,
        "steps": config.steps,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": machine.name,
        "num_devices": machine.num_devices,
        "published_tflop_per_s": machine.published_flops and machine.published_flops / 1e12,
        "matmul_tflop_per_s": machine.matmul_flops / 1e12,
        "parameters": model.num_parameters(),
        "tflop_left": model.training_flops(tokens_left, 0) / 1e12,
        "plan": plan.hash,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "every_s": config.monitor.every_s,
    }
    path = Path(config.out) / STARTS
    try:
        with path.open("ab") as file:
            file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise disk_error(path, error) from error
    progress(record)
