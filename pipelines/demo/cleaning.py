"""The demo's run: the crawl through the recipe `gristmill`, and checks that each page ended where it must."""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import tomli_w

from pipelines.demo.crawl import Article, article, planted
from pipelines.executors import ProcessPool
from pipelines.numbers import counted
from pipelines.passes import execute
from pipelines.progress import ProgressDisplay
from pipelines.recipe import Recipe, load_recipe, recipe_text
from pipelines.report.build import summary
from pipelines.run.folder import RunFolder
from pipelines.run.opening import Run, is_done, open_run
from shards.atomic import write_bytes
from shards.cores import usable_cores
from shards.errors import RunError, UserError
from shards.schema import KEPT
from shards.sink import read_batches

SOURCES = ("web", "libraries")  # each a folder of the crawl
_CHINESE_AND_RUSSIAN = ("mill.zh", "roof.zh", "clock.zh", "mill.ru", "fallow.ru", "station.ru")
_REASONS_SHOWN = 5


def clean(folder: Path) -> Run:
    """The finished run: resumed if it is the same, redone if its inputs or its recipe have changed since."""
    recipe, run_folder = _recipe(folder), folder / "run"
    try:
        run = open_run(recipe, run_folder)
    except UserError:
        run = open_run(recipe, run_folder, overwrite=True)
    if not is_done(run_folder):
        with ProgressDisplay() as progress:
            execute(run, ProcessPool(usable_cores()), progress)
    return run


def _recipe(folder: Path) -> Recipe:
    """The recipe `gristmill` over the crawl's two sources, as a file that `gristmill run` takes too."""
    values = tomllib.loads(recipe_text("gristmill")[0])
    values["source"] = {name: {"kind": "warc", "paths": [str(folder / "crawl" / name)]} for name in SOURCES}
    path = folder / "recipe.toml"
    write_bytes(path, tomli_w.dumps(values).encode())
    return load_recipe(str(path))


def show_funnel(run: Path, out: Callable[[str], None]) -> None:
    sums = summary(run)
    read, kept = sums.documents.input, sums.documents.kept
    out(f"     {counted(read, 'page')} in, {kept:,} kept, {read - kept:,} dropped; the most frequent reasons:")
    for reason, count in Counter(sums.dropped).most_common(_REASONS_SHOWN):
        out(f"       {count:5,}  {reason}")


def check_planted(run: Path, out: Callable[[str], None]) -> None:
    """Raise RunError unless every page that was planted ended where its kind belongs."""
    expected = Counter((p.page.url, p.page.date, p.ends) for p in planted())
    addresses = {(url, date) for url, date, _ in expected}
    actual = Counter(fate for fate in fates(run) if fate[:2] in addresses)
    for url, date, ends in expected - actual:
        others = sorted(fate[2] for fate in actual - expected if fate[:2] == (url, date))
        raise RunError(f"{url} of {date}: expected to end as {ends}, found {', '.join(others) or 'no such page'}")
    out(f"     all {len(planted())} pages that we made up ended where they belong; those that had to go, for example:")
    for p in planted():
        if p.ends.startswith(("dedup.", "gopher_", "url.", "extract.")):
            out(f"       {p.what:<42}{p.ends}")


def check_whole(run: Path, out: Callable[[str], None]) -> None:
    """Raise RunError unless the Chinese and the Russian articles came through the recipe whole."""
    texts = kept_texts(run)
    for name in _CHINESE_AND_RUSSIAN:
        wanted = article(name)
        if not any(holds(text, wanted) for text in texts):
            raise RunError(f"{run}: the article {wanted.title!r} did not come whole through the recipe")
        out(f"     whole, {len(wanted.text):,} characters: {wanted.title}")


def fates(run: Path) -> Iterator[tuple[str, str, str]]:
    """(URL, date, first drop reason or `KEPT`) of every record in the run's ledger."""
    folder = RunFolder(run)
    for key in folder.ledgers():
        for batch in read_batches(folder.path(folder.ledger(key)), ["url", "date", "drop_reasons"]):
            for row in batch.to_pylist():
                yield row["url"], row["date"], (row["drop_reasons"] or [KEPT])[0]


def kept_texts(run: Path) -> list[str]:
    folder = RunFolder(run)
    batches = (batch for key in folder.units() for batch in read_batches(folder.path(folder.shard(key)), ["text"]))
    return [text for batch in batches for text in batch["text"].to_pylist()]


def holds(text: str, wanted: Article) -> bool:
    """Whether all paragraphs of the article stand in `text`, in order."""
    end = 0
    for paragraph in wanted.paragraphs:
        start = text.find(paragraph, end)
        if start < 0:
            return False
        end = start + len(paragraph)
    return True
