"""Peak rates: a device is known by its own name, and what is not known is not guessed."""

import pytest
import torch

from pretrain.hardware import Machine, matmul_flops, peak_memory, published_flops

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H200", 989.5),
        ("NVIDIA H200 NVL", 835.5),
        ("NVIDIA GH200 480GB", 989.5),
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA H100 NVL", 835.5),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA A10", 125),
        ("NVIDIA B200", 2250),
        ("NVIDIA GB200", 2500),
        ("NVIDIA L4", 121),
        ("NVIDIA L40", 181),
        ("NVIDIA L40S", 362),
        ("NVIDIA GeForce RTX 4090", 165.2),
    ],
)
def test_a_device_has_the_peak_of_its_own_name(name: str, tera: float) -> None:
    assert published_flops(name) == pytest.approx(tera * 1e12)


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA H200 MIG 1g.18gb",
        "NVIDIA A10G",
        "Tesla V100-SXM2-16GB",
        "Quadro",
    ],
)
def test_a_device_that_is_not_in_the_table_has_no_published_peak(name: str) -> None:
    assert published_flops(name) is None


def test_the_rate_of_a_matrix_product_is_measured_on_any_device() -> None:
    assert 1e8 < matmul_flops(CPU, torch.float32, repeats=1) < 1e14
    machine = Machine.measured(CPU, torch.float32, num_devices=2)
    assert (machine.num_devices, machine.published_flops) == (2, None)
    assert "CPU" in machine.name


def test_memory_of_a_process_on_cpu_is_its_resident_memory() -> None:
    before = peak_memory(CPU)
    held = torch.ones(64 << 20, dtype=torch.uint8)
    assert peak_memory(CPU) >= before > len(held)
