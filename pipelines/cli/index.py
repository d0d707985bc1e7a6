"""Commands of an index, and the removal of documents: index add, query, remove, and remove."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import (
    AddressOption,
    DomainsOption,
    ExecutorOption,
    IdsOption,
    MemoryOption,
    RunArgument,
    RunsArgument,
    ShipOption,
    UrlsOption,
    WorkersOption,
    made_executor,
)
from pipelines.cli.printing import show, show_all, show_json
from pipelines.numbers import counted
from shards import mirror
from shards.errors import UserError

IndexArgument = Annotated[Path, typer.Argument(help="The folder of an index.")]


def add(
    index: IndexArgument,
    folder: RunArgument,
    recipe: Annotated[str | None, typer.Option(help="Sign by its dedup stages, not by those of the run.")] = None,
    executor: ExecutorOption = "pool",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    address: AddressOption = None,
    ship: ShipOption = False,
) -> None:
    """Add what a finished run kept: stages with `index = "INDEX"` compare later dumps with it."""
    from pipelines.verbs import index as verb

    added = verb.add(index, folder, made_executor(executor, workers, memory, address, ship), recipe)
    show_all(verb.lines(index, folder, added))


def query(
    index: IndexArgument,
    inputs: Annotated[list[str] | None, typer.Argument(help="Shards, Parquet, JSON lines or text files.")] = None,
    urls: UrlsOption = None,
    min_similarity: Annotated[
        float, typer.Option(help="Smallest similarity of a near-duplicate.", min=0, max=1)
    ] = 0.75,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per document.")] = False,
    memory: MemoryOption = None,
) -> None:
    """Find for each document the most similar one of the index."""
    from pipelines.executors import make_executor, parse_memory
    from pipelines.verbs import index as verb

    if not (inputs or urls):
        raise UserError("index query: give files or --url")
    executor = make_executor("in-process", 1, parse_memory(memory) if memory is not None else None)
    for match in verb.query(index, inputs or [], urls or [], executor, min_similarity):
        if as_json:
            show_json(asdict(match), indent=None)
        else:
            show(verb.line(match))


def remove_from_index(
    index: IndexArgument,
    urls: UrlsOption = None,
    domains: DomainsOption = None,
    ids: IdsOption = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", help="A finished run to remove them from, too.", parser=mirror.local, metavar="RUN"),
    ] = None,
) -> None:
    """Remove documents from an index and, with --run, their text from finished runs."""
    from pipelines.verbs import remove as verb

    requests = verb.Requests(tuple(urls or ()), tuple(domains or ()), verb.listed_ids(ids or ()))
    show(f"{index}: {counted(verb.remove_from_index(index, requests), 'document')} removed")
    for folder in runs or []:
        show_all(verb.lines(verb.remove_from_run(folder, requests)))


def remove(
    folders: RunsArgument,
    urls: UrlsOption = None,
    domains: DomainsOption = None,
    ids: IdsOption = None,
) -> None:
    """Remove the text of documents from finished runs; the same command completes an interrupted removal."""
    from pipelines.verbs import remove as verb

    requests = verb.Requests(tuple(urls or ()), tuple(domains or ()), verb.listed_ids(ids or ()))
    for folder in folders:
        show_all(verb.lines(verb.remove_from_run(folder, requests)))
