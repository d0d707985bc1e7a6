"""`gristmill sample`: run a random part of a crawl through a recipe, before a whole dump is started."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pipelines.executors import InProcess
from pipelines.lines import Line, Titled
from pipelines.passes import execute
from pipelines.preview.draw import documents_from, draw, nothing_drawn
from pipelines.progress import ProgressDisplay
from pipelines.recipe import load_recipe
from pipelines.report import last_lines
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
    recipe = load_recipe(recipe_name, settings)
    if len(recipe.sources) != 1 or not next(iter(recipe.sources.values())).is_crawl:
        raise UserError(f"{recipe_name}: sample draws from one source of kind warc or wet")
    ((name, source),) = recipe.sources.items()
    files = find_inputs(inputs, source.suffixes, "sample")
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


def lines(run: Path, num_texts: int) -> Iterator[Line]:
    """The funnel, then the beginnings of `num_texts` kept documents and as many for each drop reason."""
    yield from last_lines.lines(run, next_step=False)
    for heading, url, text in texts_to_show(run, num_texts):
        yield ""
        yield Titled(heading, url or "")
        yield "  " + " ".join((text or "").split())[:_CHARS_SHOWN]


def texts_to_show(run: Path, number: int) -> Iterator[tuple[str, str, str]]:
    """(heading, URL, text) of `number` kept documents and as many for each drop reason."""
    shown: dict[str, int] = {}
    folder = RunFolder(run)
    names = [*map(folder.shard, folder.units()), *([folder.DROPPED_TEXTS] if folder.has(folder.DROPPED_TEXTS) else [])]
    for path in map(folder.path, names):
        for batch in read_batches(path):
            for row in batch.to_pylist():
                heading = next(iter(row.get(VERDICT.field("drop_reasons").name, [])), KEPT)
                shown[heading] = shown.get(heading, 0) + 1
                if shown[heading] <= number:
                    yield heading, row["url"], row["text"]
