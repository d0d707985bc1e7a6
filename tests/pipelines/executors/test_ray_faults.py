"""Runs on a cluster whose nodes, workers and drivers are killed end with the bytes of an undisturbed run."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from fault_runs import (
    KILLS,
    Attempts,
    Killing,
    all_faults,
    kill_driver,
    kill_one,
    make_recipe,
    make_undisturbed,
)
from ray_cluster import RayCluster, ray_cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("GRISTMILL_TEST_RAY" not in os.environ and not KILLS, reason="`make test-faults` runs it"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as cluster:
        cluster.add()
        cluster.add()
        yield cluster


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def undisturbed(recipe: Path) -> dict[str, str]:
    return make_undisturbed(recipe)


def busy_workers() -> list[int]:
    """The processes in which tasks of a cluster of this machine run: Ray names them after the task."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if re.match(rb"ray::_?[a-z]", (process / "cmdline").read_bytes()):  # not of an actor, nor of Ray's own
                found.append(int(process.name))
    return sorted(found)


@pytest.mark.parametrize("seed", range(3), ids=["driver", "worker", "node"])
def test_a_run_on_a_cluster_that_is_struck_ends_with_the_same_bytes(
    cluster: RayCluster, recipe: Path, undisturbed: dict[str, str], tmp_path: Path, seed: int
) -> None:
    def replace_node(_: subprocess.Popen[str], draw: Random) -> int:
        cluster.remove(draw.choice(cluster.nodes))
        cluster.add()
        return 1

    def kill_worker(driver: subprocess.Popen[str], draw: Random) -> int:
        while not (busy := busy_workers()) and driver.poll() is None:
            pass
        return kill_one(busy, draw)

    def new(number: int) -> Attempts:
        options = ("--executor", "ray", "--address", cluster.address)
        return Attempts(recipe, tmp_path / f"run-{number}", tmp_path / f"attempts-{number}", options)

    name, strike = [
        ("driver, SIGKILL", kill_driver),
        ("worker, SIGKILL", kill_worker),
        ("node removed, one added", replace_node),
    ][seed]
    times = max(1, KILLS * (3, 4, 3)[seed] // 100)
    Killing(f"{name}; Ray, disk", strike, seed, whole_s=8.0).go(new, times, all_faults, undisturbed)


@pytest.mark.parametrize("phase", ["pass 0", "near"])
def test_a_node_is_removed_and_one_added_in_the_middle_of_a_pass_and_of_a_global_stage(
    cluster: RayCluster, recipe: Path, undisturbed: dict[str, str], tmp_path: Path, phase: str
) -> None:
    attempts = Attempts(
        recipe, tmp_path / "run", tmp_path / "attempts", ("--executor", "ray", "--address", cluster.address)
    )
    with attempts.begin() as driver:
        assert driver.stderr is not None
        line = attempts.first_line
        while phase not in line:
            line = driver.stderr.readline()
            assert line
        cluster.remove(cluster.nodes[0])
        cluster.add()
        _, said = driver.communicate()
        assert driver.returncode == 0, said
    all_faults.add(f"node removed, one added; Ray, disk, {phase}")
    all_faults.end(attempts.out, undisturbed)
