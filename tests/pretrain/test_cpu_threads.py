"""Threads of torch sleep while they wait, and are as many as this process has cores."""

import os
import re
import subprocess
import sys

import pytest

LOADED = "import pretrain.train, os; print(os.environ['OMP_WAIT_POLICY'], os.environ.get('KMP_BLOCKTIME'))"
THREADS = (
    "from pretrain.cpu_threads import use_cores_at_hand as use; import torch; use(); print(torch.get_num_threads())"
)
OMP = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS")


def printed(code: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in OMP}
    done = subprocess.run([sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_threads_sleep_while_they_wait_unless_the_user_has_decided() -> None:
    assert printed(LOADED) == "PASSIVE 0"
    assert printed(LOADED, OMP_WAIT_POLICY="ACTIVE") == "ACTIVE None"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_there_is_a_thread_for_each_core_of_the_affinity_unless_the_user_has_decided() -> None:
    assert printed(f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); {THREADS}") == "1"
    assert printed(THREADS, OMP_NUM_THREADS="1") == "1"


def test_gnu_openmp_reads_what_was_set_before_torch_was_imported() -> None:
    """It shows its settings when it is loaded: how often a thread asks before it sleeps. Others show nothing of it."""
    environment = {name: value for name, value in os.environ.items() if name not in OMP} | {
        "OMP_DISPLAY_ENV": "VERBOSE"
    }
    spins = []
    for code in ("import torch", "import pretrain.train"):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        spins += re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    if not spins:
        pytest.skip("torch's OpenMP is not GNU's")
    assert int(spins[0]) > int(spins[1]) == 0
