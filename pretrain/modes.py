"""Modes of Python and torch that a training has, and that end with it."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Leave garbage to checkpoints: a collection in a step takes up to 0.1 s, for which the device waits."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


@contextmanager
def deterministic(is_wanted: bool) -> Iterator[None]:
    """Let torch use deterministic kernels; it raises RuntimeError for an operation that has none."""
    was_wanted = torch.are_deterministic_algorithms_enabled()
    if is_wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS's condition; read when it starts
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was_wanted)
