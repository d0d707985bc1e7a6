"""A document among others, for `explain`: its twin, its copies, and the passages that it shares with some."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.clusters import first_reasons, reasons_of_groups
from pipelines.ledger.table import Ledger
from shards.exchange import GlobalStageConfig
from shards.sink import read_batches, read_table
from shards.stage import StageConfig

PASSAGES, PASSAGE_CHARS = 5, 160  # cut or masked, that are shown
_DIFF_WORDS = 10_000  # a longer text is not compared with what was left of it

Facts = dict[str, Any]  # a row of the ledger


def twin_of(ledger: Ledger, facts: Facts) -> str:
    """The address of the twin, and what became of it."""
    named = facts["drop_reasons"][0]
    passed = np.ones(ledger.num_rows, np.bool_)
    for first, lists in ledger.parts("drop_reasons"):
        passed[first : first + len(lists)] = first_reasons(lists, ["dedup.same_record"]) < 0
    row = int(ledger.find(pa.array([facts["twin"]]), passed)[0])
    if row >= 0:
        twin = ledger.rows([row], ["url", "drop_reasons"])[0]
        fate = "".join(f", itself dropped: {reason}" for reason in twin["drop_reasons"][:1])
        return f"{twin['url']}{fate}"
    for _, stage in ledger.recipe.stages:
        earlier = ledger.run / "dedup" / stage.name / "earlier.arrow"
        if isinstance(stage, GlobalStageConfig) and stage.reason == named and earlier.exists():
            table = read_table(earlier, ["id", "url", "run"])
            for found in table.filter(pc.equal(table["id"], facts["twin"])).to_pylist():
                return f"{found['url']} of {found['run']}"
    return "of another run"


def copies_of(ledger: Ledger, facts: Facts) -> list[int]:
    """The rows whose chain of twins ends at this document, in the order of the ledger."""
    if facts["drop_reasons"] == ["dedup.same_record"]:
        return []
    twins, ids = ledger.column("twin"), ledger.column("id")
    fates, names = ledger.fates()
    groups = np.array([name in reasons_of_groups(names) for name in names], np.bool_)
    left = groups[fates] & (fates >= 0) if len(names) else np.zeros(len(fates), np.bool_)
    found = np.zeros(len(left), np.bool_)
    heads = pa.array([facts["id"]])
    while len(heads):
        new = pc.is_in(twins, value_set=heads).to_numpy(zero_copy_only=False) & left & ~found
        found |= new
        heads = ids.filter(pa.array(new))
    return [int(row) for row in np.flatnonzero(found)]


def kept_text(ledger: Ledger, facts: Facts) -> str | None:
    """The whole text of a kept document."""
    for path in sorted((ledger.run / "shards" / facts["source"]).glob("*.arrow")):
        for number, batch in enumerate(read_batches(path, ["id"])):
            row = pc.index(batch["id"], facts["id"]).as_py()
            if row >= 0:
                (found,) = read_batches(path, ["text"], [number])
                text: str | None = found["text"][row].as_py()
                return text
    return None


def passages_cut(ledger: Ledger, facts: Facts, text: str | None) -> Iterator[str]:
    """What `text`, that of the last local stage, has and the shard's has not: passages cut from a kept document."""
    stages = [stage for _, stage in ledger.recipe.stages]
    cuts = [n for n, stage in enumerate(stages) if isinstance(stage, GlobalStageConfig) and stage.cuts]
    cut = any(facts.get(f"{stages[n].name}.spans") for n in cuts)
    edited = any(isinstance(stage, StageConfig) and stage.edits for stage in stages[cuts[0] :]) if cuts else True
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
