"""A run over a large crawl on a cluster: how much there is of everything, from what probes found in a few files of it.

Nothing here is measured on the cluster. Amounts of documents, text and files grow with the bytes of the crawl.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

from pipelines.preview.cluster import Cluster, Crawl
from pipelines.preview.probe import STAGES
from pipelines.preview.whole import MAIN_BYTES, Whole
from pipelines.recipe import Recipe
from pipelines.run.exchange import rows_of_block
from pipelines.run.folder import RunFolder
from shards.exchange import GlobalStageConfig
from shards.reader import UNIT_BYTES, UNIT_RECORDS


@dataclass(frozen=True)
class LargeRun:
    """Amounts of a run over a crawl, from which `pipelines.preview.scale` makes figures."""

    recipe: Recipe
    whole: Whole
    crawl: Crawl
    cluster: Cluster

    @property
    def documents(self) -> float:
        return self.whole.documents

    @property
    def units(self) -> int:
        """A unit ends at so many records, so much content, or with its file."""
        reports = [probe.second.report for probe in self.whole.probes]
        records = sum(report.documents.input + sum(report.records.values()) for report in reports)
        first = [(report.documents.input, report.funnel[0]) for report in reports]
        content = sum(entry.bytes * documents / max(1, entry.documents) for documents, entry in first)
        of_records, of_content = (
            self.whole.scale * amount / limit for amount, limit in ((records, UNIT_RECORDS), (content, UNIT_BYTES))
        )
        return max(self.crawl.files, ceil(of_records), ceil(of_content))

    @property
    def worker_memory(self) -> int:
        return max(probe.memory for probe in self.whole.probes)

    @property
    def workers_a_node(self) -> int:
        fitting = (self.cluster.node_memory - MAIN_BYTES) // max(1, self.worker_memory)
        return max(1, min(self.cluster.cores, fitting))

    @property
    def workers(self) -> int:
        return self.cluster.nodes * self.workers_a_node

    @cached_property
    def blocks(self) -> int:
        """Those that global stages exchange."""
        live, _ = self.whole.reaching(self.whole.global_stages[0].name)
        return max(1, ceil(live / max(1, rows_of_block(int(live), self.cluster.task_memory))))

    @property
    def pass_disk(self) -> int:
        """What passes leave for each other and for the end."""
        return max(0, self.whole.disk(RunFolder.WORK) - self.whole.disk(STAGES))

    def stage_disk(self, stage: GlobalStageConfig) -> float:
        documents, megabytes = self.whole.reaching(stage.name)
        return stage.cost.disk_per_document * documents + stage.cost.disk_per_text_byte * megabytes * 1e6

    @cached_property
    def stored_share(self) -> float:
        """Bytes in which a byte of text is stored."""
        last = sum(probe.second.report.funnel[-1].bytes for probe in self.whole.probes)
        stored = sum(probe.second.disk[RunFolder.SHARDS] for probe in self.whole.probes)
        return stored / last if last else 1.0

    def network_seconds(self, num_bytes: float) -> float:
        """Of bytes that all nodes together send or fetch."""
        return num_bytes / self.cluster.network / self.cluster.nodes

    @property
    def moves_files(self) -> bool:
        """Whether files of the run's folder go over the network."""
        return self.cluster.in_store or self.cluster.nodes > 1

    def compute_seconds(self, of_one_core: float, tasks: int) -> float:
        return of_one_core / self.cluster.core_speed / min(self.workers, tasks)

    def driver_seconds(self, of_one_core: float) -> float:
        return of_one_core / self.cluster.core_speed
