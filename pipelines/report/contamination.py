"""What a run found of evaluation sets: every hit by set, item and document, totals, and what could not be looked for.

    ledger: <stage>.hits > 0 ──▶ set, item, id, url, fate, found         contamination/<stage>.json ──▶ items, searched

That nothing was found is said, too, and so is how much was looked for: a search that cannot find is told from a clean
crawl.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from dedup.decontaminate import DecontaminateConfig
from pipelines.ledger.table import Ledger
from pipelines.recipe import Recipe
from pipelines.run.folder import RunFolder
from shards.errors import RunError, UserError

Section = dict[str, Any]  # plain data: stage, ngram, action, documents, sets, hits

_SHOWN = 50  # hits in the report


def contamination(ledger: Ledger) -> list[Section]:
    """A section for each stage that decontaminates, in recipe order; `hits` are by document, then by item.

    hits   set, item ("arc:17"), id, url, fate ("kept" or the first drop reason) and found, the passage in the document
    sets   name, items, searched, found (items) and documents
    """
    stages = [stage for _, stage in ledger.recipe.stages if isinstance(stage, DecontaminateConfig)]
    return [_section(ledger, stage) for stage in stages]


def report_sections(run: Path, recipe: Recipe) -> list[Section]:
    """For the report: the sentences and the first hits of each section, of a run that need not be finished."""
    if not any(isinstance(stage, DecontaminateConfig) for _, stage in recipe.stages):
        return []
    sections = contamination(Ledger.of(RunFolder(run), recipe))
    return [
        section
        | {"sentences": summary_lines(section), "hits": section["hits"][:_SHOWN], "all_hits": len(section["hits"])}
        for section in sections
    ]


def require_contamination(run: Path) -> list[Section]:
    """As `contamination`, or a UserError for a run that looked for nothing."""
    sections = contamination(Ledger.open(run))
    if not sections:
        raise UserError(f"{run}: its recipe has no stage of kind decontaminate; add one and run again")
    return sections


def _section(ledger: Ledger, stage: DecontaminateConfig) -> Section:
    counts = ledger.counts(f"{stage.name}.hits")
    measured = len(counts) - ledger.column(f"{stage.name}.hits").null_count
    columns = ["id", "url", "drop_reasons", f"{stage.name}.items", f"{stage.name}.found"]
    hits = [
        {
            "set": set_of(item),
            "item": item,
            "id": row["id"],
            "url": row["url"],
            "fate": (row["drop_reasons"] or ["kept"])[0],
            "found": found,
        }
        for row in ledger.rows(np.flatnonzero(counts).tolist(), columns)
        for item, found in zip(row[columns[3]], row[columns[4]], strict=True)
    ]
    sets = []
    for name, searched in _searched(ledger.run, stage).items():
        of_set = [hit for hit in hits if hit["set"] == name]
        found = {key: len({hit[of] for hit in of_set}) for key, of in (("found", "item"), ("documents", "id"))}
        sets.append({"name": name, **searched, **found})
    return {
        "stage": stage.name,
        "ngram": stage.ngram,
        "action": stage.action,
        "documents": measured,
        "sets": sets,
        "hits": hits,
    }


def _searched(run: RunFolder, stage: DecontaminateConfig) -> dict[str, dict[str, int]]:
    path = run.path(str(stage.journal()))
    try:
        found: dict[str, dict[str, int]] = json.loads(path.read_bytes())["sets"]
    except (OSError, ValueError, KeyError):
        raise RunError(f"{path}: missing or not what was written; run again into a new folder") from None
    return found


def set_of(item: str) -> str:
    """ "arc" of "arc:17" and of "arc/test.jsonl:17"."""
    return item.partition(":")[0].partition("/")[0]


def summary_lines(section: Section) -> list[str]:
    """A sentence for each set, found or not, and one for what could not be looked for."""
    lines = []
    for found in section["sets"]:
        name, items, documents = found["name"], _count(found["items"], "item"), _count(section["documents"], "document")
        if found["documents"]:
            lines.append(
                f"{name}: {found['documents']:,} of {documents} hold {section['ngram']}-grams of {found['found']:,} of "
                f"its {items}"
            )
        else:
            lines.append(f"No document holds a {section['ngram']}-gram of {name} ({items}, {documents})")
        if missed := found["items"] - found["searched"]:
            lines.append(f"{name}: too short and not looked for: {missed:,} of its {items}")
    return lines


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + "s" * (number != 1)


def lines(sections: list[Section]) -> list[str]:
    """For the terminal: every hit, then the sentences."""
    told = []
    for section in sections:
        told += [
            f"{hit['item']}  {hit['id']}  {hit['fate']}  {hit['url']}  {' '.join(hit['found'].split())}"
            for hit in section["hits"]
        ]
        told += summary_lines(section)
    return told
