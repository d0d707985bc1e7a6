"""What a cluster costs: Ray with two local nodes of one core beside a pool of two processes: `make bench-cluster`.

Both make the same run of recipe `gristmill` over copies of a crawl, in turns. Times are those of the whole command,
less its start: the same command on one small file.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rows import Rows

_REPEATS = 3
_MEMORY = 4_000_000_000  # bytes of a node, for tasks
_OBJECTS = 100_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crawl", type=Path, help="a folder of WARC files; $GRISTMILL_REAL_DATA/crawl, for example")
    parser.add_argument("--copies", type=int, default=10, help="of the crawl; ten of 100 MB are two minutes of work")
    arguments = parser.parse_args()
    rows = Rows("cluster")
    with tempfile.TemporaryDirectory(prefix="gm-") as temporary:
        folder = Path(temporary)
        files = sorted(arguments.crawl.glob("*.warc.gz"))
        (folder / "small").mkdir()
        (folder / "large").mkdir()
        for copy in range(arguments.copies):
            for file in files:
                shutil.copy(file, folder / "large" / f"{copy:02d}-{file.name}")
        with (folder / "small" / "small.warc.gz").open("wb") as small, files[0].open("rb") as first:
            small.write(first.read(1_000_000))
        measure(rows, folder)
    rows.write()


def measure(rows: Rows, folder: Path) -> None:
    from ray.cluster_utils import Cluster

    Path("/tmp/ray").mkdir(exist_ok=True)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": _OBJECTS})
    for _ in range(2):
        cluster.add_node(num_cpus=1, memory=_MEMORY, object_store_memory=_OBJECTS)
    executors = {"pool": ["pool", "--workers", "2"], "ray": ["ray", "--address", str(cluster.address)]}
    times: dict[str, list[float]] = {name: [] for name in executors}
    try:
        for executor in executors.values():
            seconds(folder, "small", executor)  # compiles what the command compiles once a machine
        starts = {name: seconds(folder, "small", executor) for name, executor in executors.items()}
        for _ in range(_REPEATS):
            for name, executor in executors.items():
                times[name].append(seconds(folder, "large", executor) - starts[name])
                print(f"{name}: {times[name][-1]:.1f} s, and {starts[name]:.1f} s to start", flush=True)
    finally:
        cluster.shutdown()
    medians = {name: statistics.median(found) for name, found in times.items()}
    what = "the same run on Ray, two nodes of one core, and on a pool of two (wanted: ≤ 1.15 of its time)"
    rows.add(what, medians["ray"], medians["pool"], "s", less_is_better=True)
    rows.add("start of the command", starts["ray"], starts["pool"], "s", less_is_better=True)


def seconds(folder: Path, inputs: str, executor: Sequence[str]) -> float:
    """Wall time of a run."""
    out = folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    settings = ["--set", f"source.paths={folder / inputs}", "--memory", "4GB", "--out", str(out)]
    command = [sys.executable, "-m", "pipelines", "run", "gristmill", *settings, "--executor", *executor]
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
