"""Commands that make runs, and those that look ahead: run, apply, plan, sample."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.options import (
    CORES,
    AddressOption,
    ExecutorOption,
    MemoryOption,
    OverwriteOption,
    RecipeArgument,
    RunArgument,
    SetOption,
    ShipOption,
    WorkersOption,
    made_executor,
)
from pipelines.cli.printing import show, show_all, show_json, this_command
from pipelines.numbers import counted
from shards import mirror
from shards.errors import Interrupted, UserError

if TYPE_CHECKING:
    from pipelines.executors import Executor
    from pipelines.run.opening import Run


def run(
    recipe: RecipeArgument,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The run's folder, or a URL (s3://bucket/name); runs/<recipe> if not given.",
            parser=mirror.local,
            metavar="PATH",
        ),
    ] = None,
    executor: ExecutorOption = "pool",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    address: AddressOption = None,
    ship: ShipOption = False,
    settings: SetOption = None,
    part: Annotated[str | None, typer.Option(help="Take part I of N of the inputs only, as 2/5.")] = None,
    until_global: Annotated[
        bool, typer.Option("--until-global", help="Stop before the first global stage, for `gristmill merge`.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Clean and deduplicate crawl files into Arrow shards. The same command resumes what was interrupted."""
    from pipelines.recipe import load_recipe
    from pipelines.run.opening import open_run
    from pipelines.run.part import WHOLE, Part

    made = made_executor(executor, workers, memory, address, ship)
    of_inputs = Part.parse(part) if part is not None else WHOLE
    resolved = load_recipe(recipe, settings or [])
    folder = folder.expanduser() if folder else Path("runs") / resolved.name
    _execute(open_run(resolved, folder, part=of_inputs, overwrite=overwrite), made, until_global=until_global)


def merge(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs made with --until-global, or URLs, in their order.",
            parser=mirror.local,
            metavar="RUN...",
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--out", help="The folder of the run that joins them, or a URL.", parser=mirror.local, metavar="PATH"
        ),
    ],
    executor: ExecutorOption = "pool",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    address: AddressOption = None,
    ship: ShipOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Join runs of one recipe over different inputs, and make the rest: as one run over all inputs, byte for byte."""
    from pipelines.run.merging import open_merge

    made = made_executor(executor, workers, memory, address, ship)
    _execute(open_merge(runs, to.expanduser(), overwrite=overwrite), made)


def apply(
    folder: RunArgument,
    to: Annotated[
        Path, typer.Option("--out", help="The new run's folder, or a URL.", parser=mirror.local, metavar="PATH")
    ],
    settings: SetOption = None,
    executor: ExecutorOption = "pool",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    address: AddressOption = None,
    ship: ShipOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Make the run that other settings give, from a run's ledger and texts: nothing is extracted again."""
    from pipelines.replay.apply import open_apply

    made = made_executor(executor, workers, memory, address, ship)
    _execute(open_apply(folder, settings or [], to.expanduser(), overwrite=overwrite), made)


def _execute(opened: "Run", executor: "Executor", *, until_global: bool = False) -> None:
    """Bring a run to its end and print what it kept and dropped, or to its first global stage and print how it goes
    on."""
    from pipelines.passes import execute
    from pipelines.progress import ProgressDisplay
    from pipelines.report import last_lines
    from pipelines.verbs import status

    if opened.folder.is_done():
        show(f"{opened.folder} is done already; nothing was changed (--overwrite redoes it)")
    else:
        show_all(f"note: {note}" for _, stage in opened.recipe.stages for note in stage.notes())
        try:
            with ProgressDisplay() as progress:
                execute(opened, executor, progress, until_global=until_global)
        except Interrupted:
            raise Interrupted(f"interrupted; finished units are safe. To resume: {this_command()}") from None
        if executor.num_lost:
            show(f"note: {counted(executor.num_lost, 'task')} ran again, whose worker or node had died")
    if opened.folder.is_done():
        show_all(last_lines.lines(opened.folder.root))
    else:
        show_all(status.describe(opened.folder.root))


def plan(
    recipe: RecipeArgument,
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    settings: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show which pairs a recipe's MinHash compares and what a run of source.paths takes: time, memory, disk."""
    from pipelines.executors import parse_memory
    from pipelines.preview.plan import curve_lines, curves, estimate, lines
    from pipelines.progress import ProgressDisplay
    from pipelines.recipe import load_recipe

    resolved = load_recipe(recipe, settings or [])
    num_bytes = parse_memory(memory) if memory is not None else None
    shapes = curves(resolved)
    if not as_json:
        show_all(curve_lines(shapes))
    with ProgressDisplay() as progress:
        estimated = estimate(resolved, workers or CORES, num_bytes, progress)
    if as_json:
        minhash = [asdict(shape) for shape in shapes]
        show_json({"minhash": minhash, "estimate": asdict(estimated) if estimated else None})
    elif estimated is None:
        show(f"for time, memory and disk give inputs: gristmill plan {recipe} --set source.paths=DIR")
    else:
        show_all(lines(estimated))


def sample(
    paths: Annotated[list[str], typer.Argument(help="Files, folders or URLs of a crawl, and last the RECIPE.")],
    number: Annotated[int, typer.Option("-n", help="About how many documents.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Another seed takes another random part.")] = 0,
    settings: SetOption = None,
    num_texts: Annotated[
        int, typer.Option("--show", help="Texts printed for each drop reason, and of kept documents.", min=0)
    ] = 2,
) -> None:
    """Run a random part of INPUT... through RECIPE: funnel and samples in a minute, before a dump is started."""
    from pipelines.preview.sample import lines, sample_run

    *inputs, recipe = paths
    if not inputs:
        raise UserError("sample: give at least one input and the recipe: gristmill sample INPUT RECIPE")
    with sample_run(inputs, recipe, settings or [], number, seed) as folder:
        show_all(lines(folder, num_texts))
