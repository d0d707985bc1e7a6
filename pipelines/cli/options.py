"""Arguments and options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shards import mirror
from shards.cores import usable_cores

if TYPE_CHECKING:
    from pipelines.executors import Executor

CORES = usable_cores()

RecipeArgument = Annotated[str, typer.Argument(help="A built-in recipe (see `gristmill recipes`) or a TOML file.")]
InputsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Files, folders, globs or URLs in place of the recipe's `source.paths`.", metavar="[INPUT]..."),
]
RunArgument = Annotated[
    Path, typer.Argument(help="The folder of a run, or its URL (s3://).", parser=mirror.local, metavar="RUN")
]
RunsArgument = Annotated[
    list[Path], typer.Argument(help="Folders or URLs of finished runs.", parser=mirror.local, metavar="RUN...")
]
ShardsArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Shard files or folders (RUN/shards), or URLs of them.", parser=mirror.local, metavar="SHARDS..."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting: STAGE.KEY=VALUE, source.paths=DIR, output.KEY=VALUE."),
]
SweepOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting: STAGE.KEY=VALUE; STAGE.KEY=10,30,100 gives each value a row."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object; docs/verbs.md has its keys.")]
ExecutorOption = Annotated[Literal["in-process", "pool", "ray"], typer.Option(help="Where units of work run.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(help="Tasks at once; one for each core of the machine or cluster if not given.", min=1),
]
MemoryOption = Annotated[
    str | None,
    typer.Option(help="Memory for deduplication on a machine, like 2GB or 500MB; half of it if not given."),
]
AddressOption = Annotated[
    str | None,
    typer.Option(help="The Ray cluster, as HOST:PORT or auto; one of this machine if not given.", metavar="HOST:PORT"),
]
PartOption = Annotated[str | None, typer.Option(help="Take part I of N of the inputs only, as 2/5.")]
UntilGlobalOption = Annotated[
    bool, typer.Option("--until-global", help="Stop before the first global stage, for `gristmill merge`.")
]
OverwriteOption = Annotated[bool, typer.Option(help="Redo an existing run, even one of another recipe.")]
ShipOption = Annotated[
    bool, typer.Option("--ship", help="Install this gristmill on the cluster's nodes, which have Python and Ray only.")
]

UrlsOption = Annotated[list[str] | None, typer.Option("--url", help="A URL, as `url_dedup` compares them.")]
DomainsOption = Annotated[
    list[str] | None, typer.Option("--domains", help="A file of domains, one a line, or one domain, or ut1.")
]
IdsOption = Annotated[
    list[str] | None, typer.Option("--id", help="An id of the ledger, or a file of them, one a line.")
]


def made_executor(
    kind: str, workers: int | None, memory: str | None, address: str | None, ship: bool = False
) -> "Executor":
    """The executor of the options, which are refused here: before anything is made."""
    from pipelines.executors import make_executor, parse_memory

    num_bytes = parse_memory(memory) if memory is not None else None
    return make_executor(kind, workers, num_bytes, address, ship=ship)
