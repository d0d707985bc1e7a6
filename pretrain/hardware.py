"""Peak rates of devices: as their makers publish them, and as a matrix product reaches them here."""

import re
import resource
import sys
import time
from dataclasses import dataclass

import torch

# Dense bfloat16 matrix products with float32 sums, in TFLOP/s, by the first pattern that the device's name has. Data
# sheets often give twice as much, for sparse matrices.
PUBLISHED: tuple[tuple[str, float], ...] = (
    (r"\bMIG\b|Laptop|Max-Q", 0),  # a part of a device, or one of another clock: unknown
    (r"\bGB200\b", 2500),  # NVIDIA GB200 NVL72, data sheet: 5,000 a GPU with sparsity
    (r"\bB200\b", 2250),  # NVIDIA HGX B200, data sheet: 36,000 for eight with sparsity
    (r"\bH200 NVL\b", 835.5),  # NVIDIA H200, data sheet: 1,671 with sparsity
    (r"\bG?H200\b", 989.5),  # NVIDIA H200 SXM and GH200, data sheets: 1,979 with sparsity
    (r"\bH100 PCIe\b", 756.5),  # NVIDIA H100 PCIe, product brief: 1,513 with sparsity
    (r"\bH100 NVL\b", 835.5),  # NVIDIA H100 NVL, data sheet: 1,671 with sparsity
    (r"\bH100\b|\bH800\b", 989.5),  # NVIDIA H100 SXM, data sheet: 1,979 with sparsity
    (r"\bH20\b", 148),  # NVIDIA H20, data sheet
    (r"\bA100\b|\bA800\b", 312),  # NVIDIA A100, data sheet
    (r"\bA30\b", 165),  # NVIDIA A30, data sheet
    (r"\bA40\b", 149.7),  # NVIDIA A40, data sheet
    (r"\bA10\b", 125),  # NVIDIA A10, data sheet
    (r"\bL40S\b", 362),  # NVIDIA L40S, data sheet
    (r"\bL40\b", 181),  # NVIDIA L40, data sheet
    (r"\bL4\b", 121),  # NVIDIA L4, data sheet: 242 with sparsity
    (r"\bRTX 6000 Ada\b", 364.2),  # NVIDIA RTX 6000 Ada, data sheet: 728.5 with sparsity
    (r"\bRTX A6000\b", 154.8),  # NVIDIA RTX A6000, data sheet: 309.7 with sparsity
    (r"\bRTX 5090$", 209.5),  # NVIDIA RTX Blackwell architecture paper, appendix A
    (r"\bRTX 4090$", 165.2),  # NVIDIA Ada architecture paper, appendix A
    (r"\bRTX 3090$", 71),  # NVIDIA Ampere GA102 architecture paper, appendix A
    (r"\bMI300X\b", 1307.4),  # AMD Instinct MI300X, data sheet
)
_SIDE = {"cuda": 8192, "cpu": 1024}  # of the square matrices whose product is timed


@dataclass(frozen=True)
class Machine:
    """The devices of a training, which are all alike."""

    name: str
    num_devices: int
    published_flops: float | None  # of one device, a second; None where it is not known
    matmul_flops: float  # of one device, a second, as a product of large matrices reaches it

    @classmethod
    def measured(cls, device: torch.device, dtype: torch.dtype, num_devices: int = 1) -> "Machine":
        """The machine, after a measurement that takes less than a second."""
        if device.type == "cuda":
            name = torch.cuda.get_device_name(device)
            return cls(name, num_devices, published_flops(name), matmul_flops(device, dtype))
        num_threads = torch.get_num_threads()
        name = f"{num_threads} thread{'s' * (num_threads != 1)} of a CPU"
        return cls(name, num_devices, None, matmul_flops(device, dtype))


def published_flops(device_name: str) -> float | None:
    """The device's published operations a second in bfloat16, as torch names it; None where it is not known."""
    tera = next((tera for pattern, tera in PUBLISHED if re.search(pattern, device_name)), 0)
    return tera * 1e12 or None


def matmul_flops(device: torch.device, dtype: torch.dtype, repeats: int = 5) -> float:
    """Operations a second of a product of two large square matrices of random numbers, the best of `repeats`.

    Random, since GPUs multiply zeros faster.
    """
    side = _SIDE[device.type]
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty(side, side, device=device, dtype=dtype)
    seconds = []
    for _ in range(repeats + 2):  # the first two warm up
        _wait(device)
        started = time.perf_counter()
        torch.mm(a, b, out=out)
        _wait(device)
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds[2:])


def peak_memory(device: torch.device) -> int:
    """Most bytes so far: those that torch allocated on a CUDA device, or the resident memory of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
