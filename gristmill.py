"""Gristmill from Python, in notebooks and scripts: extract a page, make a run, read what it made. See docs/python.md.

Imports wait inside the functions, so that `import gristmill` loads no heavy library.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shards import mirror

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

__all__ = ["Run", "extract", "run"]

Place = str | Path
"""A path, or an address: https:// for inputs, s3:// for inputs and runs."""


def extract(html: str | bytes, *, markdown: bool = False, links: bool = False, comments: bool = False) -> str:
    """The main text of a page, by the engine `gristmill`; "" for a page without one.

    The charset of bytes is found as browsers find it. The first call in an environment compiles for a minute.
    """
    from cleaners.crawl.charset import decode
    from cleaners.extraction.engine import Options
    from cleaners.extraction.engine import extract as extract_pages

    text = html if isinstance(html, str) else decode(html).text
    (found,) = extract_pages([text.encode("utf-8", "replace")], Options(markdown, links, comments))
    return found.text


def run(
    recipe: Place,
    inputs: Place | Sequence[Place] = (),
    out: Place | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    workers: int | None = None,
    memory: str | None = None,
    overwrite: bool = False,
) -> "Run":
    """Make a run, as `gristmill run RECIPE INPUT... --out OUT` does, or resume it; one that is done is left as it is.

    `settings` are those of `--set`: `{"gopher_quality.min_words": 30}`. Progress goes to standard error. Raises
    `shards.errors.UserError` for a mistake in what was given, before anything is written, and `RunError` where the run
    cannot go on.
    """
    from pipelines.executors import parse_memory
    from pipelines.executors.process_pool import ProcessPool
    from pipelines.passes import execute
    from pipelines.progress import ProgressDisplay
    from pipelines.recipe import load_recipe
    from pipelines.run.opening import open_run
    from shards.cores import usable_cores

    of_workers = parse_memory(memory) if memory is not None else None
    executor = ProcessPool(workers or usable_cores(), of_workers, imports_main=False)  # a script needs no main guard
    given = [inputs] if isinstance(inputs, str | Path) else inputs
    changed = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in (settings or {}).items()]
    resolved = load_recipe(fspath(recipe), changed, [fspath(place) for place in given])
    folder = mirror.local(fspath(out)) if out is not None else Path("runs") / resolved.name
    opened = open_run(resolved, folder.expanduser(), overwrite=overwrite)
    if not opened.folder.is_done():
        with ProgressDisplay() as progress:
            execute(opened, executor, progress)
    return Run(folder)


class Run:
    """A finished run: its folder, or its URL."""

    def __init__(self, path: Place) -> None:
        from pipelines.run.folder import RunFolder

        self._folder = RunFolder(mirror.local(fspath(path)).expanduser())
        self._folder.require_done()

    def __repr__(self) -> str:
        return f"gristmill.Run({str(self._folder)!r})"

    def documents(self) -> "Dataset":
        """The kept documents, as one Arrow dataset that is read when it is asked for rows."""
        return _dataset(self._folder.paths(map(self._folder.shard, self._folder.units())))

    def ledger(self) -> "Dataset":
        """A row for every record of the crawl: its place, every metric, `drop_reasons`, `twin`, `similarity`."""
        return _dataset(self._folder.paths(map(self._folder.ledger, self._folder.ledgers())))

    def report(self) -> dict[str, Any]:
        """What report.json holds: counts, funnel, rules, languages, as docs/report.schema.json describes them."""
        return self._folder.read_json(self._folder.REPORT, dict[str, Any])


def _dataset(paths: Iterable[Path]) -> "Dataset":
    """The rows of Arrow files in their order; sources may bring columns of their own, null in the others' rows."""
    import pyarrow as pa
    from pyarrow import dataset

    from shards.sink import open_arrow

    files = list(paths)
    schema = pa.unify_schemas([open_arrow(path).schema.remove_metadata() for path in files])
    return dataset.dataset([str(path) for path in files], schema=schema, format="ipc")
