"""Deduplication against datatrove, datasketch, rensa and a suffix array on the same texts: `make bench-dedup`.

Texts are made by `make_texts.py`, in `tools` beside the folder GRISTMILL_REAL_DATA. They are kept in
GRISTMILL_BENCH_DATA, or made in a temporary folder. Timed runs are whole runs, from the first read to the last
manifest, in a process that has imported and compiled everything; one row shows the cost of that start.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.rows import ROOT, Rows, median_of, peak_memory, real_crawl, require_peers, run_on
from dedup.lsh.shingles import shingles_of
from dedup.lsh.signatures import permutations, signatures
from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run

PEER_SCRIPT = ROOT / "benchmarks" / "peers" / "dedup.py"
GRISTMILL = Path(sys.executable).with_name("gristmill")
NEAR = {"kind": "minhash", "bands": 14, "rows": 8}
SUBSTRING = {"kind": "substring", "keep": "none", "length": 50}
SUBSTRING_BYTES = 300  # fifty English words, as the suffix array counts
SHORT_CHARS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*ROWS], nargs="+", default=[*ROWS], help="rows to make")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the documents, for a trial: nothing is written"
    )
    arguments = parser.parse_args()
    rows = Rows("dedup")
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(rows, Path(temporary), arguments.repeats, arguments.scale)
        for name in arguments.only:
            ROWS[name](bench)
    if arguments.scale == 1 and arguments.only == [*ROWS]:
        rows.write()


class Bench:
    """The rows of the result, and the texts, recipes and timers that all benchmarks use."""

    def __init__(self, rows: Rows, folder: Path, repeats: int, scale: float) -> None:
        self.rows, self.folder, self.repeats, self._scale = rows, folder, repeats, scale
        self.peers = require_peers()
        self._texts = Path(os.environ.get("GRISTMILL_BENCH_DATA", folder))
        self.warm = self.texts(300, exactly=True)

    def number(self, documents: int) -> int:
        return round(documents * self._scale)

    def texts(self, documents: int, *, chars: int = 2000, exactly: bool = False) -> Path:
        """A folder of JSON lines, made once."""
        count = documents if exactly else self.number(documents)
        out = self._texts / f"texts-{count}-{chars}"
        if not out.exists():
            make = real_crawl().resolve().parent / "tools" / "make_texts.py"
            part = out.with_suffix(".part")
            command = [sys.executable, make, part, "--docs", str(count), "--chars", str(chars)]
            subprocess.run(list(map(str, command)), check=True)
            part.rename(out)
        return out

    def recipe(self, stage: dict[str, object]) -> Path:
        lines = [f"{key} = {json.dumps(value)}" for key, value in stage.items()]
        path = self.folder / f"{stage['kind']}.toml"
        path.write_text("\n".join(['[source.web]\nkind = "jsonl"\n[[stage]]', *lines, ""]))
        return path

    def run_seconds(self, recipe: Path, texts: Path, stage: str = "") -> float:
        """Seconds of a whole run in this process, on its first core, or of its stage `stage`."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            run = open_run(load_recipe(str(recipe), [f'source.paths="{texts}"']), Path(out) / "run")
            began = time.perf_counter()
            execute(run, InProcess(), lambda _: None)
            spent = time.perf_counter() - began
            return float(json.loads((run.folder / "seconds.json").read_bytes())["stages"][stage]) if stage else spent

    def run_memory(self, recipe: Path, texts: Path, *options: str) -> tuple[float, int]:
        """(seconds with the start, peak bytes of all processes) of the command."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            command = [GRISTMILL, "run", recipe, "--set", f'source.paths="{texts}"', "--out", f"{out}/run", *options]
            return peak_memory(command)

    def start_seconds(self, recipe: Path, *options: str) -> float:
        """Seconds of the command on one document."""
        one = self.folder / "one"
        one.mkdir(exist_ok=True)
        (one / "0.jsonl").write_text(json.dumps({"id": "0", "text": "the mill stands by the river " * 20}) + "\n")
        return median_of(self.repeats, lambda: self.run_memory(recipe, one, *options)[0])

    def peer(self, *command: str | Path) -> dict:
        result: dict = json.loads(run_on("0", [self.peers, PEER_SCRIPT, *command])[1])
        return result


def on_cores(*cores: int) -> None:
    """Pin this process to `cores`, on Linux only; elsewhere all cores are used and ratios of one core are too good."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def near(bench: Bench) -> None:
    """Near-duplicates, from texts to the kept documents on disk."""
    on_cores(0)
    recipe = bench.recipe(NEAR)
    bench.run_seconds(recipe, bench.warm)
    theirs = bench.peer("--minhash", bench.texts(20_000), bench.warm)["seconds"]
    for documents, peer in ((20_000, theirs), (100_000, None)):
        seconds = median_of(bench.repeats, partial(bench.run_seconds, recipe, bench.texts(documents)))
        what = f"near-duplicates 14 × 8, {bench.number(documents):,} documents, against datatrove"
        bench.rows.add(what, seconds, peer, "s", less_is_better=True)
    bench.rows.add("near-duplicates, start of the command", bench.start_seconds(recipe), None, "s")


def signing(bench: Bench) -> None:
    """Signatures of texts, and of shingle sets."""
    on_cores(0)
    lines = [line for path in sorted(bench.texts(20_000).iterdir()) for line in path.open()]
    texts = [json.loads(line)["text"] for line in lines]
    for num_hashes, few, many in ((112, 1_000, 10_000), (9_000, 60, 1_000)):
        a, b = permutations(num_hashes, 1)
        array = pa.array(texts[:many], pa.large_string())
        number = len(array)
        sets, starts = shingles_of(array, 5)

        def text_to_signatures(array: pa.Array = array, a: np.ndarray = a, b: np.ndarray = b) -> object:
            return signatures(*shingles_of(array, 5), a, b)

        def sets_to_signatures(
            held: tuple[np.ndarray, np.ndarray] = (sets, starts), a: np.ndarray = a, b: np.ndarray = b
        ) -> object:
            return signatures(*held, a, b)

        path = bench.folder / "texts.json"
        path.write_text(json.dumps(texts[:few]))
        np.savez(bench.folder / "sets.npz", sets=sets, starts=starts)
        theirs = len(texts[:few]) / bench.peer("--signatures", path, str(num_hashes))["seconds"]
        what = f"text to {num_hashes:,} hashes, against datasketch (affine32)"
        bench.rows.add(what, number / _best(text_to_signatures, bench.repeats), theirs, "documents/s")
        theirs = number / bench.peer("--flat", bench.folder / "sets.npz", str(num_hashes))["seconds"]
        what = f"shingle sets to {num_hashes:,} hashes, against rensa's flat kernel"
        bench.rows.add(what, number / _best(sets_to_signatures, bench.repeats), theirs, "documents/s")


def _best(make: Callable[[], object], repeats: int) -> float:
    def once() -> float:
        began = time.perf_counter()
        make()
        return time.perf_counter() - began

    once()
    return median_of(repeats, once)


def substring(bench: Bench) -> None:
    """Passages that occur twice in 200 MB of text."""
    on_cores(0)
    recipe = bench.recipe(SUBSTRING)
    texts = bench.texts(89_000)
    megabytes = sum(path.stat().st_size for path in texts.iterdir()) / 1e6
    bench.run_seconds(recipe, bench.warm)
    ours = median_of(bench.repeats, partial(bench.run_seconds, recipe, texts))
    command = (bench.peers, PEER_SCRIPT, "--substring", texts, str(SUBSTRING_BYTES))
    theirs = bench.peer(*command[2:])["seconds"]
    what = f"exact substring in {megabytes:.0f} MB, against pydivsufsort and LCP"
    bench.rows.add(f"{what}: a whole run", ours, theirs, "s", less_is_better=True)
    # The peer's clock starts when the texts are in memory and stops before anything is written.
    ours = median_of(bench.repeats, partial(bench.run_seconds, recipe, texts, "substring"))
    bench.rows.add(f"{what}: the stage, from texts on disk to spans on disk", ours, theirs, "s", less_is_better=True)
    ours = bench.run_memory(recipe, texts, "--executor", "in-process")[1] / 1e6
    theirs = peak_memory(command)[1] / 1e6
    bench.rows.add(f"{what}: memory", ours, theirs, "MB", less_is_better=True)


def million(bench: Bench) -> None:
    """Cost per document and memory for more documents, with two workers under a memory limit."""
    on_cores(0, 1)
    recipe = bench.recipe(NEAR)
    options = ("--workers", "2", "--memory", "2GB")
    start = bench.start_seconds(recipe, *options)
    bench.rows.add("start of the command, two workers", start, None, "s")
    costs, peaks = [], []
    for documents in (1_000_000, 100_000):
        seconds, peak = bench.run_memory(recipe, bench.texts(documents, chars=SHORT_CHARS), *options)
        costs.append((seconds - start) / bench.number(documents) * 1e6)
        peaks.append(peak / 1e6)
    what = f"{bench.number(1_000_000):,} short documents under 2 GB, against {bench.number(100_000):,}"
    bench.rows.add(f"{what}: cost", *costs, "µs a document", less_is_better=True)
    bench.rows.add(f"{what}: memory of all processes", *peaks, "MB", less_is_better=True)


def bias(bench: Bench) -> None:
    """Mean error and deviation of estimates over pairs of sets of known similarity, with 112 hashes."""
    num_hashes, num_pairs = 112, 2_000
    for similarity in (0.5, 0.8):
        for union in (50, 300, 2_000):
            a, b = _pairs(np.random.default_rng(union), num_pairs, round(similarity * union), union)
            path = bench.folder / "pairs.npz"
            np.savez(path, a=a, b=b)
            theirs = np.array(bench.peer("--estimates", path, str(num_hashes))["estimates"])
            signed = [
                signatures(s.ravel(), np.arange(num_pairs + 1) * s.shape[1], *permutations(num_hashes, 1))
                for s in (a, b)
            ]
            ours = (signed[0] == signed[1]).mean(axis=1)
            what = f"estimate of J = {similarity}, union of {union:,}, against datasketch"
            for name, figure in (("error", np.mean), ("deviation", np.std)):
                bench.rows.add(
                    f"{what}: {name}", *(float(figure(e - similarity)) for e in (ours, theirs)), "similarity"
                )
    expected = [(s * (1 - s) / num_hashes) ** 0.5 for s in (0.5, 0.8)]
    bench.rows.add("binomial deviation at J = .5 and at .8, for comparison", *expected, "similarity")


def _pairs(rng: np.random.Generator, number: int, common: int, union: int) -> tuple[np.ndarray, np.ndarray]:
    """Two u32[number, size] of random sets with |∩| = common and |∪| = union."""
    values = np.array([rng.choice(1 << 32, union, replace=False) for _ in range(number)]).astype(np.uint32)
    half = common + (union - common) // 2
    return values[:, :half], np.concatenate([values[:, :common], values[:, half:]], axis=1)


ROWS = {"near": near, "signatures": signing, "substring": substring, "million": million, "bias": bias}

if __name__ == "__main__":
    main()
