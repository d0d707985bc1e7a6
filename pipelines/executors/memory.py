"""The memory of an executor, and the part of it that a task may take."""

import os
import re

from shards.errors import UserError

IDLE = 256 << 20  # bytes of a process that has loaded pyarrow and the kernels and does nothing

_LEAST_TASK = 64 << 20
_LEAST_MEMORY = 500_000_000


def machine_memory() -> int:
    """Bytes of main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def task_memory(memory: int, processes: int, workers: int) -> int:
    """Bytes for each task, where `workers` run at once and `processes` share the memory."""
    return max(_LEAST_TASK, (memory - processes * IDLE) // workers)


def parse_memory(text: str) -> int:
    """Bytes of "2GB", "500MB" or "1.5 GiB"; units are powers of ten without the i."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])(i?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise UserError(f"--memory {text}: expected a size as 2GB or 500MB")
    num_bytes = int(float(match[1]) * (1024 if match[3] else 1000) ** (" KMGT".index(match[2].upper())))
    if num_bytes < _LEAST_MEMORY:
        raise UserError(f"--memory {text}: too little for a process to start; give 500MB or more")
    return num_bytes
