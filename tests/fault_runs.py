"""Runs into which faults are injected: attempts at one run, each a driver in a process of its own, and their end."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from ledger_runs import LEDGER_RECIPE, make_crawl
from run_digest import digest, stored

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from shards.lease import LOCK

# A driver of another machine: what tells machines apart is its first word. Waits of locks are a moment.
DRIVER = """
import sys
machine = sys.argv.pop(1)
from pipelines.run import restart
from shards import lease, lock, store_lock
lease._machine = restart.boot_id = lambda: machine
lock._WATCH_S = lock._SETTLE_S = 0.1
store_lock.LAPSE_S = -9.0
from pipelines.cli import main
main()
"""
KILLS = int(
    os.environ.get("GRISTMILL_TEST_KILLS", "0")
)  # `make test-faults` asks for 100; continuous integration for few
STAGES = """
[[stage]]
kind = "paragraphs"

[[stage]]
kind = "substring"
action = "cut"

[[stage]]
kind = "ngram_overlap"

[[stage]]
kind = "gopher_quality"
name = "again"
min_words = 60
"""


def make_recipe(folder: Path) -> Path:
    """A recipe of two passes with every global stage, over two WARC files."""
    make_crawl(folder / "crawl")
    recipe = folder / "all.toml"
    recipe.write_text((LEDGER_RECIPE + STAGES).replace("[source.web]", f'[source.web]\npaths = ["{folder}/crawl"]'))
    return recipe


def make_undisturbed(recipe: Path) -> dict[str, str]:
    """The bytes of a run in one process."""
    run = recipe.parent / "undisturbed"
    execute(open_run(load_recipe(str(recipe)), run), InProcess(), lambda _: None)
    return run_bytes(run)


@dataclass
class Faults:
    """Counts faults by name: how many were injected, and after how many a run ended with the undisturbed bytes."""

    injected: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    _open: Counter[str] = field(default_factory=Counter)

    def add(self, fault: str, times: int = 1) -> None:
        self.injected[fault] += times
        self._open[fault] += times

    def forget_open(self) -> None:
        self._open.clear()

    def end(self, run: Path | str, undisturbed: dict[str, str]) -> None:
        """The run has come through the faults since the last `end`."""
        found = run_bytes(run)
        different = sorted(name for name in {*found, *undisturbed} if found.get(name) != undisturbed.get(name))
        assert not different, different
        self.survived += self._open
        self._open.clear()


all_faults = Faults()  # of this session


def run_bytes(run: Path | str) -> dict[str, str]:
    """sha256 by path of every file of a run, in a folder or at a URL, but those that hold times."""
    return digest(run) if isinstance(run, Path) else stored(run)


@dataclass
class Attempts:
    """Attempts at one run. Each is made elsewhere: on another machine, in another folder, with other workers."""

    recipe: Path
    out: Path | str
    scratch: Path
    executor: Sequence[str] = ("--executor", "pool")
    environment: dict[str, str] = field(default_factory=dict)
    count: int = 0
    first_line: str = ""  # of the progress of the latest

    @contextmanager
    def begin(self) -> Iterator[subprocess.Popen[str]]:
        """A driver at work, after the first line of its progress. It is killed at the end of the block."""
        self.count += 1
        self._forget_owner()
        here = self.scratch / str(self.count)
        here.mkdir(parents=True)
        words = ["run", str(self.recipe), "--out", str(self.out), *self.executor]
        words += ["--workers", str(1 + self.count % 3), "--memory", f"{1 + self.count % 2}GB"]
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER, f"machine-{self.count}", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=here,
            env=os.environ | {"GRISTMILL_SCRATCH": str(here)} | self.environment,
        )
        assert driver.stderr is not None
        try:
            self.first_line = driver.stderr.readline()
            yield driver
        finally:
            driver.kill()
            driver.communicate()

    def end(self) -> str:
        """What an attempt prints that comes to the end of the run."""
        with self.begin() as driver:
            printed, said = driver.communicate()
            assert driver.returncode == 0, said
        return printed

    def _forget_owner(self) -> None:
        """Let a killed owner have been silent for a minute: the next one is of another machine."""
        with suppress(FileNotFoundError):
            if isinstance(self.out, Path):
                then = (self.out / LOCK).stat().st_mtime - 61
                os.utime(self.out / LOCK, (then, then))


def workers_of(driver: int) -> list[int]:
    """The processes of a pool."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == driver and b"spawn_main" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return sorted(found)


def kill_one(processes: Sequence[int], draw: Random, number: signal.Signals = signal.SIGKILL) -> int:
    """Send the signal to one of the processes; how many got it."""
    with suppress(ProcessLookupError):
        if processes:
            os.kill(draw.choice(processes), number)
            return 1
    return 0


@dataclass
class Killing:
    """Kills in runs of one sort, at moments that are drawn."""

    name: str  # of the fault
    strike: Callable[[subprocess.Popen[str], Random], int]  # injects it into the run of a driver; how often
    seed: int
    whole_s: float  # that an undisturbed run works, from the first line of its progress

    def __post_init__(self) -> None:
        self._draw = Random(self.seed)
        sys.stderr.write(f"{self.name}: seed {self.seed}\n")

    def go(self, new: Callable[[int], Attempts], times: int, faults: Faults, undisturbed: dict[str, str]) -> None:
        """Make runs, of which each comes through up to four kills, until there were so many."""
        killed, runs = 0, 0
        while killed < times:
            assert runs < times + 3
            attempts = new(runs)
            runs += 1
            for _ in range(min(4, times - killed)):
                num_killed = self._one(attempts)
                faults.add(self.name, num_killed)
                killed += num_killed
            attempts.end()
            faults.end(attempts.out, undisturbed)

    def _one(self, attempts: Attempts) -> int:
        with attempts.begin() as driver:
            with suppress(subprocess.TimeoutExpired):
                driver.wait(self._draw.uniform(0, self.whole_s))
            num_killed = 0 if driver.poll() is not None else self.strike(driver, self._draw)
            _, said = driver.communicate()
            assert "Traceback" not in said
            # SIGTERM ends Python itself where it comes after the last line of the command.
            assert driver.returncode in (0, -signal.SIGKILL, -signal.SIGTERM, 130), said
            assert driver.returncode != 130 or "to resume: gristmill run" in said.lower()
        return num_killed


def kill_driver(driver: subprocess.Popen[str], _: Random) -> int:
    driver.kill()
    return 1


def end_driver(driver: subprocess.Popen[str], _: Random) -> int:
    driver.terminate()
    return 1


def kill_worker(driver: subprocess.Popen[str], draw: Random) -> int:
    return kill_one(workers_of(driver.pid), draw)


def seconds_of(attempts: Attempts) -> float:
    with attempts.begin() as driver:
        began = time.monotonic()
        _, said = driver.communicate()
        assert driver.returncode == 0, said
    return time.monotonic() - began
