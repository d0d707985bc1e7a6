"""A disk that is full ends a run with one line, and the same command goes on from there when there is room again."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import gristmill
from fault_runs import KILLS, Faults
from s3_server import Proxy

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from shards.errors import RunError

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")


@contextmanager
def small_disk(folder: Path, num_bytes: int) -> Iterator[Path]:
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", str(folder)]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def grow(disk: Path, num_bytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={num_bytes}", str(disk)], check=True)


@pytest.mark.slow
@needs_root
def test_a_disk_of_the_run_that_fills_up_time_and_again_costs_no_byte(
    recipe: Path, undisturbed: dict[str, str], faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.run.opening._DISK_LEAST", 0)
    monkeypatch.setattr("pipelines.run.opening._DISK_SHARE", 0)
    num_bytes, is_done = 50_000, False
    with small_disk(tmp_path / "disk", num_bytes) as disk:
        while not is_done:
            try:
                execute(open_run(load_recipe(str(recipe)), disk / "run"), InProcess(), lambda _: None)
                is_done = True
            except RunError as error:
                assert re.fullmatch(r"\S+: the disk is full; free some space and run the same .*", str(error))  # noqa: PT017
                faults.add("disk of the run full")
                num_bytes += 50_000
                grow(disk, num_bytes)
        faults.end(disk / "run", undisturbed)


@pytest.mark.slow
@needs_root
@pytest.mark.skipif(not KILLS, reason="`make test-faults` runs it")
def test_a_scratch_disk_that_is_full_is_named_and_costs_no_byte(
    s3: Proxy,
    recipe: Path,
    undisturbed: dict[str, str],
    faults: Faults,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ("run", recipe, "--out", s3.folder, "--executor", "in-process")
    num_bytes = 40_000
    with small_disk(tmp_path / "disk", num_bytes) as disk:
        monkeypatch.setenv("GRISTMILL_SCRATCH", str(disk))
        while (done := gristmill(*words)).returncode:
            line = done.stderr.splitlines()[-1]
            assert re.fullmatch(r"gristmill: \S+: .*GRISTMILL_SCRATCH.*", line), done.stderr
            faults.add("scratch disk full; store")
            num_bytes *= 2
            grow(disk, num_bytes)
    assert faults.injected["scratch disk full; store"]
    monkeypatch.setenv("GRISTMILL_SCRATCH", str(tmp_path / "scratch"))
    faults.end(s3.folder, undisturbed)
