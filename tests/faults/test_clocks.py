"""Clocks of machines that differ by an hour change no byte of a run."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from fault_runs import KILLS, Attempts, Faults, kill_driver

SITE = """
import os, time
shift_s = float(os.environ["CLOCK_SHIFT_S"])
time.time, real = (lambda: real() + shift_s), time.time
time.time_ns, real_ns = (lambda: real_ns() + int(shift_s * 1e9)), time.time_ns
"""


def shift_files(paths: Iterable[Path], seconds: float) -> None:
    """Give all files times that another machine's clock would have given them."""
    for path in paths:
        if path.is_file():
            then = time.time() + seconds
            os.utime(path, (then, then))


@pytest.mark.slow
@pytest.mark.parametrize("ahead_s", [3600, *([-3600] if KILLS else [])])
def test_a_run_that_goes_on_where_the_clock_differs_by_an_hour_has_the_same_bytes(
    recipe: Path, undisturbed: dict[str, str], whole_s: float, faults: Faults, tmp_path: Path, ahead_s: int
) -> None:
    """Python's clock of each attempt, and the times of the files that the one before has left."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", ""), str(Path(__file__).parents[2])])
    attempts = Attempts(recipe, tmp_path / "run", tmp_path / "attempts", environment={"PYTHONPATH": path})
    attempts.environment["CLOCK_SHIFT_S"] = str(ahead_s)
    with attempts.begin() as driver:
        time.sleep(whole_s / 3)
        kill_driver(driver, Random(0))
    shift_files((tmp_path / "run").rglob("*"), ahead_s)
    attempts.environment["CLOCK_SHIFT_S"] = str(-ahead_s)
    attempts.end()
    faults.add(f"clock {'an hour ahead, then behind' if ahead_s > 0 else 'an hour behind, then ahead'}")
    faults.end(tmp_path / "run", undisturbed)
