"""`gristmill status`: how far a run is, by its manifests and their summaries."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.numbers import counted
from pipelines.run.blocks import read_blocks
from pipelines.run.folder import RunFolder
from shards.manifest import Chains
from shards.stats import Stats


def describe(folder: Path) -> Iterator[str]:
    run = RunFolder(folder)
    inputs = run.made_of().inputs
    resumes = run.can_resume()
    state = "not finished; run the same command again to resume" if resumes else run.not_finished()
    yield f"{run}: {'done' if run.is_done() else state}"
    yield f"inputs: {counted(len(inputs), 'file')}, {sum(size for size, _ in inputs.values()) / 1e6:,.1f} MB"
    for number in run.passes_under_way() if resumes else ():
        units = [unit for block in read_blocks(run, number) for unit in block.units]
        stats = Stats.sum(Stats.from_json(unit.stats) for unit in units)
        whole = sum(unit.next_start is None for unit in units)
        dropped = sum(stats.below("dropped").values())
        yield (
            f"pass {number}: {counted(len(units), 'unit')} made, {counted(whole, 'file')} read to the end, "
            f"{counted(stats['documents/input'], 'document')} read, {dropped:,} dropped"
        )
        for stage in run.resolved_stages(number):
            yield f"  {stage}: done"
        if number == 0 and not run.has(RunFolder.EXCHANGE) and not Chains.of(inputs, units).missing:
            yield (
                "the first pass is made; the same command without --until-global goes on, or join the run with others: "
                "gristmill merge RUN... --out OUT"
            )
    finished = run.manifests().sums()
    if finished.links:
        kept, given = finished.stats["documents/kept"], finished.stats["documents/input"]
        yield f"shards: {counted(len(finished.links), 'unit')}, {kept:,} of {counted(given, 'document')} kept"
    if run.is_done() and (missing := Chains.of(inputs, finished.links).missing):
        yield f"units are missing for {len(missing):,} of the inputs; `gristmill verify {run}` says what to do"
