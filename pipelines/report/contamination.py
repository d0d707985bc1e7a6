"""What a run found of evaluation sets: every hit by set, item and document, with totals.

    ledger: <stage>.hits > 0 ──▶ set, item, id, url, fate, found         contamination/<stage>.json ──▶ items, searched

A set of which nothing was found is reported, too, with the number of items and documents that were searched, so that
a search that finds nothing differs from a search that cannot.
"""

import json
from pathlib import Path

import numpy as np

from pipelines.ledger.table import Ledger
from pipelines.numbers import counted
from pipelines.recipe import Recipe
from pipelines.report.model import Contamination, Hit, ReportedContamination, SearchedSet
from pipelines.run.folder import RunFolder
from shards import mirror
from shards.errors import RunError, UserError
from shards.limits import raise_unless_damage
from shards.stage import Searches

_HITS_SHOWN = 50  # in the report


def contamination(ledger: Ledger) -> list[Contamination]:
    """What each stage that searches found, in recipe order; `hits` are by document, then by item."""
    return [_contamination(ledger, name, searches) for name, searches in _searches(ledger.recipe)]


def reported_contamination(run: RunFolder, recipe: Recipe) -> tuple[ReportedContamination, ...]:
    """The same with sentences and the first hits only, of a run that need not be finished."""
    if not _searches(recipe):
        return ()
    ledger = Ledger.of(run, recipe)
    return tuple(
        ReportedContamination(
            **vars(part) | {"hits": part.hits[:_HITS_SHOWN]},
            sentences=tuple(sentences(part)),
            all_hits=len(part.hits),
        )
        for part in contamination(ledger)
    )


def require_contamination(path: Path) -> list[Contamination]:
    """As `contamination`, or a UserError for a run that searched for nothing."""
    parts = contamination(Ledger.open(path))
    if not parts:
        raise UserError(f"{path}: its recipe has no stage of kind decontaminate; add one and run again")
    return parts


def _searches(recipe: Recipe) -> list[tuple[str, Searches]]:
    """(name of the stage, what it searches for)."""
    stages = ((stage.name, stage.searches()) for stage in recipe.local_stages())
    return [(name, searches) for name, searches in stages if searches is not None]


def _contamination(ledger: Ledger, stage: str, searches: Searches) -> Contamination:
    counts = ledger.counts(f"{stage}.hits")
    items, passages = f"{stage}.items", f"{stage}.found"
    hits = tuple(
        Hit(
            set=set_of(item),
            item=item,
            id=row["id"],
            url=row["url"],
            fate=(row["drop_reasons"] or ["kept"])[0],
            found=passage,
        )
        for row in ledger.rows(np.flatnonzero(counts).tolist(), ["id", "url", "drop_reasons", items, passages])
        for item, passage in zip(row[items], row[passages], strict=True)
    )
    return Contamination(
        stage=stage,
        ngram=searches.ngram,
        action=searches.action,
        documents=len(counts) - ledger.column(f"{stage}.hits").null_count,
        sets=tuple(
            SearchedSet(
                name=name,
                items=searched["items"],
                searched=searched["searched"],
                found=len({hit.item for hit in hits if hit.set == name}),
                documents=len({hit.id for hit in hits if hit.set == name}),
            )
            for name, searched in _read_journal(ledger.run.path(searches.journal)).items()
        ),
        hits=hits,
    )


def _read_journal(path: Path) -> dict[str, dict[str, int]]:
    """By set: how many `items` it has, and how many of them could be `searched` for."""
    try:
        sets: dict[str, dict[str, int]] = json.loads(mirror.read_bytes(path))["sets"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise_unless_damage(path, error)
        raise RunError(f"{path}: missing or not what was written; run again into a new folder") from None
    return sets


def set_of(item: str) -> str:
    """ "arc" of "arc:17" and of "arc/test.jsonl:17"."""
    return item.partition(":")[0].partition("/")[0]


def sentences(part: Contamination) -> list[str]:
    """A sentence for each set, found or not, and one for items that could not be searched for."""
    lines = []
    for found in part.sets:
        items, documents = counted(found.items, "item"), counted(part.documents, "document")
        if found.documents:
            lines.append(
                f"{found.name}: {found.documents:,} of {documents} hold {part.ngram}-grams of {found.found:,} of its "
                f"{items}"
            )
        else:
            lines.append(f"No document holds a {part.ngram}-gram of {found.name} ({items}, {documents})")
        if missed := found.items - found.searched:
            lines.append(f"{found.name}: too short and not looked for: {missed:,} of its {items}")
    return lines


def lines(parts: list[Contamination]) -> list[str]:
    """For the terminal: every hit, then the sentences."""
    found = []
    for part in parts:
        found += [f"{hit.item}  {hit.id}  {hit.fate}  {hit.url}  {' '.join(hit.found.split())}" for hit in part.hits]
        found += sentences(part)
    return found
