"""`gristmill sample`: run a random part of a crawl through a recipe, before a whole dump is started."""

import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.executors import InProcess
from pipelines.ledger.table import Ledger
from pipelines.ledger.values import RuleValue, failing_values
from pipelines.lines import Line, Titled
from pipelines.numbers import counted
from pipelines.numbers import number as shown_number
from pipelines.passes import execute
from pipelines.preview.draw import documents_from, draw, nothing_drawn
from pipelines.progress import ProgressDisplay
from pipelines.recipe import load_recipe
from pipelines.report import last_lines
from pipelines.report.build import summary
from pipelines.report.samples import visible
from pipelines.run.folder import RunFolder
from pipelines.run.opening import open_run
from shards.errors import UserError
from shards.schema import KEPT, VERDICT
from shards.sink import read_batches
from shards.storage import find_inputs

_POSITIONS = 20
_CHARS_SHOWN = 300  # of each text


@contextmanager
def sample_run(
    inputs: Sequence[str], recipe_name: str, settings: Sequence[str], number: int, seed: int
) -> Iterator[Path]:
    """Make a run of about `number` documents; its folder is deleted with the block."""
    recipe = load_recipe(recipe_name, settings, inputs)
    if [source.kind for source in recipe.sources.values()] not in (["warc"], ["wet"]):
        raise UserError(f"{recipe_name}: sample draws from one source of kind warc or wet")
    ((name, source),) = recipe.sources.items()
    files = find_inputs(source.paths, source.suffixes, f"source.{name}.paths")
    with tempfile.TemporaryDirectory(prefix="gristmill-sample-") as temporary:
        part = Path(temporary) / f"sample{source.suffixes[0]}"
        records_from = partial(documents_from, kind=source.kind)
        with part.open("wb") as out:
            for _, record in draw(files, number, _POSITIONS, random.Random(seed), records_from):
                out.write(record.data)
        if not part.stat().st_size:
            raise nothing_drawn(name, source.kind, files)
        settings = [*settings, f'source.{name}.paths=["{part}"]']
        run = open_run(load_recipe(recipe_name, settings), Path(temporary) / "run")
        with ProgressDisplay() as progress:
            execute(run, InProcess(), progress)
        yield run.folder.root


@dataclass(frozen=True)
class Shown:
    """A document of the sample."""

    fate: str  # "kept", or the first drop reason
    id: str
    url: str
    language: str | None
    language_score: float | None
    characters: int | None  # None where it was dropped before there was text
    failing: tuple[RuleValue, ...]  # the rules that it fails, with its values
    similarity: float | None  # to the document for which it was removed
    text: str | None


def lines(run: Path, num_texts: int) -> Iterator[Line]:
    """The funnel, then `num_texts` kept documents and as many for each drop reason: values and beginnings of texts."""
    yield from last_lines.lines(run, next_step=False)
    for shown in documents_to_show(run, num_texts):
        yield ""
        yield Titled(shown.fate, visible(shown.url))
        facts = [] if shown.language is None else [f"{shown.language} {shown_number(shown.language_score)}"]
        facts += [] if shown.characters is None else [counted(shown.characters, "character")]
        facts += [] if shown.similarity is None else [f"similarity {shown.similarity:.3f}"]
        yield "  " + ", ".join([*facts, *map(str, shown.failing)])
        yield "  " + visible(" ".join((shown.text or "").split())[:_CHARS_SHOWN])


def figures(run: Path, num_texts: int) -> dict[str, Any]:
    """The same for programs."""
    sums = summary(run)
    counts = {"input": sums.documents.input, "kept": sums.documents.kept, "dropped": sums.dropped}
    return counts | {"documents": [asdict(shown) for shown in documents_to_show(run, num_texts)]}


def documents_to_show(run: Path, most: int) -> list[Shown]:
    """`most` kept documents and as many for each drop reason, by fate."""
    ledger = Ledger.open(run)
    chosen = list(_texts(ledger.run, most))
    numbers = ledger.find(pa.array([id for _, id, _ in chosen], pa.string()), np.ones(ledger.num_rows, np.bool_))
    rows = zip(chosen, ledger.rows(numbers.tolist()), strict=True)
    shown = [
        Shown(
            fate,
            id,
            facts["url"] or "",
            facts.get("language"),
            facts.get("language_score"),
            facts["text_chars"],
            tuple(failing_values(ledger.recipe, facts)),
            facts["similarity"],
            text,
        )
        for (fate, id, text), facts in rows
    ]
    return sorted(shown, key=lambda one: (one.fate != KEPT, one.fate))


def _texts(folder: RunFolder, most: int) -> Iterator[tuple[str, str, str | None]]:
    """(fate, id, text)."""
    shown: Counter[str] = Counter()
    names = [*map(folder.shard, folder.units()), *([folder.DROPPED_TEXTS] if folder.has(folder.DROPPED_TEXTS) else [])]
    for path in map(folder.path, names):
        for batch in read_batches(path):
            for row in batch.to_pylist():
                fate = next(iter(row.get(VERDICT.field("drop_reasons").name, [])), KEPT)
                shown[fate] += 1
                if shown[fate] <= most:
                    yield fate, row["id"], row["text"]
