"""Cores at hand: affinity and the quotas of both versions of control groups."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shards.cores import cpu_quota, usable_cores

V1 = "34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
V2 = "26 23 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def machine(root: Path, mounts: str, groups: str, files: dict[str, str]) -> Path:
    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in (files | {"proc/self/mountinfo": mounts, "proc/self/cgroup": groups}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("mounts", "groups", "files", "quota"),
    [
        (V2, "0::/user/job\n", {"user/job/cpu.max": "150000 100000\n"}, 1.5),
        (V2, "0::/user/job\n", {"user/cpu.max": "200000 100000\n", "user/job/cpu.max": "max 100000\n"}, 2),
        (V2, "0::/user/job\n", {"user/job/cpu.max": "max 100000\n"}, math.inf),
        (V2, "0::/\n", {"cpu.max": "50000 100000\n"}, 0.5),
        (V2, "0::/../other\n", {"cpu.max": "50000 100000\n"}, 0.5),
        (
            V1,
            "1:cpu,cpuacct:/job\n",
            {"cpu,cpuacct/job/cpu.cfs_quota_us": "-1", "cpu,cpuacct/job/cpu.cfs_period_us": "1"},
            math.inf,
        ),
        (
            V1,  # a container that sees its own group as the root
            "4:cpu,cpuacct:/docker/1f2e\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        (V1, "3:cpuset:/job\n", {}, math.inf),
        (V2, "0::/\n", {"cpu.max": "unexpected"}, math.inf),
        ("", "", {}, math.inf),
    ],
)
def test_a_quota_is_the_least_of_a_group_and_its_parents(
    tmp_path: Path, mounts: str, groups: str, files: dict[str, str], quota: float
) -> None:
    assert cpu_quota(machine(tmp_path, mounts, groups, files)) == quota


def test_a_machine_without_proc_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) == math.inf


def test_there_is_at_least_one_core_and_at_most_the_machine_s() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_cores_outside_the_affinity_do_not_count() -> None:
    one = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); from shards.cores import usable_cores"
    result = subprocess.run([sys.executable, "-c", f"{one}; print(usable_cores())"], capture_output=True, check=True)
    assert result.stdout == b"1\n"
