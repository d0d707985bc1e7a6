"""`gristmill serve` on a ledger of 5 million rows: seconds a page, and the most memory that the server took.

The ledger is that of a run of the crawl, its rows drawn again and again with ids and URLs of their own, so columns have
the values of real pages. Each query is asked for the first time, then for its next page.

    python -m benchmarks.serve [--run RUN] [--rows 5000000]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.run.folder import RunFolder
from shards.sink import BATCH_ROWS, ArrowSink, read_table
from shards.unit_key import UnitKey

UNIT_ROWS = 250_000
PAGES = (
    ("the first page", ""),
    ("URL search", "url=upwork"),
    ("host", "host=reddit.com"),
    ("drop reason", "fate=gopher_quality.too_few_words"),
    ("value range", "column=gopher_quality.word_count&least=100&most=200"),
    ("sort, integers", "sort=gopher_quality.word_count&order=down"),
    ("sort, fractions", "sort=gopher_repetition.duplicate_5gram_fraction&order=down"),
    ("range and sort", "fate=kept&column=text_chars&least=1000&most=&sort=text_chars"),
)


def grow(run: Path, to: Path, num_rows: int) -> None:
    """A run like `run` whose ledger has `num_rows` rows."""
    shutil.copytree(run, to, ignore=shutil.ignore_patterns("ledger", "texts", "dropped"))
    rows = pa.concat_tables([read_table(path) for path in sorted((run / "ledger").glob("*.arrow"))])
    random = np.random.default_rng(0)
    for unit, first in enumerate(range(0, num_rows, UNIT_ROWS)):
        size = min(UNIT_ROWS, num_rows - first)
        drawn = rows.take(pa.array(random.integers(0, rows.num_rows, size))).combine_chunks()
        urls = (f"{url}?n={first + i}" for i, url in enumerate(drawn["url"].to_pylist()))
        own = {"id": pa.array([f"{first + i:032x}" for i in range(size)]), "url": pa.array(urls)}
        for name, column in own.items():
            drawn = drawn.set_column(drawn.schema.get_field_index(name), drawn.schema.field(name), column)
        key = UnitKey(rows["source"][0].as_py(), unit, 0)
        with ArrowSink(to / RunFolder.ledger(key), drawn.schema) as sink:
            for batch in drawn.to_batches(BATCH_ROWS):
                sink.write(batch)


def seconds(url: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        assert answer.status == 200
        answer.read()
    return time.perf_counter() - began


def measure(run: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "serve", str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        print(f"{'query':18}  {'first, s':>8}  {'next page, s':>12}")
        for name, query in PAGES:
            first, later = (seconds(f"{found[0]}ledger?{query}&page={number}") for number in ("", "1"))
            print(f"{name:18}  {first:8.2f}  {later:12.2f}", flush=True)
        status = Path(f"/proc/{server.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert peak is not None
        print(f"peak memory of the server: {int(peak[1]) / 1e6:.2f} GB")
        server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--rows", type=int, default=5_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gristmill-serve-") as temporary:
        run = given.run
        if run is None:
            run = Path(temporary) / "run"
            crawl = f"source.paths={os.environ['GRISTMILL_REAL_DATA']}/crawl"
            words = ["run", "gristmill", "--set", crawl, "--out", str(run)]
            subprocess.run([sys.executable, "-m", "pipelines", *words], check=True)
        grown = Path(temporary) / "grown"
        began = time.perf_counter()
        grow(run, grown, given.rows)
        print(f"{given.rows:,} rows written in {time.perf_counter() - began:.0f} s")
        measure(grown)


if __name__ == "__main__":
    main()
