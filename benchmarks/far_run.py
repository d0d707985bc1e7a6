"""The manifests of a run of very many units in a store with slow answers, and the verbs that ask for them.

    python -m benchmarks.far_run FOLDER VERB      prints seconds, bytes (peak of the process) and requests as JSON

Used by `benchmarks.scale`. A manifest is made when it is asked for, so that a store of 200,000 takes no memory of the
process that is measured. Every request takes 20 ms; a listing names 1,000 objects in each.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from pipelines.ledger.rules import stages_of
from pipelines.recipe import Recipe, load_recipe
from pipelines.report.build import summary
from pipelines.run.folder import RunFolder
from pipelines.run.manifests import SummaryWriter
from pipelines.run.summaries import Stamp
from pipelines.verbs import status
from shards.manifest import Manifest, WrittenFile
from shards.unit_key import UnitKey

REQUEST_S = 0.02
IN_FLIGHT = 64
LISTED = 1_000  # objects that one request lists
PARTS = 2  # units of an input file
SOURCE = "web"


class FarStore:
    """What lies in the run: its manifests with a shard beside each, and the summaries that were put."""

    def __init__(self, folder: Path, num_units: int, request_s: float) -> None:
        self._folder, self._request_s = folder, request_s
        self.num_requests = 0
        self.keys = {RunFolder.manifest(key): key for key in map(_key, range(num_units))}
        self._counts = _counts(RunFolder(folder).recipe())
        self._recipe = RunFolder(folder).recipe().to_toml(paths=False)

    def replace_disk(self) -> None:
        """Let every `RunFolder` of this process look here for files of units and summaries."""
        for name in ("listing", "stamps", "paths", "write"):
            method = getattr(self, name)
            setattr(RunFolder, name, lambda _run, *arguments, method=method: method(*arguments))

    def listing(self, folder: str, suffix: str = "") -> dict[str, Stamp]:
        if folder == RunFolder.SUMMARIES:
            names = [f"{folder}/{path.name}" for path in (self._folder / folder).glob("*")]
            num_objects = len(names)
        else:
            names, num_objects = list(self.keys), 2 * len(self.keys)
        for _ in range(0, num_objects, LISTED):
            self._request()
        return {name: self._stamp(name) for name in names if name.endswith(suffix)}

    def stamps(self, names: Sequence[str]) -> dict[str, Stamp]:
        for _ in range(0, 2 * len(names), LISTED):
            self._request()
        return {name: self._stamp(name) for name in names if name in self.keys}

    def paths(self, names: Iterable[str]) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(IN_FLIGHT) as pool:
            for path in pool.map(lambda name: self._fetch(name, Path(scratch)), names):
                yield path
                path.unlink()

    def write(self, name: str, data: bytes) -> None:
        self._request()
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    def _fetch(self, name: str, scratch: Path) -> Path:
        self._request()
        path = scratch / Path(name).name
        if name in self.keys:
            path.write_text(json.dumps(asdict(self.manifest(self.keys[name])), indent=1))
        else:
            path.write_bytes((self._folder / name).read_bytes())
        return path

    def manifest(self, key: UnitKey) -> Manifest:
        begins, ends = (1_000_000 * part for part in (key.part, key.part + 1))
        count = 1_000 + key.file * 7 % 9_000
        digest = sha256(str(key).encode()).hexdigest()
        return Manifest(
            key=str(key),
            source=key.source,
            file=f"{key.file}.warc.gz",
            start=begins,
            next_start=ends if key.part + 1 < PARTS else None,
            fingerprint="d" * 64,
            stats=dict.fromkeys(self._counts, count),
            damage=[],
            files={
                name(key): WrittenFile(count, 1_000 * count, digest)
                for name in (RunFolder.shard, RunFolder.ledger, RunFolder.texts)
            },
            recipe=self._recipe,
        )

    def _stamp(self, name: str) -> Stamp:
        return Stamp(13_000, f"etag of {name}")

    def _request(self) -> None:
        self.num_requests += 1
        time.sleep(self._request_s)


def make(folder: Path, num_units: int) -> None:
    """The folder of such a run, with the summaries that it has when it is finished: the last units have none."""
    recipe = load_recipe("gristmill", ['source.paths="crawl"'])
    run = RunFolder(folder)
    run.write(RunFolder.RECIPE, recipe.to_toml().encode())
    inputs = {f"{SOURCE}/{i:05d}/{i}.warc.gz": [10**9, "etag"] for i in range((num_units + PARTS - 1) // PARTS)}
    run.write_json(RunFolder.RUN, {"digest": "d" * 64, "version": "1", "library": {}, "input": inputs})
    run.write_json(RunFolder.REPORT, {})
    store = FarStore(folder, num_units, 0)
    store.replace_disk()
    writer = SummaryWriter(run, [*store.keys.values()])
    for key in list(store.keys.values())[:-1]:
        writer.add(store.manifest(key))


def _key(number: int) -> UnitKey:
    return UnitKey(SOURCE, number // PARTS, number % PARTS)


def _counts(recipe: Recipe) -> list[str]:
    """What the manifests of a run of the recipe count."""
    counts = ["documents/input", "documents/kept"]
    for stage in stages_of(recipe):
        counts += [f"funnel/{stage.name}/{what}" for what in ("documents", "characters", "bytes")]
    for stage in recipe.local_stages():
        counts += [f"{fate}/{rule.reason}" for rule in stage.rules() for fate in ("dropped", "failed")]
    return sorted(counts)


def _resume(folder: Path, store: FarStore) -> None:
    """Find what is left to finish, where one unit is, and sum up what is there."""
    run, expected = RunFolder(folder), [*store.keys]
    del store.keys[expected[-1]]
    run.made_of()
    there = run.listing(RunFolder.SHARDS, ".json")
    assert [name for name in expected if name not in there] == expected[-1:]
    run.manifests().sum_up()


VERBS: dict[str, Callable[[Path, FarStore], object]] = {
    "list": lambda folder, _: RunFolder(folder).units(),
    "resume": _resume,
    "status": lambda folder, _: list(status.describe(folder)),
    "report, its sum of manifests": lambda folder, _: summary(folder),
}


def main(folder: Path, verb: str) -> None:
    num_units = PARTS * len(RunFolder(folder).made_of().inputs)
    store = FarStore(folder, num_units, REQUEST_S)
    store.replace_disk()
    began = time.perf_counter()
    VERBS[verb](folder, store)
    seconds = time.perf_counter() - began
    num_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    print(json.dumps({"seconds": seconds, "bytes": num_bytes, "requests": store.num_requests}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
