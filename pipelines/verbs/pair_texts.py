"""`gristmill pairs --texts`: the least similar pairs with their texts, to see whether they are copies at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.table import Ledger
from pipelines.lines import Line, Titled
from pipelines.numbers import counted
from pipelines.report.samples import visible
from pipelines.verbs.explain_duplicates import compared
from pipelines.verbs.pairs import pairs
from pipelines.verbs.texts import stored_text

_DIFF_LINES = 16
_LINE_CHARS = 160
_ORDER = [("similarity", "ascending"), ("id_a", "ascending"), ("id_b", "ascending")]


@dataclass(frozen=True)
class PairedDocument:
    id: str
    url: str | None  # None for a document of another run
    fate: str | None
    text: str | None  # as extraction gave it; None where the run keeps no texts


@dataclass(frozen=True)
class PairWithTexts:
    stage: str
    similarity: float | None
    a: PairedDocument
    b: PairedDocument


def pairs_with_texts(
    run: Path, number: int, *, stage: str | None = None, min_similarity: float = 0.0
) -> list[PairWithTexts]:
    """The `number` least similar pairs; those without a similarity are the last."""
    least: pa.Table | None = None
    for batch in pairs(run, stage=stage, min_similarity=min_similarity):
        table = pa.Table.from_batches([batch])
        table = table if least is None else pa.concat_tables([least, table])
        least = table.take(pc.sort_indices(table, _ORDER)[:number])
    if least is None:
        return []
    ledger = Ledger.open(run)
    texts = _texts(ledger, pc.unique(pa.chunked_array([*least["id_a"].chunks, *least["id_b"].chunks], pa.string())))
    return [
        PairWithTexts(row["stage"], row["similarity"], *(_document(row, end, texts) for end in ("a", "b")))
        for row in least.to_pylist()
    ]


def _texts(ledger: Ledger, ids: pa.Array) -> dict[str, str | None]:
    """By id, without documents of other runs."""
    rows = [row for row in ledger.find(ids, compared(ledger)).tolist() if row >= 0]
    facts = ledger.rows(rows, ["id", "source", "drop_reasons"])
    return {of["id"]: stored_text(ledger, row, of) for row, of in zip(rows, facts, strict=True)}


def _document(row: dict[str, str], end: str, texts: dict[str, str | None]) -> PairedDocument:
    id = row[f"id_{end}"]
    return PairedDocument(id, row[f"url_{end}"], row[f"fate_{end}"], texts.get(id))


def lines(shown: list[PairWithTexts]) -> Iterator[Line]:
    """Both addresses and fates, then what differs between the texts."""
    for pair in shown:
        similarity = "not measured" if pair.similarity is None else f"{pair.similarity:.3f}"
        yield Titled(f"{pair.stage} {similarity}", f"{pair.a.id} {pair.b.id}")
        for document in (pair.a, pair.b):
            yield visible(f"  {document.fate or 'of another run':24}{document.url or ''}")
        yield from ("    " + visible(line) for line in _difference(pair))
        yield ""


def _difference(pair: PairWithTexts) -> Iterator[str]:
    if pair.a.text is None or pair.b.text is None:
        yield "the run keeps no texts of both (output.texts = false)"
        return
    a, b = pair.a.text.splitlines(), pair.b.text.splitlines()
    diff = islice(unified_diff(a, b, lineterm="", n=0), 2, None)  # after the names of the files
    changes = [line for line in diff if not line.startswith("@@")]
    same = len(a) - sum(line.startswith("-") for line in changes)
    yield f"{counted(same, 'equal line')}, {counted(len(changes), 'other')}"
    yield from (line[:_LINE_CHARS] for line in changes[:_DIFF_LINES])
    if len(changes) > _DIFF_LINES:
        yield f"… {len(changes) - _DIFF_LINES:,} more"
