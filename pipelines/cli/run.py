"""Commands that make runs: run, submit, merge, apply."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.options import (
    AddressOption,
    ExecutorOption,
    InputsArgument,
    MemoryOption,
    OverwriteOption,
    PartOption,
    RecipeArgument,
    RunArgument,
    SetOption,
    ShipOption,
    UntilGlobalOption,
    WorkersOption,
    made_executor,
)
from pipelines.cli.printing import show, show_all, this_command
from pipelines.numbers import counted
from shards import mirror
from shards.errors import Interrupted, UserError

if TYPE_CHECKING:
    from pipelines.executors import Executor
    from pipelines.run.opening import Run


def run(
    recipe: RecipeArgument,
    inputs: InputsArgument = None,
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
    part: PartOption = None,
    until_global: UntilGlobalOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Clean and deduplicate crawl files into Arrow shards. The same command resumes what was interrupted."""
    from pipelines.recipe import load_recipe
    from pipelines.run.opening import open_run
    from pipelines.run.part import WHOLE, Part

    made = made_executor(executor, workers, memory, address, ship)
    of_inputs = Part.parse(part) if part is not None else WHOLE
    resolved = load_recipe(recipe, settings or [], inputs or [])
    folder = folder.expanduser() if folder else Path("runs") / resolved.name
    _execute(open_run(resolved, folder, part=of_inputs, overwrite=overwrite), made, until_global=until_global)


def submit(
    recipe: RecipeArgument,
    *,
    inputs: InputsArgument = None,
    nodes: Annotated[int, typer.Option(help="Nodes of the job.", min=1)],
    time: Annotated[
        str, typer.Option(help="Time limit of one start: minutes, HH:MM:SS, D-HH. A run that needs more goes on.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The run's folder on a disk that all nodes share, or a URL; runs/<recipe> if not given.",
            parser=mirror.local,
            metavar="PATH",
        ),
    ] = None,
    partition: Annotated[str | None, typer.Option(help="Slurm's partition.")] = None,
    account: Annotated[str | None, typer.Option(help="Slurm's account.")] = None,
    cpus: Annotated[
        int | None, typer.Option(help="CPUs of each node; whole nodes, with their memory, if not given.", min=1)
    ] = None,
    grace: Annotated[int, typer.Option(help="Seconds before the time limit at which the run stops.")] = 120,
    restarts: Annotated[int, typer.Option(help="How often the job may go back into the queue.", min=0)] = 50,
    sbatch: Annotated[
        list[str] | None, typer.Option(help='Another option of sbatch, as --sbatch "--qos=low". Repeatable.')
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Write the file for sbatch, and do not submit it.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="The most tasks at once; all CPUs if not given.", min=1)] = None,
    memory: MemoryOption = None,
    settings: SetOption = None,
    part: PartOption = None,
    until_global: UntilGlobalOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Run a recipe on nodes of Slurm: as `run`, and preempted or out of time it goes on by itself."""
    from pipelines.executors import parse_memory
    from pipelines.recipe import builtin_names, load_recipe
    from pipelines.run.part import Part
    from pipelines.verbs import submit as slurm

    slurm.require_ray()
    job = slurm.Job(nodes, time, partition, account, cpus, grace, restarts, tuple(sbatch or []))
    job.check()
    resolved = load_recipe(recipe, settings or [], inputs or [])
    slurm.check_inputs(resolved)
    if memory is not None:
        parse_memory(memory)
    if part is not None:
        Part.parse(part)
    folder = folder.expanduser() if folder else Path("runs") / resolved.name
    named = recipe if recipe in builtin_names() else slurm.absolute(mirror.local(recipe))
    options = {"--workers": workers, "--memory": memory, "--part": part}
    given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    changed = [word for setting in settings or [] for word in ("--set", setting)]
    flags = ["--until-global"] if until_global else []
    words = ["run", named, *(inputs or []), *changed, "--out", slurm.absolute(folder), *given, *flags]
    path = slurm.file_of(folder)
    slurm.write_file(path, slurm.job_file(job, path, words, ["--overwrite"] if overwrite else []))
    if only_print:
        show(f"wrote {path}; to submit it: {shlex.join(['sbatch', str(path)])}")
    elif not slurm.has_slurm():
        raise UserError(
            f"sbatch: is not on this machine; wrote {path}, which can be submitted where it is (see --print)"
        )
    else:
        show(f"wrote {path}; {slurm.submit(path)}")


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
