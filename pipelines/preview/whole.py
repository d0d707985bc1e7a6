"""What probes measured, multiplied to all of the inputs: by bytes, as they are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines.preview.probe import Probe
from pipelines.recipe import Recipe
from pipelines.run.folder import RunFolder
from shards.exchange import GlobalStageConfig

MAIN_BYTES = 300_000_000  # of the process that starts the workers

_KEPT_FOLDERS = (RunFolder.SHARDS, RunFolder.LEDGER, RunFolder.DEDUP, RunFolder.TEXTS)  # whole, whatever is dropped


@dataclass(frozen=True)
class Whole:
    """What was found in probes, multiplied to all of the inputs."""

    recipe: Recipe
    probes: Sequence[Probe]
    total: int  # bytes of the inputs

    @cached_property
    def drawn(self) -> int:
        return sum(probe.second.input_bytes for probe in self.probes)

    @property
    def scale(self) -> float:
        return self.total / self.drawn

    @cached_property
    def global_stages(self) -> tuple[GlobalStageConfig, ...]:
        return tuple(stage for pass_ in self.recipe.passes() for stage in pass_.global_)

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The local stages by part of the estimate."""
        local = list(self.recipe.local_stages())
        last = max((i for i, stage in enumerate(local) if stage.reads_pages), default=-1)
        early, rules = ([stage.name for stage in part] for part in (local[: last + 1], local[last + 1 :]))
        return {"reading and extraction": ["read", *early], "rules": rules, "writing": ["write"]}

    @property
    def documents(self) -> float:
        return self.scale * sum(probe.second.report.documents.input for probe in self.probes)

    @property
    def loading(self) -> float:
        """What local stages took longer at first, for their models and kernels."""
        names = [name for stages in self.groups.values() for name in stages]
        longer = []
        for probe in self.probes:
            part = probe.first.input_bytes / probe.second.input_bytes
            longer += [probe.first.seconds.get(n, 0.0) - part * probe.second.seconds.get(n, 0.0) for n in names]
        return sum(max(0.0, seconds) for seconds in longer) / len(self.probes)

    def seconds(self, stage: str) -> float:
        """Of one core."""
        return self.scale * sum(probe.second.seconds.get(stage, 0.0) for probe in self.probes)

    def cpu_seconds(self, stage: str) -> float:
        """Of one core that nobody else uses."""
        spent = sum(probe.second.seconds.get(stage, 0.0) * probe.second.cpu_share for probe in self.probes)
        return self.scale * spent

    def first_seconds(self, stage: str) -> float:
        return max(probe.first.seconds.get(stage, 0.0) for probe in self.probes)

    def reaching(self, stage: str) -> tuple[float, float]:
        """(documents, megabytes of text) that a global stage has before it."""
        documents, megabytes = self.documents, 0.0
        for i, entry in enumerate(self.probes[0].second.report.funnel):
            if entry.stage == stage:
                break
            found = [probe.second.report.funnel[i] for probe in self.probes]
            documents = self.scale * sum(e.documents for e in found)
            megabytes = self.scale * sum(e.bytes for e in found if e.bytes_are == "text") / 1e6
        return documents, megabytes

    @property
    def dedup_memory(self) -> int:
        needs = [stage.cost.bytes_per_text_byte * self.reaching(stage.name)[1] for stage in self.global_stages]
        return MAIN_BYTES + int(1e6 * max(needs, default=0))

    @property
    def kept_disk(self) -> int:
        """Bytes of the run's folder when it is done."""
        return self.disk(*_KEPT_FOLDERS) + self.dropped_disk

    def disk(self, *folders: str) -> int:
        return int(self.scale * sum(probe.second.disk[folder] for probe in self.probes for folder in folders))

    @property
    def dropped_disk(self) -> int:
        """Of each reason so many texts are kept."""
        limit = self.recipe.output.dropped_per_rule
        counts: dict[str, int] = {}
        for probe in self.probes:
            for reason, count in probe.second.report.dropped.items():
                counts[reason] = counts.get(reason, 0) + count
        stored = [count * self.scale if limit < 0 else min(count * self.scale, limit) for count in counts.values()]
        return int(self.disk(RunFolder.DROPPED) / self.scale * sum(stored) / max(1, sum(counts.values())))
