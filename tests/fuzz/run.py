"""Fuzzes every target, or those named: `python -m fuzz.run [-n 100000] [--seed 0] [TARGET ...]`.

Inputs are mutated from the targets' own, from kept ones, and from the real crawl of GRISTMILL_REAL_DATA. Each target
runs in a process of its own, and each input for 10 s at most; memory that grows is a failure. What breaks a target is
written to `fuzz-found/`; a small one belongs into `corpus/`, with the fix.

With `--coverage` and atheris (`pip install atheris`) inputs are chosen by the branches that they reach.
"""

import argparse
import hashlib
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from fuzz.mutations import mutated
from fuzz.targets import IN_ARROW, TARGETS, kept_inputs

SECONDS = 10  # of one input
MAX_GROWTH = 1 << 30  # bytes by which a target's process may grow
_FOUND = Path("fuzz-found")


@dataclass
class Found:
    """What came of the inputs of one target."""

    tried: int = 0
    crashed: int = 0  # processes that died
    broken: list[str] = field(default_factory=list)  # errors
    hung: list[str] = field(default_factory=list)
    growth: int = 0  # most bytes by which a process grew


def hunt(name: str, number: int, *, seed: int = 0) -> Found:
    """Try so many mutated inputs. A process that dies is begun again after the input that killed it."""
    found = Found()
    while found.tried < number:
        here, there = multiprocessing.get_context("fork").Pipe()
        process = multiprocessing.get_context("fork").Process(
            target=_try, args=(name, found.tried, number, seed, there)
        )
        process.start()
        there.close()
        data = b""
        while True:
            try:
                what = here.recv()
            except EOFError:
                break
            match what:
                case "try", data:
                    found.tried += 1
                case "broken", error:
                    found.broken.append(f"{error}: {_keep(name, data)}")
                case "growth", growth:
                    found.growth = max(found.growth, growth)
        process.join()
        if process.exitcode == -signal.SIGALRM:
            found.hung.append(_keep(name, data))
        elif process.exitcode:
            found.crashed += 1
            _keep(name, data)
            if process.exitcode > 0:
                found.broken.append(f"exit {process.exitcode}: {_keep(name, data)}")
                break
    return found


def _try(name: str, first: int, number: int, seed: int, out: Connection) -> None:
    target = TARGETS[name]
    seeds = [*target.seeds(), *kept_inputs(name), *_real(name)]
    for data in seeds:
        target.read(data)  # compiled code is loaded, and the memory that it takes is no growth
    before = _peak()
    for i in range(first, number):
        draw = random.Random(f"{name} {seed} {i}")
        data = mutated(draw.choice(seeds), seeds, draw)
        out.send(("try", data))
        signal.alarm(SECONDS)  # its default action ends the process
        try:
            target.read(data)
        except Exception as error:  # noqa: BLE001  any error is a finding
            out.send(("broken", f"{type(error).__name__}: {error}"[:200]))
        signal.alarm(0)
    out.send(("growth", _peak() - before))


def _real(name: str) -> list[bytes]:
    """Some real inputs of the targets that read crawls."""
    crawl = Path(os.environ.get("GRISTMILL_REAL_DATA", "")) / "crawl" / "part-00.warc.gz"
    if name not in ("framing", "bodies", "charset", "html", "heads", "plain_framing") or not crawl.exists():
        return []
    from cleaners.crawl.warc import WarcReader
    from shards.storage import InputFile

    data = crawl.read_bytes()
    rows = WarcReader("web", InputFile(str(crawl), crawl.name, len(data)), 0).rows()
    some = [row for row, _ in zip(rows, range(60), strict=False) if 0 < len(row["payload"] or b"") < 60_000]
    if name == "framing":
        return [data[row["warc_offset"] : row["warc_offset"] + row["warc_length"]] for row in some]
    return [bytes(row["payload"]) for row in some]


def _keep(name: str, data: bytes) -> str:
    _FOUND.mkdir(exist_ok=True)
    path = _FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return str(path)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _by_coverage(name: str, number: int) -> None:
    import atheris  # type: ignore[import-not-found]

    target = TARGETS[name]
    folder = _FOUND / f"{name}-corpus"
    folder.mkdir(parents=True, exist_ok=True)
    for data in (*target.seeds(), *kept_inputs(name), *_real(name)):
        (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    atheris.instrument_all()
    options = [
        f"-atheris_runs={number}",
        f"-timeout={SECONDS}",
        "-rss_limit_mb=4096",
        f"-artifact_prefix={_FOUND}/{name}-",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder)], target.read)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], default=[])
    parser.add_argument("-n", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--coverage", action="store_true")
    args = parser.parse_args()
    failed = False
    for name in args.targets or TARGETS:
        if args.coverage:
            _by_coverage(name, args.n)  # which ends the process
        began = time.monotonic()
        found = hunt(name, args.n, seed=args.seed)
        is_bad = bool(found.broken or found.hung or (found.crashed and name not in IN_ARROW))
        failed |= is_bad or found.growth > MAX_GROWTH
        sys.stdout.write(
            f"{name:14} {found.tried:>8,} inputs  {len(found.broken):>4} errors  {len(found.hung):>3} hung  "
            f"{found.crashed:>4} crashed  {found.growth >> 20:>5} MB more  {time.monotonic() - began:>6.0f} s\n"
        )
        sys.stdout.write("".join(f"    {what}\n" for what in (*found.broken[:5], *found.hung[:5])))
        sys.stdout.flush()
    sys.exit(failed)


if __name__ == "__main__":
    main()
