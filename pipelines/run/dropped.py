"""Write `dropped/texts.arrow`, the texts of dropped rows, for people to read.

It holds, for each drop reason, the texts of the `per_rule` smallest ids; all texts where `per_rule` is -1. Ids are
hashes, so this is a random sample, and the same one for any number of workers. Rows without text, which were refused
before extraction, are in the ledger only.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pyarrow as pa

from pipelines.run.finish import FinishTask
from pipelines.run.folder import RunFolder
from pipelines.run.unit_files import DROPPED
from shards.schema import VERDICT
from shards.sink import read_batches, read_table

_REASONS = VERDICT.field("drop_reasons").type


def write_dropped(run: RunFolder, tasks: Sequence[FinishTask], per_rule: int) -> None:
    """The file is written once, from the work files of all passes."""
    if per_rule == 0 or run.has(RunFolder.DROPPED_TEXTS):
        return
    chosen = None if per_rule < 0 else _chosen(tasks, per_rule)
    with run.sink(RunFolder.DROPPED_TEXTS, DROPPED) as sink:
        for batch in _texts(tasks):
            if chosen is not None:
                batch = batch.filter(pa.array([name in chosen for name in batch["id"].to_pylist()], pa.bool_()))
            sink.write(batch)


def _chosen(tasks: Sequence[FinishTask], per_rule: int) -> set[str]:
    """The `per_rule` smallest ids of each first reason; memory grows with rules × per_rule."""
    largest: dict[str, list[tuple[int, str]]] = defaultdict(list)  # reason → heap of (-id, id)
    for task in tasks:
        for batch in read_batches(task.run.path(task.run.ledger(task.key)), ["id", "drop_reasons"]):
            for name, reasons in zip(batch["id"].to_pylist(), batch["drop_reasons"].to_pylist(), strict=True):
                if reasons:
                    heap, entry = largest[reasons[0]], (-int(name, 16), name)
                    if len(heap) < per_rule:
                        heapq.heappush(heap, entry)
                    elif entry > heap[0]:
                        heapq.heapreplace(heap, entry)
    return {name for heap in largest.values() for _, name in heap}


def _texts(tasks: Sequence[FinishTask]) -> Iterator[pa.RecordBatch]:
    """Every dropped row that had text: those that rules dropped, then those that global stages removed."""
    for task in tasks:
        for pass_, verdicts in task.passes:
            yield from read_batches(task.run.path(task.run.pass_file(pass_.number, task.key, "dropped")))
            for applied in verdicts:
                if applied.path.exists():
                    text = read_table(task.run.path(task.run.pass_file(pass_.number, task.key, "text")))
                    removed = text.take(read_table(applied.path)["row"]).combine_chunks()
                    reasons = pa.array([[applied.reason]] * removed.num_rows, _REASONS)
                    removed = removed.append_column("drop_reasons", reasons).select(DROPPED.names)
                    yield from removed.to_batches()
