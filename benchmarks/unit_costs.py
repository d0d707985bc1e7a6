"""Run `gristmill` with the given arguments in this process and print what it asked of the system, as JSON.

Used by `benchmarks.scale`. Opens are those of Python and Arrow; files are those that took their name by a rename.
"""

import json
import os
import sys
import time
from collections import Counter
from typing import Any

import pyarrow as pa

from pipelines.cli import main

EVENTS = {
    "open": "opens",
    "os.rename": "files written",
    "os.mkdir": "folders made or found",
    "os.remove": "files removed",
    "os.scandir": "folders listed",
    "os.listdir": "folders listed",
}


def run() -> None:
    counts = Counter(dict.fromkeys(("syncs", *EVENTS.values()), 0))

    def noted(event: str, _: tuple[Any, ...]) -> None:
        if event in EVENTS:
            counts[EVENTS[event]] += 1

    def counting(what: str, function: Any) -> Any:
        def counted(*arguments: Any, **named: Any) -> Any:
            counts[what] += 1
            return function(*arguments, **named)

        return counted

    sys.addaudithook(noted)
    os.fsync = counting("syncs", os.fsync)
    os.fdatasync = counting("syncs", os.fdatasync)
    pa.memory_map = counting("opens", pa.memory_map)
    pa.OSFile = counting("opens", pa.OSFile)
    began = time.process_time()
    try:
        main()
    finally:
        print(json.dumps({"CPU": (time.process_time() - began) * 1e3, **counts}))


if __name__ == "__main__":
    run()
