"""Counts the cores that this process may use, which on shared machines and in containers are fewer than there are.

`os.cpu_count()` counts the machine. A process gets less where its CPU affinity names some cores only (taskset, Slurm,
`docker --cpuset-cpus`), and where a control group above it has a quota of CPU time (`docker --cpus`, Kubernetes limits,
systemd's CPUQuota). Threads beyond that wait for each other instead of computing.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores() -> int:
    """Cores in this process's affinity, or its CPU quota where that is less; a quota of 1.5 cores counts as 2."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        cores, quota = len(os.sched_getaffinity(0)), cpu_quota(Path("/"))
    else:
        cores, quota = os.cpu_count() or 1, math.inf
    return max(1, math.ceil(min(cores, quota)))


def cpu_quota(root: Path) -> float:
    """Cores' worth of CPU time that control groups, version 1 and 2, grant this process; infinite without a quota.

    `root` is the folder that holds `proc` and `sys`. Each group is limited by its own quota and by its parents'.
    """
    return min((_quota_of(folder) for folder in _groups(root)), default=math.inf)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of this process's CPU group and its parents, in each mounted hierarchy.

    A container sees its own group as the root of the mount, while /proc may name it by its path on the host: folders
    that do not exist are therefore passed over, and the mount itself is asked always.
    """
    try:
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):  # no /proc
        return
    paths = {tuple(controllers.split(",")): path for _, controllers, path in (line.split(":", 2) for line in groups)}
    for mount in mounts:
        place, _, kind = mount.partition(" - ")
        point, (name, _, options) = place.split()[4], kind.split(maxsplit=2)
        if name == "cgroup2" or (name == "cgroup" and "cpu" in options.split(" ")[-1].split(",")):
            wanted = "" if name == "cgroup2" else "cpu"
            path = next((path for controllers, path in paths.items() if wanted in controllers), "/")
            relative = PurePosixPath(path.lstrip("/"))
            yield from (root / point.lstrip("/") / folder for folder in (relative, *relative.parents))


def _quota_of(folder: Path) -> float:
    """The quota of one group: `cpu.max` of version 2, `cpu.cfs_quota_us` and `cpu.cfs_period_us` of version 1.

    Both are microseconds of CPU time a period; "max" and -1 are no quota (Linux, admin-guide/cgroup-v2.rst and
    scheduler/sched-bwc.rst).
    """
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # not this hierarchy, or "max"
        return math.inf
