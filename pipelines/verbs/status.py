"""How far a run is, read from its manifests."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.run.opening import is_done, read_made_of
from shards.manifest import Chains, read_manifest
from shards.stats import Stats


def describe(folder: Path) -> Iterator[str]:
    made_of = read_made_of(folder)
    state = "done" if is_done(folder) else "not finished; run the same command again to resume"
    yield f"{folder}: {state}"
    yield f"inputs: {len(made_of['input']):,} files, {sum(size for size, _ in made_of['input'].values()) / 1e6:,.1f} MB"
    for work in sorted((folder / "work").glob("[0-9]*"), key=lambda p: int(p.name)):
        manifests = [read_manifest(p) for p in sorted(work.glob("*.json"))]
        stats = Stats.sum(Stats.from_json(m.stats) for m in manifests)
        whole = sum(m.next_start is None for m in manifests)
        dropped = sum(stats.below("dropped").values())
        yield (
            f"pass {work.name}: {len(manifests):,} units made, {whole:,} files read to the end, "
            f"{stats['documents/input']:,} documents read, {dropped:,} dropped"
        )
        for stage in sorted(p.parent.name for p in work.glob("*/done.json")):
            yield f"  {stage}: done"
    finished = [read_manifest(p) for p in sorted((folder / "shards").glob("*/*.json"))]
    if finished:
        stats = Stats.sum(Stats.from_json(m.stats) for m in finished)
        kept, given = stats["documents/kept"], stats["documents/input"]
        yield f"shards: {len(finished):,} units, {kept:,} of {given:,} documents kept"
    if is_done(folder) and (missing := Chains.of(made_of["input"], finished).missing):
        yield f"units are missing for {len(missing):,} of the inputs; `gristmill verify {folder}` tells what to do"
