"""The half of `explain` that is about other documents: the twin, the copies, and the passages that were cut."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dedup.same_record import SAME_RECORD
from pipelines.ledger.clusters import cluster_reasons, first_reasons
from pipelines.ledger.table import Ledger
from shards import mirror
from shards.schema import KEPT
from shards.sink import read_batches, read_table

PASSAGES, PASSAGE_CHARS = 5, 160  # cut or masked, that are shown
_DIFF_WORDS = 10_000  # a longer text is not compared with what was left of it

Facts = dict[str, Any]  # a row of the ledger


@dataclass(frozen=True)
class Related:
    """Another document of the same cluster, or the one that stays of it."""

    id: str
    url: str
    fate: str  # "kept", its first drop reason, "in RUN" or "of another run"
    similarity: float | None


def related(row: Facts) -> Related:
    return Related(row["id"], row["url"] or "", (row["drop_reasons"] or [KEPT])[0], row["similarity"])


def compared(ledger: Ledger) -> np.ndarray:
    """bool[rows]: False for the second row of a record that was given twice, which no stage compared."""
    mask = np.ones(ledger.num_rows, np.bool_)
    for first, lists in ledger.parts("drop_reasons"):
        mask[first : first + len(lists)] = first_reasons(lists, [SAME_RECORD.reason]) < 0
    return mask


def twin_of(ledger: Ledger, facts: Facts) -> Related | None:
    """The document for which this one was removed; None where it was not removed as a copy."""
    if facts["twin"] is None:
        return None
    reason = facts["drop_reasons"][0]
    row = int(ledger.find(pa.array([facts["twin"]]), compared(ledger))[0])
    if row >= 0:
        (twin,) = ledger.rows([row], ["id", "url", "drop_reasons"])
        return related(twin | {"similarity": facts["similarity"]})
    for stage in ledger.recipe.global_stages():
        earlier = ledger.run.path(ledger.run.dedup(stage.name, ledger.run.EARLIER))
        if stage.reason == reason and mirror.exists(earlier):
            table = read_table(earlier, ["id", "url", "run"])
            for found in table.filter(pc.equal(table["id"], facts["twin"])).to_pylist():
                return Related(found["id"], found["url"] or "", f"in {found['run']}", facts["similarity"])
    return Related(facts["twin"], "", "of another run", facts["similarity"])


def copies_of(ledger: Ledger, facts: Facts) -> list[int]:
    """The rows whose chain of twins ends at this document, in the order of the ledger."""
    if facts["drop_reasons"] == [SAME_RECORD.reason]:
        return []
    twins, ids = ledger.column("twin"), ledger.column("id")
    fates, names = ledger.fates()
    of_copies = np.array([name in cluster_reasons(ledger.recipe) for name in names], np.bool_)
    is_removed = of_copies[fates] & (fates >= 0) if len(names) else np.zeros(len(fates), np.bool_)
    is_copy = np.zeros(len(is_removed), np.bool_)
    of = pa.array([facts["id"]])
    while len(of):
        new = pc.is_in(twins, value_set=of).to_numpy(zero_copy_only=False) & is_removed & ~is_copy
        is_copy |= new
        of = ids.filter(pa.array(new))
    return [int(row) for row in np.flatnonzero(is_copy)]


def kept_text(ledger: Ledger, facts: Facts) -> str | None:
    """The whole text of a kept document."""
    shards = (ledger.run.path(ledger.run.shard(key)) for key in ledger.keys if key.source == facts["source"])
    for path in shards:
        for number, batch in enumerate(read_batches(path, ["id"])):
            row = pc.index(batch["id"], facts["id"]).as_py()
            if row >= 0:
                (texts,) = read_batches(path, ["text"], [number])
                text: str | None = texts["text"][row].as_py()
                return text
    return None


def passages_cut(ledger: Ledger, facts: Facts, text: str | None) -> Iterator[str]:
    """Passages cut from a kept document: what `text`, that of the last local stage, has and the shard's text lacks."""
    cutting = [stage for stage in ledger.recipe.global_stages() if stage.cuts]
    cut = any(facts.get(f"{stage.name}.spans") for stage in cutting)
    stages = [stage for _, stage in ledger.recipe.stages]
    later = stages[stages.index(cutting[0]) :] if cutting else []
    edited = any(stage.edits for stage in ledger.recipe.local_stages() if stage in later)
    if not cut or edited or text is None or facts["drop_reasons"]:
        return
    before, after = text.split(), (kept_text(ledger, facts) or "").split()
    if len(before) > _DIFF_WORDS:
        return
    runs = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    passages = [" ".join(before[start:end]) for kind, start, end, _, _ in runs if kind in ("delete", "replace")]
    yield from (p if len(p) <= PASSAGE_CHARS else p[: PASSAGE_CHARS - 1] + "…" for p in passages[:PASSAGES])
    if len(passages) > PASSAGES:
        yield f"… {len(passages) - PASSAGES:,} more"
