"""The documents of a step that raised its loss most, in a file of OUT/spikes.

    OUT/spikes/step-00000503.jsonl    a line each: URL, source, ledger row, mean loss, excess; the worst first

The excess of a document is the sum over its tokens of loss minus mean loss of the step, in nats: what the step's sum of
losses has more than if the document were like the others. A short document of a high loss has little of it.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from pretrain.micro_batches import DeviceBatch
from pretrain.order.batch import NO_LABEL, Batch
from pretrain.order.loader import Loader
from pretrain.order.plan import Plan
from pretrain.parallel import SpreadModel
from pretrain.ranks import Ranks
from shards.atomic import write_bytes
from shards.errors import GristmillError
from shards.sink import read_table
from shards.tokens import Provenance

NUM_WORST = 10
SPIKES = "spikes"  # name of the folder in a training's `out`


@dataclass(frozen=True)
class DocumentLoss:
    """The losses of a document's segment in a step."""

    batch_row: int  # 0, 1, … in the global batch
    source: str
    epoch: int
    origin: Provenance
    start: int  # tokens [start, end) of the document were predicted
    end: int
    num_labels: int
    loss: float  # nats, mean over its labels

    def excess(self, mean: float) -> float:
        """Nats above those of as many tokens of a mean loss; what is not finite comes first."""
        excess = self.num_labels * (self.loss - mean)
        return excess if math.isfinite(excess) else math.inf


def measure_documents(
    plan: Plan, loader: Loader, spread: SpreadModel, ranks: Ranks, *, step: int, num_rows: int
) -> list[DocumentLoss]:
    """The losses of all documents of `step` = 0, 1, … by the weights that the model has now; called by all ranks.

    `num_rows` rows go through the model at once.
    """
    batch = loader.batch(step)
    parts = DeviceBatch(batch, spread.device).split(num_rows)
    losses_BT = torch.cat([spread.losses(part) for part in parts]).float().cpu().numpy()
    own = document_losses(plan, batch, losses_BT, step=step, rank=ranks.rank, world=ranks.world)
    if ranks.world == 1:
        return own
    of_ranks: list[list[DocumentLoss]] = [[] for _ in range(ranks.world)]
    dist.all_gather_object(of_ranks, own)
    return [document for of_rank in of_ranks for document in of_rank]


def document_losses(
    plan: Plan, batch: Batch, losses_BT: np.ndarray, *, step: int, rank: int = 0, world: int = 1
) -> list[DocumentLoss]:
    """Of each segment with labels in the batch that a rank has at `step` = 0, 1, …; `losses_BT` are its tokens'."""
    losses, has_label = losses_BT.ravel(), batch.labels_BT.ravel() != NO_LABEL
    found, at = [], 0
    rows = zip(*map(np.ndarray.tolist, plan.rows_of_step(step, rank, world)), strict=True)
    for number, (source_number, epoch, row) in enumerate(rows):
        source = plan.sources[source_number]
        for i, (document, first, last) in enumerate(plan.planned.segments(source_number, row)):
            begin, end = batch.starts[at + i : at + i + 2].tolist()
            own = losses[begin:end][has_label[begin:end]]
            if len(own):
                origin = source.documents.provenance(document)
                place = (rank + number * world, source.name, epoch, origin, first + 1, last + 1)
                found.append(DocumentLoss(*place, len(own), float(own.mean(dtype=np.float64))))
        at += int(batch.num_segments_B[number])
    return found


def write_worst(out: Path, step: int, documents: Iterable[DocumentLoss], runs: Sequence[str] = ()) -> tuple[Path, str]:
    """Write the worst of all documents of `step` = 1, 2, …; returns the file and the URL of the worst, "" without one.

    Where one of `runs`, folders of cleaned text, has the ledger that a document comes from, its row goes along: the
    value of each rule and its threshold, scores, drop reasons.
    """
    documents = list(documents)
    num_labels = sum(document.num_labels for document in documents)
    mean = sum(d.num_labels * d.loss for d in documents if math.isfinite(d.loss)) / max(1, num_labels)
    worst = sorted(documents, key=lambda d: (-d.excess(mean), d.batch_row, d.start))[:NUM_WORST]
    lines = []
    for document in worst:
        line = {"step": step} | asdict(document) | {"excess": document.excess(mean), "mean_loss_of_step": mean}
        line |= line.pop("origin") | {"ledger": _ledger_row(document.origin, runs)}
        lines.append(json.dumps({key: _as_json(value) for key, value in line.items()}, ensure_ascii=False) + "\n")
    folder = out / SPIKES
    number = len(list(folder.glob(f"step-{step:08d}*.jsonl")))  # after a rollback the same step may have another spike
    path = folder / (f"step-{step:08d}.jsonl" if number == 0 else f"step-{step:08d}-{number + 1}.jsonl")
    write_bytes(path, "".join(lines).encode())
    return path, worst[0].origin.url if worst else ""


def _ledger_row(origin: Provenance, runs: Sequence[str]) -> dict[str, Any] | None:
    for run in runs:
        path = Path(run) / "ledger" / f"{origin.unit}.arrow"
        if origin.ledger_row >= 0 and path.exists():
            try:
                row: dict[str, Any] = read_table(path).slice(origin.ledger_row, 1).to_pylist()[0]
            except (GristmillError, LookupError):
                continue
            if row.get("id") == origin.id:
                return {key: _as_json(value) for key, value in row.items()}
    return None


def _as_json(value: Any) -> Any:
    """The value with null for numbers that JSON does not have, and text for what it has no form for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | list | dict | None) else str(value)
