"""Threads of torch on a CPU that others use too.

torch splits an operation over threads that meet at its end, thousands of times a second. Threads of GNU OpenMP wait
there for each other by spinning, for milliseconds, and on a shared core they take the time that the thread needs for
which they wait. With five busy programs on two cores a training so fell from 8,338 to between 87 and 700 tokens/s. At a
load of 12 the demo's model trains at 84 and 97 tokens/s with threads that spin, at 481 and 667 with threads that sleep.
"""

import os

from shards.cores import usable_cores

_SET_BY_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def wait_passively() -> None:
    """Let threads of OpenMP sleep while they wait. It has an effect before torch is imported only.

    OMP_WAIT_POLICY is OpenMP's own (OpenMP 5.2, section 21.6), which the libgomp of torch's wheels for Linux reads, and
    KMP_BLOCKTIME that of Intel's and LLVM's library, which other builds of torch have. What a user has set stays.
    """
    if not any(name in os.environ for name in _SET_BY_USER):
        os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}


def use_cores_at_hand() -> None:
    """Give torch as many threads as this process has cores, by affinity and quota; OMP_NUM_THREADS is left alone."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(usable_cores())
