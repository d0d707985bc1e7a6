"""What the benchmarks share: commands on given cores, medians, and rows that are printed and written as JSON.

A row is {what, ours, peer, ratio, unit}; the ratio is how many times better ours is, whichever way the unit counts.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"


@dataclass(frozen=True)
class Row:
    what: str
    ours: float | None
    peer: float | None
    ratio: float | None
    unit: str


class Rows:
    """Prints each row as it comes; `write` makes `benchmarks/results/<name>.json`."""

    def __init__(self, name: str) -> None:
        self._path = ROOT / "benchmarks" / "results" / f"{name}.json"
        self._rows: list[Row] = []

    def add(
        self, what: str, ours: float | None, peer: float | None, unit: str, *, less_is_better: bool = False
    ) -> None:
        ratio = None
        if ours and peer:
            ratio = round(peer / ours if less_is_better else ours / peer, 3)
        row = Row(what, _rounded(ours), _rounded(peer), ratio, unit)
        self._rows.append(row)
        shown = [f"{value:>10,.4g}" if value is not None else f"{'–':>10}" for value in (row.ours, row.peer)]
        times = f"{ratio:>8.2f} ×" if ratio is not None else ""
        print(f"{what:72} {' '.join(shown)} {times:10} {unit}", flush=True)

    def write(self) -> None:
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_text(json.dumps([asdict(row) for row in self._rows], indent=1, ensure_ascii=False) + "\n")
        print(f"wrote {self._path.relative_to(ROOT)}")


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def median_of(repeats: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(repeats))


def run_on(cores: str, command: Sequence[str | Path]) -> tuple[float, str]:
    """(seconds, standard output) of a command and all its children on these cores ("0", "0,1")."""
    began = time.perf_counter()
    pinned = ["taskset", "-c", cores] if shutil.which("taskset") else []
    done = subprocess.run([*pinned, *map(str, command)], capture_output=True, text=True, cwd=ROOT, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return seconds, done.stdout


def peak_memory(command: Sequence[str | Path]) -> tuple[float, int]:
    """(seconds, most bytes) of a command and its children; pages that they share count once (PSS). Linux only."""
    began = time.perf_counter()
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.1):
            most = max(most, _proportional_set(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, errors = process.communicate()
    done.set()
    watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {process.returncode}\n{errors.decode()[-2000:]}")
    return time.perf_counter() - began, most


def _proportional_set(pid: int) -> int:
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) << 10
        threads = Path(f"/proc/{pid}/task").iterdir()
        children = [child for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:  # it ended meanwhile
        return total
    return total + sum(_proportional_set(int(child)) for child in children)


def real_crawl() -> Path:
    """The folder of real pages that every benchmark of cleaning reads."""
    given = os.environ.get("GRISTMILL_REAL_DATA")
    if given is None or not (Path(given) / "crawl").is_dir():
        sys.exit("set GRISTMILL_REAL_DATA to a folder that holds crawl/*.warc.gz and truth/pages.jsonl.gz")
    return Path(given)


def require_peers() -> Path:
    if not PEERS.exists():
        sys.exit("the peers are not installed; `make bench-peers` installs them into .venv-peers")
    return PEERS
