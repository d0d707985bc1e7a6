"""The demo on a machine that others use: its time beside five busy loops on two cores, and alone.

make bench-shared
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUSY_LOOPS = 5
CORES = 2
MOST = 6.0  # times as long as alone


def demo(folder: Path) -> float:
    """Seconds that `gristmill demo` takes in a new folder."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pipelines", "demo", "--out", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    print(f"load before: {os.getloadavg()[0]:.2f}; the machine must be quiet")
    with tempfile.TemporaryDirectory() as folder:
        demo(Path(folder, "first"))  # compiles kernels
        alone = demo(Path(folder, "alone"))
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY_LOOPS)]
        try:
            beside = demo(Path(folder, "beside"))
        finally:
            for process in busy:
                process.kill()
    ratio = beside / alone
    print(f"alone {alone:.0f} s, beside {BUSY_LOOPS} busy loops {beside:.0f} s: {ratio:.1f} times (limit {MOST:g})")
    sys.exit(ratio > MOST)


if __name__ == "__main__":
    main()
