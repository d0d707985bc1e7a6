"""A run whose processes are killed at random moments, time and again, ends with the bytes of an undisturbed run.

Each attempt is made elsewhere (`fault_runs.Attempts`). The moments are drawn by a seed, which is printed. Kills of
nodes and workers of Ray are in `pipelines/executors/test_ray_faults.py`.
"""

from pathlib import Path

import pytest
from command import gristmill
from fault_runs import KILLS, Attempts, Faults, Killing, end_driver, kill_driver, kill_worker
from s3_server import Proxy

STRIKES = {"driver, SIGKILL": kill_driver, "driver, SIGTERM": end_driver, "worker, SIGKILL": kill_worker}
CASES = [  # and whether continuous integration has it
    ("driver, SIGKILL", "pool", "disk", True),
    ("worker, SIGKILL", "pool", "disk", True),
    ("driver, SIGTERM", "pool", "disk", False),
    ("driver, SIGKILL", "in-process", "disk", False),
    ("driver, SIGKILL", "pool", "store", False),
    ("worker, SIGKILL", "pool", "store", False),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", range(len(CASES)), ids=[" ".join(case[:3]) for case in CASES])
def test_a_run_whose_processes_are_killed_ends_with_the_same_bytes(
    s3: Proxy, recipe: Path, undisturbed: dict[str, str], whole_s: float, faults: Faults, tmp_path: Path, case: int
) -> None:
    fault, executor, place, is_quick = CASES[case]
    if not KILLS and not is_quick:
        pytest.skip("`make test-faults` runs it")

    def new(number: int) -> Attempts:
        out = tmp_path / f"run-{number}" if place == "disk" else f"{s3.folder}/run-{number}"
        return Attempts(recipe, out, tmp_path / f"attempts-{number}", ("--executor", executor))

    killing = Killing(f"{fault}; {executor}, {place}", STRIKES[fault], case, whole_s)
    killing.go(new, max(1, KILLS * 15 // 100), faults, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["disk", "store"])
def test_a_second_driver_is_refused_with_the_name_of_the_first(
    s3: Proxy, recipe: Path, undisturbed: dict[str, str], faults: Faults, tmp_path: Path, place: str
) -> None:
    if place == "store" and not KILLS:
        pytest.skip("`make test-faults` runs it")
    attempts = Attempts(recipe, tmp_path / "run" if place == "disk" else s3.folder, tmp_path / "attempts")
    with attempts.begin() as first:
        done = gristmill("run", recipe, "--out", attempts.out)
        assert done.returncode == 2
        assert f"another gristmill works in this folder: process {first.pid} on " in done.stderr
        _, said = first.communicate()
        assert first.returncode == 0, said
    faults.add(f"second driver; {place}")
    faults.end(attempts.out, undisturbed)
