"""What the size of a run costs: many files, many units, many documents, many manifests: `make bench-scale`.

Each row compares the same work in more or smaller pieces with that in fewer, or in another place, and states the ratio
that was reached beside the one that is wanted. Documents are made here, from a seed. Times are those of the whole
command on two cores, less its start: the same command on one document.
"""

import argparse
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from benchmarks.rows import ROOT, peak_memory

RECIPE = """[source.web]
kind = "jsonl"

[[stage]]
name = "exact"
kind = "exact"

[[stage]]
name = "near"
kind = "minhash"
"""
WORKERS = 2
WORDS = 20_000  # distinct words of the documents
WORD_CHARS = 6  # with the space after it
NEAR_DUPLICATES = 0.1  # share of documents that are the one before with one other word
CHARS, SHORT_CHARS = 600, 200  # of a document
OPEN_FILES = 1024
UNIT_CPU_MS = 5.0  # aim of the profile, over the whole run
TICKS = os.sysconf("SC_CLK_TCK")
# Prints the CPU seconds of a command's own process, without those of its workers.
OWN_CPU = (
    "import resource, sys; from pipelines.cli import main\n"
    "try: main()\n"
    "finally:\n"
    "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
    "    print('own CPU', used.ru_utime + used.ru_stime, file=sys.stderr)"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*ROWS], nargs="+", default=[*ROWS], help="rows to make")
    parser.add_argument("--scale", type=float, default=1.0, help="share of all counts, for a trial: nothing is written")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(WORKERS))
    rows = Rows()
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(rows, Path(temporary), arguments.scale)
        bench.seconds(bench.corpus(1, 1))  # compiles what the command compiles once a machine
        for name in arguments.only:
            ROWS[name](bench)
    if arguments.scale == 1:
        if arguments.only == [*ROWS]:
            rows.write()
        sys.exit(not rows.all_reached)


@dataclass(frozen=True)
class Row:
    what: str
    reached: float | None
    wanted: float | None  # at most; None where the row only informs
    unit: str


class Rows:
    """Prints each row as it comes; `write` makes `benchmarks/results/scale.json`."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        print(f"{'':76} {'reached':>10} {'wanted':>10}")

    def add(self, what: str, reached: float | None, unit: str, wanted: float | None = None) -> None:
        row = Row(what, None if reached is None else float(f"{reached:.5g}"), wanted, unit)
        self._rows.append(row)
        shown = "–" if row.reached is None else f"{row.reached:,.4g}"
        limit = "" if wanted is None else f"≤ {wanted:,g}"
        missed = "" if _is_reached(row) else "  MISSED"
        print(f"{what:76} {shown:>10} {limit:>10} {unit}{missed}", flush=True)

    @property
    def all_reached(self) -> bool:
        return all(map(_is_reached, self._rows))

    def write(self) -> None:
        path = ROOT / "benchmarks" / "results" / "scale.json"
        path.write_text(json.dumps([asdict(row) for row in self._rows], indent=1, ensure_ascii=False) + "\n")
        print(f"wrote {path.relative_to(ROOT)}")


def _is_reached(row: Row) -> bool:
    return row.wanted is None or row.reached is None or row.reached <= row.wanted


class Bench:
    """The rows of the result, and the documents, the recipe and the timers that all rows use."""

    def __init__(self, rows: Rows, folder: Path, scale: float) -> None:
        self.rows, self.folder, self._scale = rows, folder, scale
        self.recipe = folder / "recipe.toml"
        self.recipe.write_text(RECIPE)

    def number(self, count: int) -> int:
        return max(1, round(count * self._scale))

    def corpus(self, files: int, documents: int, chars: int = CHARS) -> Path:
        """A folder of `files` files of JSON lines with `documents` each; the documents do not depend on the files."""
        out = self.folder / f"{files}x{documents}x{chars}"
        if not out.exists():
            out.mkdir()
            lines = _lines(chars)
            for number in range(files):
                with (out / f"{number:06d}.jsonl").open("w") as file:
                    file.writelines(islice(lines, documents))
        return out

    def command(self, corpus: Path, out: Path | str, *options: str) -> list[str]:
        """`gristmill run` of the recipe on the corpus."""
        start = [sys.executable, "-m", "pipelines", "run", str(self.recipe), "--set", f'source.paths="{corpus}"']
        return [*start, "--out", str(out), *(options or ("--workers", str(WORKERS)))]

    @contextmanager
    def out(self) -> Iterator[Path]:
        """A folder for a run, removed afterwards."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder) / "run"

    def seconds(self, corpus: Path) -> tuple[float, float, int]:
        """(seconds of the whole command, of stage `near`, most bytes of all processes)."""
        with self.out() as out:
            seconds, num_bytes = peak_memory(self.command(corpus, out))
            return seconds, float(json.loads((out / "seconds.json").read_bytes())["stages"]["near"]), num_bytes

    def start(self) -> tuple[float, float, int]:
        """`seconds` of one document."""
        return self.seconds(self.corpus(1, 1))


def _lines(chars: int) -> Iterator[str]:
    """Documents as JSON lines, without end: random words, and now and then the document before with one edit."""
    rng = random.Random(chars)
    words = [f"w{number:04d}" for number in range(WORDS)]
    before: list[str] = []
    number = 0
    while True:
        if before and rng.random() < NEAR_DUPLICATES:
            before[rng.randrange(len(before))] = "edit"
        else:
            before = rng.choices(words, k=chars // WORD_CHARS)
        name = hashlib.md5(str(number).encode()).hexdigest()
        row = {"id": name, "text": " ".join(before), "url": f"https://h{number % 997}.example/{number}"}
        yield json.dumps(row) + "\n"
        number += 1


def files(bench: Bench) -> None:
    """The same documents in many files and in few."""
    total, many = bench.number(100_000), bench.number(4_000)
    start = bench.start()
    bench.rows.add("start of the command, one document", start[0], "s")
    took = {}
    for count in (4, many):
        took[count] = bench.seconds(bench.corpus(count, total // count))
        for what, all_, of_start in zip(("whole command", "near alone"), took[count], start, strict=False):
            bench.rows.add(f"{total:,} documents in {count:,} files: {what}", all_ - of_start, "s")
    whole, near = ((took[many][i] - start[i]) / (took[4][i] - start[i]) for i in range(2))
    bench.rows.add(f"{many:,} files beside 4: whole command", whole, "×", 2.5)
    bench.rows.add(f"{many:,} files beside 4: near alone", near, "×", 2)


def units(bench: Bench) -> None:
    """The same documents in very small units and in larger ones, where a process may open few files."""
    many, few = bench.number(20_000), bench.number(200)
    took = {}
    for count, documents in ((few, 500), (many, 500 * few // many)):
        corpus = bench.corpus(count, documents)
        with bench.out() as out:
            limited = ["sh", "-c", f'ulimit -n {OPEN_FILES} && exec "$@"', "sh", *bench.command(corpus, out)]
            took[count] = peak_memory(limited)
        what = f"{count:,} units of {documents}, ulimit -n {OPEN_FILES}"
        bench.rows.add(f"{what}: whole command with its start", took[count][0], "s")
        bench.rows.add(f"{what}: memory of all processes", took[count][1] / 1e6, "MB")
    bench.rows.add(f"{many:,} units beside {few:,}: memory", took[many][1] / took[few][1], "×", 1.3)


def documents(bench: Bench) -> None:
    """Ten times the documents in ten times the units."""
    start = bench.start()[0]
    costs, counts = [], (bench.number(200), bench.number(2_000))
    for count in counts:
        seconds, _, _ = bench.seconds(bench.corpus(count, 500, SHORT_CHARS))
        costs.append((seconds - start) / (500 * count) * 1e6)
        bench.rows.add(f"{500 * count:,} short documents in {count:,} units: cost", costs[-1], "µs a document")
    bench.rows.add(f"{counts[1]:,} units beside {counts[0]:,}: cost a document", costs[1] / costs[0], "×", 1.3)


def store(bench: Bench) -> None:
    """A run folder on a local S3 server beside one on disk, without what the server itself computes."""
    count = bench.number(40)
    corpus, one = bench.corpus(count, 2_500), bench.corpus(1, 1)
    on_disk = bench.seconds(corpus)[0] - bench.start()[0]
    bench.rows.add(f"{count:,} units of 2,500 documents, run folder on disk", on_disk, "s")
    with S3Server(bench.folder) as server:
        start, corpus_costs = (
            server.costs(bench.command(inputs, f"s3://{server.BUCKET}/{name}"))
            for name, inputs in (("start", one), ("run", corpus))
        )
    if start.error or corpus_costs.error:
        bench.rows.add("S3 beside disk: the command does not run", None, "×", 1.5)
        print(start.error or corpus_costs.error)
        return
    seconds, cpu, requests = (a - b for a, b in zip(corpus_costs.amounts, start.amounts, strict=True))
    bench.rows.add("the same on an S3 server of this machine", seconds, "s")
    bench.rows.add("of it the server's own CPU", cpu, "s")
    bench.rows.add("requests a unit", requests / max(1, count - 1), "requests")
    bench.rows.add("S3 beside disk, the server's own CPU taken off", (seconds - cpu) / on_disk, "×", 1.5)


@dataclass(frozen=True)
class StoreCosts:
    amounts: tuple[float, float, int]  # seconds, CPU seconds of the server, requests
    error: str  # last line of the command's errors; "" where it succeeded


class S3Server:
    """moto's S3 server in a process of its own, with an empty bucket."""

    BUCKET = "bench"

    def __init__(self, folder: Path) -> None:
        self._log = folder / "s3.log"

    def __enter__(self) -> "S3Server":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        script = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([sys.executable, "-c", script], stdout=log, stderr=log)
        self._url = f"http://127.0.0.1:{port}"
        for _ in range(150):
            try:
                urllib.request.urlopen(f"{self._url}/moto-api/", timeout=1)
                break
            except OSError:
                time.sleep(0.2)
        urllib.request.urlopen(urllib.request.Request(f"{self._url}/{self.BUCKET}", method="PUT"))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def costs(self, command: list[str]) -> StoreCosts:
        """Run a command that reads and writes this server."""
        credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
        environment = os.environ | credentials | {"AWS_ENDPOINT_URL": self._url}
        cpu, requests, began = self._cpu(), self._requests(), time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        amounts = (time.perf_counter() - began, self._cpu() - cpu, self._requests() - requests)
        return StoreCosts(amounts, done.stderr.strip().rpartition("\n")[2] if done.returncode else "")

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _requests(self) -> int:
        return len(re.findall(rf'"[A-Z]+ /{self.BUCKET}\b', self._log.read_text(errors="replace")))


def manifests(bench: Bench) -> None:
    """A run of very many units whose files lie in a store with slow answers."""
    from benchmarks.far_run import VERBS, make

    count = bench.number(200_000)
    folder = bench.folder / "far"
    began = time.perf_counter()
    make(folder, count)
    bench.rows.add(
        f"{count:,} manifests: their summaries are made, without the store", time.perf_counter() - began, "s"
    )
    for verb in VERBS:
        command = [sys.executable, "-m", "benchmarks.far_run", str(folder), verb]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        took = json.loads(done.stdout)
        what = f"{count:,} manifests, 20 ms a request, 64 in flight: {verb}"
        bench.rows.add(what, took["seconds"], f"s, {took['requests']:,} requests", 60)
        bench.rows.add(f"{what}: memory", took["bytes"] / 1e9, "GB", 2)


def driver(bench: Bench) -> None:
    """What the process costs that hands out the work."""
    total, counts = bench.number(100_000), (bench.number(40), bench.number(4_000))
    start = _own_cpu(bench, bench.corpus(1, 1))
    bench.rows.add("the driver's own CPU, one document", start, "s")
    for count, wanted in zip(counts, (20, None), strict=True):
        spent = _own_cpu(bench, bench.corpus(count, total // count)) - start
        what = f"the driver's own CPU, {total:,} documents in {count:,} units"
        bench.rows.add(what, spent / total * 1e6, "µs a document", wanted)
        bench.rows.add(what, spent / count * 1e3, "ms a unit")


def _own_cpu(bench: Bench, corpus: Path) -> float:
    with bench.out() as out:
        command = bench.command(corpus, out)
        assert command[1:3] == ["-m", "pipelines"]
        command[1:3] = ["-c", OWN_CPU]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        return float(done.stderr.rpartition("own CPU")[2])


def unit_costs(bench: Bench) -> None:
    """What one more unit costs: the same documents in many files and in few, in one process."""
    many, few = bench.number(400), 4
    total = many * 25
    took = {}
    for count in (few, many):
        with bench.out() as out:
            command = bench.command(bench.corpus(count, total // count), out, "--executor", "in-process")
            command[1:3] = ["-m", "benchmarks.unit_costs"]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
            took[count] = json.loads(done.stdout.splitlines()[-1])
    for what in took[few]:
        more = (took[many][what] - took[few][what]) / (many - few)
        unit = "ms" if what.startswith("CPU") else ""
        wanted = UNIT_CPU_MS if what.startswith("CPU") else None
        bench.rows.add(f"one more unit of 25 documents: {what}", more, unit, wanted)


ROWS: dict[str, Callable[[Bench], None]] = {
    "files": files,
    "units": units,
    "documents": documents,
    "store": store,
    "manifests": manifests,
    "driver": driver,
    "unit-costs": unit_costs,
}

if __name__ == "__main__":
    main()
