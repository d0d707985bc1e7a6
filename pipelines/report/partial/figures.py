"""`report-partial.json`: sums over the units that are finished, as the run itself counts them; no file is read again.

Documents and drop reasons are those of the first pass, in which most rules decide; later ones show their progress.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from pipelines.progress import Progress
from pipelines.recipe import Recipe
from pipelines.run.folder import RunFolder
from shards import mirror
from shards.stats import Stats


@dataclass(frozen=True)
class PartialStage:
    """What is left after a stage, of documents of finished units."""

    stage: str
    documents: int
    dropped: int  # by this stage, for a first reason of its own


@dataclass(frozen=True)
class PartialReport:
    recipe: str
    fingerprint: str
    phase: str  # "pass 0", the name of a global stage, or "finish"
    units: int  # finished in this phase
    bytes_done: int  # of the input, in this phase
    bytes_total: int  # 0 where the phase reads no input
    documents: int  # of finished units of the first pass
    left: int  # of them, documents that no stage of the first pass drops
    stages: tuple[PartialStage, ...]  # of the first pass
    dropped: dict[str, int]  # by first reason, most documents first
    damage: int  # places of the input that could not be read


def partial_report(recipe: Recipe, fingerprint: str, progress: Progress, sums: Stats, damage: int) -> PartialReport:
    """The figures of a run under way; `sums` are those of finished units of the first pass."""
    dropped, documents = sums.below("dropped"), sums["documents/input"]
    stages, before = [], documents
    for stage in recipe.passes()[0].local:
        left = sums[f"funnel/{stage.name}/documents"]
        stages.append(PartialStage(stage.name, left, before - left))
        before = left
    return PartialReport(
        recipe=recipe.name,
        fingerprint=fingerprint,
        phase=progress.phase,
        units=progress.units_done,
        bytes_done=progress.bytes_done,
        bytes_total=progress.bytes_total,
        documents=documents,
        left=documents - sum(dropped.values()),
        stages=tuple(stages),
        dropped=dict(sorted(dropped.items(), key=lambda item: (-item[1], item[0]))),
        damage=damage,
    )


def to_json(report: PartialReport) -> bytes:
    return _ADAPTER.dump_json(report, indent=1) + b"\n"


def read_partial(run: RunFolder) -> PartialReport | None:
    """The figures that the run wrote last; None where there are none yet."""
    try:
        return _ADAPTER.validate_json(mirror.read_bytes(run.path(RunFolder.PARTIAL)))
    except (OSError, ValidationError):  # another version wrote it, or the run ended just now
        return None


_ADAPTER = TypeAdapter(PartialReport)
