"""How far a run is, read from its manifests."""

import json
from collections.abc import Iterator
from pathlib import Path

from shards.errors import UserError
from shards.manifest import read_manifest
from shards.stats import Stats


def describe(folder: Path) -> Iterator[str]:
    if not (folder / "run.json").exists():
        raise UserError(f"{folder}: no run of gristmill (it has no run.json)")
    made_of = json.loads((folder / "run.json").read_bytes())
    state = "done" if (folder / "report.json").exists() else "not finished; run the same command again to resume"
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
